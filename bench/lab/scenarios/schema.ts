/**
 * The one description of a scenario file. Types, bounds, error texts and the reference page are all
 * made from it. A scenario says who talks, what happens when, and what must come out.
 */
import { z } from 'zod';
import { SESSION_KINDS } from '../clients/event.ts';
import { DELAY_MS_MAX, LOSS_PERCENT_MAX, POPS_MAX } from '../topology.ts';

/** Longest run, an hour. */
export const DURATION_MS_MAX = 3_600_000;
/** Most sessions of one kind. */
const SESSIONS_MAX = 15_000;
/** Bounds of a flood, whatever a file asks for. */
const FLOOD_PACKETS_PER_S_MAX = 20_000;
const FLOOD_MS_MAX = 60_000;
const EVENTS_MAX = 1_000;

const timeMs = () => z.int().min(0).max(DURATION_MS_MAX);

/** PoPs are named by letter: `a` is the router's first choice, `b` its second, and so on. */
const POP_LETTERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;
const pop = () => z.enum(POP_LETTERS).describe('The PoP; `a` is the router’s first choice.');

/** What can happen, by its name in `do`. */
const ACTIONS = {
  flip: {
    about: 'the route moves to another PoP',
    keys: {
      to: z
        .enum(['next', 'best', ...POP_LETTERS])
        .describe('`next` in the order of preference, `best` of all, or a PoP.'),
    },
  },
  withdraw: {
    about:
      'a PoP stops announcing; the route goes to the best of the others. By BGP only; `holdfast announce off` where holdfast announces',
    keys: { pop: pop() },
  },
  announce: {
    about:
      'a PoP announces again, as preferred as it was. By BGP only; `holdfast announce auto` or `holdfast resume` where holdfast announces',
    keys: { pop: pop() },
  },
  drain: {
    about:
      'a PoP announces worse, as before maintenance: GRACEFUL_SHUTDOWN (RFC 8326). Sessions go on. By BGP only; `holdfast drain` where holdfast announces',
    keys: { pop: pop() },
  },
  upgrade: {
    about:
      '`holdfast upgrade` on a PoP: a new release takes over the listening sockets. For holdfast as server',
    keys: { pop: pop() },
  },
  'origin-down': {
    about:
      'the origin’s health checks fail from now on, for one PoP or for all; it goes on serving whoever asks',
    keys: { pop: pop().optional() },
  },
  'origin-up': {
    about: 'the health checks succeed again',
    keys: { pop: pop().optional() },
  },
  'kill-agent': {
    about: 'the healing agent of a PoP is killed (SIGKILL) and stays away; the server goes on',
    keys: { pop: pop() },
  },
  kill: {
    about:
      'everything on a PoP is killed (SIGKILL) but its routing daemon: server and agent. Its kernel lives, and resets what they had open',
    keys: { pop: pop() },
  },
  'await-route': {
    about:
      'the route must come to a PoP by then; the next event waits for it. Without healing it is not looked at',
    keys: {
      pop: pop(),
      withinMs: z.int().min(1).max(600_000).describe('The run fails when it takes longer.'),
    },
  },
  split: {
    about: 'from now on the router spreads the packets of one flow',
    keys: {
      by: z
        .enum(['packet', 'syn', 'ttl', 'ecn', 'errors'])
        .describe(
          'What decides: `packet`: chance. `syn`: SYNs to the best PoP, all else to the next (a split in mid-handshake). `ttl`: the TTL, which a box lowers in SYNs. `ecn`: the ECN bits (RFC 3168). `errors`: ICMP errors to the next PoP, TCP follows the route.',
        ),
      percent: z
        .number()
        .min(1)
        .max(100)
        .optional()
        .describe(
          'For `packet`: this share of packets goes to one of the PoPs other than the best. Default: every PoP gets an equal share.',
        ),
    },
  },
  join: { about: 'ends a split', keys: {} },
  mtu: {
    about: 'the link between router and clients carries smaller packets from now on',
    keys: { bytes: z.int().min(1_280).max(1_500) },
  },
  delay: {
    about: 'links become as long as this',
    keys: {
      ms: z.number().min(0).max(DELAY_MS_MAX).describe('Each way.'),
      where: z
        .enum(['clients', 'backbone'])
        .describe('Between clients and router, or between any two PoPs.'),
    },
  },
  loss: {
    about: 'this share of frames between clients and router is lost from now on, each way',
    keys: { percent: z.number().min(0).max(LOSS_PERCENT_MAX) },
  },
  'mesh-loss': {
    about: 'part of what PoPs send each other over the backbone is lost, relayed packets excepted',
    keys: { percent: z.int().min(1).max(100) },
  },
  partition: {
    about: 'a PoP no longer reaches the other PoPs over the backbone',
    keys: { pop: pop() },
  },
  mend: { about: 'ends `mesh-loss` and `partition`', keys: {} },
  crash: {
    about: 'a PoP dies without a last word: power off',
    keys: {
      pop: pop(),
      quietly: z
        .boolean()
        .optional()
        .describe(
          'The router’s link to it stays up: BGP must find out by itself, by BFD or hold timer.',
        ),
    },
  },
  'restart-agent': {
    about: 'the healing agent of a PoP is killed and started again',
    keys: { pop: pop() },
  },
  flood: {
    about: 'segments from addresses that nobody has, in the background',
    keys: {
      segment: z.enum(['syn', 'ack']),
      packetsPerS: z.int().min(1).max(FLOOD_PACKETS_PER_S_MAX),
      forMs: z.int().min(1).max(FLOOD_MS_MAX),
    },
  },
} as const;

type Actions = typeof ACTIONS;
export type ActionName = keyof Actions;
type Keys<N extends ActionName> = z.output<z.ZodObject<Actions[N]['keys'], z.core.$strict>>;

/** One thing that happens. */
export type ScenarioAction = {
  [N in ActionName]: { readonly do: N } & Readonly<Keys<N>>;
}[ActionName];

/** One thing that happens at a time, perhaps again and again. */
export type ScenarioEvent = ScenarioAction & {
  /** Counted from the moment when all clients run. */
  readonly atMs: number;
  /** Repeats it with this period until `tailMs` before the end. */
  readonly everyMs?: number | undefined;
};

const timing = {
  atMs: timeMs().describe('Counted from the moment when all clients run.'),
  everyMs: z
    .int()
    .min(10)
    .max(DURATION_MS_MAX)
    .optional()
    .describe('Repeats it with this period until `tailMs` before the end.'),
};

type AnyObject = z.ZodObject<z.core.$ZodLooseShape, z.core.$strict>;

/** A discriminated union of all actions, each with `shape` beside its own keys. */
function actions<T>(shape: z.core.$ZodLooseShape): z.ZodType<T> {
  const forms = Object.entries(ACTIONS).map(([name, { about, keys }]) =>
    z.strictObject({ ...shape, do: z.literal(name), ...keys }).describe(about),
  ) as AnyObject[];
  return z.discriminatedUnion(
    'do',
    forms as [AnyObject, ...AnyObject[]],
  ) as unknown as z.ZodType<T>;
}

/** What each action is, for messages and the reference page. */
export const actionAbout = (name: ActionName): string => ACTIONS[name].about;
/** The keys that an action has beside `do` and its times. */
export const actionKeys = (name: ActionName): AnyObject => z.strictObject(ACTIONS[name].keys);
export const ACTION_NAMES = Object.keys(ACTIONS) as ActionName[];

const EXPECTATIONS = ['survive', 'endure', 'reset', 'lose', 'some', 'any'] as const;
/**
 * What must become of the sessions. Those that outlive any one connection (`connect`, `visit`,
 * `reconnect`) count for `survive` only.
 *
 * - `survive`: every one goes on to its planned end.
 * - `endure`: the same, but new connections may fail.
 * - `reset`: none does, and each is told so by a reset: nobody hangs.
 * - `lose`: none does.
 * - `some`: at least one does not.
 * - `any`: nothing is promised.
 */
export type Expectation = (typeof EXPECTATIONS)[number];

const expectation = z.enum(EXPECTATIONS);

const KIND_TEXTS: Readonly<Record<(typeof SESSION_KINDS)[number], string>> = {
  download: 'curl downloads.',
  upload: 'curl uploads.',
  websocket: 'WebSocket echo streams.',
  sse: 'Streams of server-sent events.',
  idle: 'WebSockets that are silent until the end, when each sends one message.',
  keepalive: 'Clients that ask one question after the other over one connection.',
  connect: 'Clients that make a new connection for each question.',
  visit: 'Clients that make one connection of about 3 s after the other.',
  reuse: 'Clients that use one source port for connection after connection.',
  reconnect:
    'Clients that ask one question after the other and connect again whenever a connection ends; by https with `tls`.',
  psql: 'psql sessions; for PostgreSQL only, which brings them itself.',
  ssh: 'ssh terminals; for sshd only, which brings them itself.',
};

const clients = z
  .strictObject(
    Object.fromEntries(
      SESSION_KINDS.map((kind) => [
        kind,
        z.int().min(0).max(SESSIONS_MAX).optional().describe(KIND_TEXTS[kind]),
      ]),
    ) as Record<(typeof SESSION_KINDS)[number], z.ZodOptional<z.ZodInt>>,
  )
  .describe('How many sessions of each kind, for servers that speak HTTP. Others bring their own.');

export const scenarioSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/)
    .describe('Lower case letters, digits and hyphens.'),
  about: z.string().min(1).max(200).describe('One line for lists: what happens.'),
  standsFor: z
    .string()
    .max(400)
    .default('')
    .describe('The measured or published figure that the scenario stands for.'),
  durationMs: z
    .int()
    .min(500)
    .max(DURATION_MS_MAX)
    .describe('From the moment when all clients run to the planned end of the last session.'),
  tailMs: timeMs()
    .default(0)
    .describe('Nothing happens in the last part, so that the last event’s effect can be seen.'),
  pops: z.int().min(2).max(POPS_MAX).default(3).describe('Number of PoPs.'),
  links: z
    .strictObject({
      delayMs: z
        .number()
        .min(0)
        .max(DELAY_MS_MAX)
        .default(0)
        .describe('Added between clients and router, each way.'),
      lossPercent: z
        .number()
        .min(0)
        .max(LOSS_PERCENT_MAX)
        .default(0)
        .describe('Of frames between clients and router, each way.'),
      backboneDelayMs: z
        .number()
        .min(0)
        .max(DELAY_MS_MAX)
        .default(0)
        .describe('Added between any two PoPs, each way.'),
      bfdMs: z
        .int()
        .min(0)
        .max(5_000)
        .default(0)
        .describe(
          'BFD between PoPs and router at this interval; five silent ones are a death. 0: none, the hold time of BGP is 30 s.',
        ),
    })
    .prefault({})
    .describe('Long links: by netem where the kernel has it, by a relay elsewhere.'),
  flip: z
    .enum(['bgp', 'route'])
    .optional()
    .describe(
      'The only way to move the route that serves: by BGP, or at once in the router where BGP is too slow. Default: BGP, and `--flip` may change it.',
    ),
  announcing: z
    .enum(['lab', 'bird', 'exabgp'])
    .default('lab')
    .describe(
      'Who announces the VIP. `lab`: static routes that events switch. `bird`, `exabgp`: with healing on holdfast does, through that daemon; events are commands to holdfast, and BGP moves the route. With healing off as `lab`.',
    ),
  agent: z
    .enum(['beside', 'within'])
    .default('beside')
    .describe(
      'With healing on. `beside`: an agent beside the server. `within`: where holdfast is the server, one `holdfast run` with mesh, datapath and announcement.',
    ),
  tls: z
    .boolean()
    .default(false)
    .describe('The VIP serves https on port 443, too; by holdfast and nginx.'),
  announcementsPerMinuteMax: z
    .int()
    .min(1)
    .max(1_000)
    .optional()
    .describe(
      'With healing on no PoP may send the router more updates and withdrawals than these.',
    ),
  clients,
  everyMs: z
    .int()
    .min(1)
    .max(60_000)
    .default(20)
    .describe('From one message of a stream to the next, and from question to question.'),
  transferBytes: z
    .int()
    .min(1_024)
    .max(1_073_741_824)
    .default(4_194_304)
    .describe('Size of one download or upload; its rate follows from it and the duration.'),
  stallMs: z
    .int()
    .min(500)
    .max(600_000)
    .default(10_000)
    .describe('A session without progress for this long has stalled.'),
  before: z
    .array(actions<ScenarioAction>({}))
    .max(EVENTS_MAX)
    .default([])
    .describe('Done before the first client starts, so that connections are made under it.'),
  events: z
    .array(actions<ScenarioEvent>(timing))
    .max(EVENTS_MAX)
    .default([])
    .describe('What happens while the sessions run.'),
  expected: z
    .strictObject({
      on: expectation.describe('With the agent beside the server.'),
      off: expectation.describe('Without.'),
    })
    .describe(
      'What must become of the sessions: `survive`: all reach their planned end. `endure`: so do those that live by one connection; new connections may fail. `reset`: none does, and none hangs. `lose`: none does. `some`: at least one does not. `any`: nothing is promised.',
    ),
  workers: z
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe('Processes of the server under test on each PoP, where it can have several.'),
  servers: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'The only servers that the benchmark runs it with. Default: all that it is asked for.',
    ),
  repetitions: z.int().min(1).max(100).default(1).describe('How often the benchmark runs it.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(1)
    .describe('All contents follow from it, unless the command names another.'),
});

/** A scenario, every default filled in. Plain data. */
export type Scenario = z.output<typeof scenarioSchema>;
/** As written in a file. */
export type ScenarioInput = z.input<typeof scenarioSchema>;
