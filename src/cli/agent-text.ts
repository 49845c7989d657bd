/** An agent's state for people. A core without IO. */
import type { AgentAnnounceStatus } from '../agent/agent-announce.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import type { SwitchedFlow } from '../agent/switched-flows.ts';
import { columns, durationText, sessionsText } from './table.ts';

/** Switched flows shown. */
const SHOWN_MAX = 12;

/** @param alone False when it stands below the status of an edge on the same node. */
export function agentText(status: AgentStatus, alone = true): string {
  const { members, tickets, verdicts, switched, homes } = status;
  const others = members.alive + members.suspect - 1;
  const gone = [
    members.suspect > 0 ? `${members.suspect} suspect` : '',
    members.dead > 0 ? `${members.dead} dead` : '',
    members.left > 0 ? `${members.left} left` : '',
  ].filter((part) => part !== '');
  const relayed = verdicts.relay_ticket + verdicts.find;
  const head = columns([
    ...(alone ? [['node', `${status.node} (PoP ${status.pop})`]] : []),
    ['agent', `${status.state}, up ${durationText(status.uptimeMs)}, pid ${status.pid}`],
    ...(alone ? [['version', status.version]] : []),
    ['heals', status.vips.length > 0 ? status.vips.join(' ') : 'nothing: it has no datapath'],
    [
      'mesh',
      `${others} other ${others === 1 ? 'node' : 'nodes'}${gone.length > 0 ? `; ${gone.join(', ')}` : ''}; homes on ${homes.nodes}${homes.settling ? ', settling' : ''}`,
    ],
    ...(status.announce === null ? [] : [['announces', announcesText(status.announce)]]),
    ['tickets', `${tickets.owned} own, ${tickets.kept} of others, ${tickets.halfOpen} half-open`],
    [
      'switched',
      `${switched.total} flows, ${relayed} packets relayed away, ${verdicts.delivered} delivered here`,
    ],
  ]);
  const degraded = status.degraded.map((reason) => `degraded: ${reason}`);
  const flows = switched.recent.length === 0 ? [] : ['', switchedText(switched.recent)];
  return [head, ...degraded, ...flows].join('\n');
}

/** One line; `holdfast announce` tells more. */
function announcesText({ state, hold, drain, routing }: AgentAnnounceStatus): string {
  const held = hold === 'auto' ? '' : `, held ${hold}`;
  const draining = drain === null ? '' : `, ${drain.phase}, ${sessionsText(drain.sessions)} left`;
  return `${state}${held}${draining} (${routing.driver} ${routing.ok ? 'follows' : 'does not follow'})`;
}

function switchedText(recent: readonly SwitchedFlow[]): string {
  const rows = recent
    .slice(0, SHOWN_MAX)
    .map(({ at, client, vip, entry, owner, foundBy }) => [
      at.slice(11, 23),
      client,
      vip,
      entry,
      owner ?? '?',
      foundBy,
    ]);
  return columns([['SWITCHED', 'CLIENT', 'VIP', 'ENTRY', 'OWNER', 'FOUND BY'], ...rows]);
}
