/** What a schema cannot say about a scenario: things that must fit together. Pure. */
import type { ConfigPath } from '../../../src/config/problem.ts';
import {
  actionsOf,
  fewestPops,
  rankOf,
  type Scenario,
  shortestDurationMs,
  timeline,
} from './scenario.ts';

/** Only BGP knows of announcements; a route put into the router's kernel would hide them. */
const BY_BGP_ONLY: readonly string[] = ['withdraw', 'announce', 'drain'];
/** What moves the route: may happen again and again, but not before there are sessions. */
const MOVES: readonly string[] = ['flip', ...BY_BGP_ONLY];
const REPEATABLE: readonly string[] = [...MOVES, 'origin-down', 'origin-up'];
/** Things that only sessions under way can feel. */
const DURING: readonly string[] = [...MOVES, 'upgrade', 'kill', 'kill-agent', 'await-route'];

export interface ScenarioFinding {
  readonly path: ConfigPath;
  readonly message: string;
}

/** Everything that does not fit; empty when all does. */
export function checkScenario(scenario: Scenario): ScenarioFinding[] {
  const { before, events, clients, durationMs, pops, flip, tailMs } = scenario;
  const found: ScenarioFinding[] = [];
  const say = (path: ConfigPath, message: string) => found.push({ path, message });
  if (Object.values(clients).every((count) => (count ?? 0) === 0)) {
    say(['clients'], 'there must be at least one session');
  }
  const fewest = fewestPops(scenario);
  if (pops < fewest) say(['pops'], `an event names a PoP beyond these: write at least ${fewest}`);
  const shortestMs = shortestDurationMs(scenario);
  if (durationMs < shortestMs) {
    say(['durationMs'], `the last event and tailMs (${tailMs}) need at least ${shortestMs}`);
  }
  for (const [list, actions] of Object.entries({ before, events })) {
    for (const [index, action] of actions.entries()) {
      if (action.do === 'split' && action.percent !== undefined && action.by !== 'packet') {
        say([list, index, 'percent'], 'a share of packets needs "by: packet"');
      }
    }
  }
  for (const [index, action] of before.entries()) {
    if (!DURING.includes(action.do)) continue;
    const text = `${action.do} can only happen while sessions run: move it to events`;
    say(['before', index, 'do'], text);
  }
  for (const [index, event] of events.entries()) {
    if (flip === 'route' && BY_BGP_ONLY.includes(event.do)) {
      say(['events', index, 'do'], `${event.do} works by BGP: remove "flip: route"`);
    }
    if (event.everyMs !== undefined && !REPEATABLE.includes(event.do)) {
      say(['events', index, 'everyMs'], `${event.do} cannot be repeated`);
    }
  }
  const moves = actionsOf(scenario).map((action) => action.do);
  if (moves.includes('flip') && moves.some((name) => BY_BGP_ONLY.includes(name))) {
    say(['events'], 'flip does not go together with withdraw, announce and drain: use one way');
  }
  if (scenario.announcing !== 'lab' && (moves.includes('flip') || flip === 'route')) {
    say(['announcing'], 'holdfast moves the route itself: use drain, withdraw and announce');
  }
  const silentAtMs = nobodyAnnouncesAtMs(scenario);
  if (silentAtMs !== undefined) {
    say(['events'], `at ${silentAtMs} ms the last PoP that announces would stop: announce another`);
  }
  return found;
}

/** When the VIP would be announced by nobody; `undefined` when it always is by somebody. */
function nobodyAnnouncesAtMs(scenario: Scenario): number | undefined {
  const silent = new Set<number>();
  for (const { atMs, action } of timeline(scenario, scenario.durationMs)) {
    const isLab = scenario.announcing === 'lab';
    // holdfast withdraws what it has drained.
    if (action.do === 'withdraw' || (action.do === 'drain' && !isLab)) {
      silent.add(rankOf(action.pop));
    } else if (action.do === 'announce' || action.do === 'drain') {
      silent.delete(rankOf(action.pop));
    }
    if (silent.size >= scenario.pops) return atMs;
  }
  return undefined;
}
