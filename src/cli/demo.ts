/** `holdfast demo`: the problem in a minute, with real sessions. */
import { type Command, Option } from 'commander';
import { type HealingDriver, healingDrivers } from '../../bench/lab/healing/healing.ts';
import { interruptible } from '../../bench/lab/interruption.ts';
import type { LabResult } from '../../bench/lab/measure/result.ts';
import { conclusion } from '../../bench/lab/report/conclusion.ts';
import { openConsole } from '../../bench/lab/report/console.ts';
import { type Column, comparisonTable } from '../../bench/lab/report/table.ts';
import { LAB_PROGRAMS, requirePrograms, requireRoot } from '../../bench/lab/requirements.ts';
import { runScenario } from '../../bench/lab/run.ts';
import { scenarioNamed } from '../../bench/lab/scenarios/registry.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { withLab } from '../../bench/lab/with-lab.ts';
import { exitCodes } from './exit.ts';
import { familyOption, labAction, popsOption, serverOption } from './lab.ts';

interface DemoFlags {
  server: string;
  family: string;
  pops: number;
}

/** One run of the demo: a column of its table. */
interface Act {
  readonly scenario: string;
  readonly healing: HealingDriver;
  readonly title: readonly [string, string];
}

/** The control first, then the route moves: without healing, and with it once it exists. */
function acts(): Act[] {
  const off = healingDrivers.find((driver) => driver.mode === 'off')!;
  return [
    { scenario: 'no-flip', healing: off, title: ['route stays', ''] },
    ...healingDrivers.map(
      (healing): Act => ({
        scenario: 'single-flip',
        healing,
        title: ['route moves', `healing ${healing.mode}`],
      }),
    ),
  ];
}

/** Adds `holdfast demo`. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('a lab, a route change, and what it does to live sessions; about half a minute')
    .addOption(serverOption())
    .addOption(familyOption())
    .addOption(popsOption())
    .addOption(
      new Option('--flip <how>', 'how the route moves').choices(['bgp', 'route']).default('bgp'),
    )
    .action((flags: DemoFlags & { flip: 'bgp' | 'route' }) => labAction(() => demo(flags)));
}

async function demo(flags: DemoFlags & { flip: 'bgp' | 'route' }): Promise<number> {
  requireRoot();
  const server = serverNamed(flags.server);
  const healing = healingDrivers.flatMap((driver) => driver.programs ?? []);
  await requirePrograms([...LAB_PROGRAMS, ...server.programs, ...healing]);
  const title = (text: string) =>
    `holdfast demo · ${text} · server ${server.name} · IPv${flags.family}`;
  const screen = openConsole(title('setting up'));
  const columns = await interruptible(async (signal): Promise<Column[]> => {
    const options = {
      server,
      family: Number(flags.family) as Family,
      pops: flags.pops,
      progress: screen,
      signal,
    };
    return await withLab(options, async (lab) => {
      const done: Column[] = [];
      for (const act of acts()) {
        const name = act.title.filter((part) => part !== '').join(', ');
        screen.begin(title(name));
        const scenario = scenarioNamed(act.scenario);
        const result: LabResult = await runScenario(lab, {
          scenario,
          healing: act.healing,
          flip: flags.flip,
          seed: 1,
          durationMs: scenario.durationMs,
          clients: scenario.clients,
          observer: screen,
          signal,
        });
        done.push({ title: act.title, result });
        const { survived, started } = result.sessions;
        screen.note(`done: ${name}: ${survived} of ${started} sessions survived`);
      }
      return done;
    });
  }).finally(() => screen.close());
  const lines = [...comparisonTable(columns), '', ...conclusion(columns.map((c) => c.result))];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  return exitCodes.ok;
}
