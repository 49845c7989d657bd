/** What a schema cannot say about a scenario: things that must fit together. Pure. */
import type { ConfigPath } from '../../../src/config/problem.ts';
import { actionsOf, fewestPops, type Scenario, shortestDurationMs } from './scenario.ts';

export interface ScenarioFinding {
  readonly path: ConfigPath;
  readonly message: string;
}

/** Only BGP knows of announcements; a route put into the router's kernel would hide them. */
const BY_BGP_ONLY: readonly string[] = ['withdraw', 'announce', 'drain'];

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
  for (const [index, action] of before.entries()) {
    if (action.do === 'flip' || BY_BGP_ONLY.includes(action.do)) {
      say(
        ['before', index, 'do'],
        `${action.do} can only happen while sessions run: move it to events`,
      );
    }
  }
  for (const [index, event] of events.entries()) {
    if (flip === 'route' && BY_BGP_ONLY.includes(event.do)) {
      say(['events', index, 'do'], `${event.do} works by BGP: remove "flip: route"`);
    }
    if (event.do === 'split' && event.percent !== undefined && event.by !== 'packet') {
      say(['events', index, 'percent'], `a share of packets needs "by: packet"`);
    }
    if (
      event.everyMs !== undefined &&
      !['flip', 'withdraw', 'announce', 'drain'].includes(event.do)
    ) {
      say(['events', index, 'everyMs'], `${event.do} cannot be repeated`);
    }
  }
  const moves = actionsOf(scenario).map((action) => action.do);
  if (moves.includes('flip') && moves.some((name) => BY_BGP_ONLY.includes(name))) {
    say(['events'], 'flip does not go together with withdraw, announce and drain: use one way');
  }
  return found;
}
