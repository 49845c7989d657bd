/** Announces by the marker, and asks BIRD by its control socket whether it follows. */
import { BirdClient } from './bird-client.ts';
import { birdSnippet, coversAny, familiesOf, familyOf } from './bird-snippet.ts';
import {
  type BirdProtocol,
  type BirdRoute,
  parseBirdProtocols,
  parseBirdRoutes,
} from './bird-tables.ts';
import type { Verification } from './driver.ts';
import { judgeDevices, KernelDriver } from './kernel-driver.ts';
import { MARKER_DEVICES } from './marker.ts';
import type { AnnounceState } from './state.ts';

/** BGP sessions that are asked what they announce. */
const SESSIONS_MAX = 32;
/** Routes by way of the marker. */
const BY_MARKER = 'ifname ~ "hf-*"';

/** What BIRD said at one moment. */
export interface BirdFacts {
  readonly greeting: string;
  /** By way of the marker, in any table. */
  readonly routes: readonly BirdRoute[];
  readonly sessions: readonly (BirdProtocol & {
    /** Networks by way of the marker that it announces. */
    readonly announces: readonly string[];
    /** Static networks over a VIP that it announces whatever the marker says. */
    readonly strays: readonly string[];
  })[];
}

export class BirdDriver extends KernelDriver {
  override readonly name: string = 'bird';
  readonly #socket: string;
  readonly #vips: readonly string[];

  /** @param vips Addresses whose networks shall be announced. */
  constructor(socket: string, vips: readonly string[], deadManMs: number) {
    super(familiesOf(vips), deadManMs);
    this.#socket = socket;
    this.#vips = vips;
  }

  override async verify(state: AnnounceState): Promise<Verification> {
    try {
      const marker = judgeDevices(state, await this.marker.devices());
      if (!marker.ok) return marker;
      const facts = await askBird(this.#socket, this.#vips);
      const { ok, problem, found } = judgeBird(state, this.#vips, facts);
      return { ok, problem, found: [...marker.found, ...found] };
    } catch (error) {
      return { ok: false, problem: (error as Error).message, found: [] };
    }
  }
}

/** Asks everything that a verification needs. @throws AnnounceDriverError */
export async function askBird(socket: string, vips: readonly string[]): Promise<BirdFacts> {
  const { client, greeting } = await BirdClient.open(socket);
  try {
    const ask = async (command: string) => parseBirdRoutes(await client.ask(command, true));
    const routes = await ask(`show route table all where ${BY_MARKER}`);
    const protocols = parseBirdProtocols(await client.ask('show protocols'));
    const sessions: BirdFacts['sessions'][number][] = [];
    for (const protocol of protocols.filter(({ kind }) => kind === 'BGP').slice(0, SESSIONS_MAX)) {
      const { name } = protocol;
      const isUp = protocol.info.startsWith('Established');
      const announced = isUp ? await ask(`show route where ${BY_MARKER} export ${name}`) : [];
      const fixed = isUp
        ? await ask(`show route where source = RTS_STATIC && ! (${BY_MARKER}) export ${name}`)
        : [];
      sessions.push({
        ...protocol,
        announces: announced.map(({ prefix }) => prefix),
        strays: fixed.map(({ prefix }) => prefix).filter((prefix) => coversAny(prefix, vips)),
      });
    }
    return { greeting, routes, sessions };
  } finally {
    client.close();
  }
}

/** Whether what BIRD said is what that state should look like. A core. */
export function judgeBird(
  state: AnnounceState,
  vips: readonly string[],
  { greeting, routes, sessions }: BirdFacts,
): Verification {
  const found = [
    greeting,
    ...routes.map(({ prefix, protocol, device }) => `route ${prefix} of ${protocol} by ${device}`),
    ...sessions.map(({ name, info, announces }) => {
      const what = announces.length === 0 ? 'announces nothing of ours' : announces.join(', ');
      return `session ${name}: ${info === '' ? 'down' : info}, ${what}`;
    }),
  ];
  return { ...judgement(state, vips, routes, sessions), found };
}

function judgement(
  state: AnnounceState,
  vips: readonly string[],
  routes: readonly BirdRoute[],
  sessions: BirdFacts['sessions'],
): { ok: boolean; problem: string } {
  const bad = (problem: string) => ({ ok: false, problem });
  const stray = sessions.find(({ strays }) => strays.length > 0);
  if (stray !== undefined) {
    return bad(
      `BIRD announces ${stray.strays.join(', ')} to ${stray.name} whatever holdfast says: let its export filter accept only "where holdfast()" of these:\n${birdSnippet(vips)}`,
    );
  }
  if (state === 'down') {
    return routes.length === 0 ? { ok: true, problem: '' } : bad('BIRD still has the routes');
  }
  for (const family of familiesOf(vips)) {
    const ours = routes.filter(({ prefix }) => familyOf(prefix) === family);
    if (ours.length === 0) {
      return bad(
        `bird.conf has no IPv${family} route by way of the marker: add\n${birdSnippet(vips)}`,
      );
    }
    const wrong = ours.find(({ device }) => device !== MARKER_DEVICES[state]);
    if (wrong !== undefined) return bad(`BIRD still has ${wrong.prefix} by ${wrong.device}`);
    const isBgp = sessions.length > 0;
    const told = sessions.some(({ announces }) =>
      announces.some((one) => familyOf(one) === family),
    );
    if (isBgp && !told) {
      const isUp = sessions.some(({ info }) => info.startsWith('Established'));
      return bad(
        isUp
          ? `no BGP session announces the IPv${family} route: let its export filter accept "where holdfast()"`
          : 'no BGP session is established',
      );
    }
  }
  return { ok: true, problem: '' };
}
