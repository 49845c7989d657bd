/** What an agent answers about its announcement, and what it can be told. */
import type { AdminAnswer, AdminRoutes } from '../admin/admin-server.ts';
import { HOLDS } from '../announce/announcer.ts';
import type { AgentAnnounce } from './agent-announce.ts';
import { ANNOUNCES_NOTHING } from './agent-messages.ts';

/** Longest drain, a day. */
const FOR_MAX_MS = 86_400_000;

/** @param announce `undefined` when the agent announces nothing. */
export function announceRoutes(announce: AgentAnnounce | undefined): AdminRoutes {
  const answer =
    (act: (announce: AgentAnnounce, body: string) => Promise<AdminAnswer | undefined>) =>
    async ({ body }: { body: string }): Promise<AdminAnswer> => {
      if (announce === undefined) {
        return { status: 409, body: { error: ANNOUNCES_NOTHING } };
      }
      return (await act(announce, body)) ?? { status: 200, body: announce.status };
    };
  return {
    '/announce': { method: 'GET', answer: answer(async () => undefined) },
    '/announce/hold': {
      method: 'POST',
      answer: answer(async ({ announcement }, body) => {
        const hold = HOLDS.find((each) => each === objectIn(body).hold);
        if (hold === undefined) return malformed('{"hold": "off", "on" or "auto"} is needed');
        await announcement.setHold(hold);
      }),
    },
    '/announce/drain': {
      method: 'POST',
      answer: answer(async ({ announcement }, body) => {
        const { forMs } = objectIn(body);
        if (forMs !== undefined && !isTime(forMs)) {
          return malformed(`"forMs" must be 0 to ${FOR_MAX_MS} milliseconds`);
        }
        await announcement.drain(forMs);
      }),
    },
    '/announce/resume': {
      method: 'POST',
      answer: answer(async ({ announcement }) => {
        await announcement.resume();
      }),
    },
  };
}

function malformed(error: string): AdminAnswer {
  return { status: 400, body: { error } };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= FOR_MAX_MS;
}

function objectIn(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json === '' ? '{}' : json);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // As if nothing had been said.
  }
  return {};
}
