/** The part of a configuration that says how health becomes routes. */
import { z } from 'zod';
import { parseCidr } from './cidr.ts';
import { ms, oneOrMore, parsed, short, shorthand } from './schema-values.ts';

const path = z.string().startsWith('/');

/** One line of printable characters. */
const line = z.string().regex(/^[ -~]{0,500}$/);

const check = z
  .preprocess(
    short('url'),
    z.strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .describe('Asked with GET every second; certificates are not verified.'),
      timeoutMs: ms(10, 60_000).default(1_000).describe('A slower answer counts as a failure.'),
      status: z
        .array(z.int().min(100).max(599))
        .default([])
        .describe('Accepted status codes. Default: 200 to 399.'),
      failing: z
        .enum(['degrade', 'withdraw'])
        .default('withdraw')
        .describe('What a failing check does to the announcement.'),
    }),
  )
  .meta(shorthand('string', 'a text alone stands for `{url: text}`'))
  .describe('A question to the server that answers on the VIPs, for a node without edge.');

const exabgp = z
  .strictObject({
    socket: path
      .default('/run/holdfast/exabgp.sock')
      .describe('Where the program that ExaBGP runs (`holdfast announce exabgp`) finds the agent.'),
    prefixes: oneOrMore(parsed(parseCidr)).describe('Networks to announce.'),
    nextHop: z
      .strictObject({
        ipv4: line.default('self').describe('Of IPv4 networks: an address, or `self`.'),
        ipv6: line.default('self').describe('Of IPv6 networks.'),
      })
      .prefault({})
      .describe('Next hops.'),
    attributes: z
      .strictObject({
        up: line.default('med 100').describe('While up.'),
        degraded: line.default('med 200').describe('While degraded: worse than up.'),
        draining: line
          .default('med 300 community [65535:0]')
          .describe('While draining: worse still, with GRACEFUL_SHUTDOWN (RFC 8326).'),
      })
      .prefault({})
      .describe('Attributes of the routes, in the words of ExaBGP.'),
  })
  .describe('Of the driver `exabgp`.');

const exec = z
  .strictObject({
    command: oneOrMore(z.string().min(1)).describe(
      'Program and first arguments. The state follows as the last: `up`, `degraded`, `draining` or `down`. Run for each change and again within `deadManMs`.',
    ),
    timeoutMs: ms(10, 600_000)
      .default(10_000)
      .describe('A command that takes longer is killed and counts as failed.'),
  })
  .describe('Of the driver `exec`.');

export const announce = z
  .strictObject({
    driver: z
      .enum(['bird', 'kernel', 'exabgp', 'exec'])
      .describe(
        'Who is told: BIRD 2; any daemon that follows the marker address in the kernel, such as FRR; ExaBGP; a command.',
      ),
    socket: path
      .default('/run/bird/bird.ctl')
      .describe('Control socket of BIRD, to see whether it follows.'),
    exabgp: exabgp.optional(),
    exec: exec.optional(),
    deadManMs: ms(3_000, 300_000)
      .default(15_000)
      .describe(
        'An announcement ends this long after the agent’s last word. Covers restarts and upgrades of the agent.',
      ),
    check: check.optional(),
    rise: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('Good looks in a row, one a second, to believe.'),
    fall: z.int().min(1).max(100).default(3).describe('Bad looks in a row to believe.'),
    improveAfterMs: ms(0, 300_000)
      .default(10_000)
      .describe(
        'After a failure, health must last this long before it is announced better; doubles with each further one, for ten minutes.',
      ),
    changesPerMinute: z
      .int()
      .min(4)
      .max(60)
      .default(6)
      .describe('Most changes of the announcement that health makes in any minute.'),
    failOpen: z
      .boolean()
      .default(true)
      .describe(
        'The last node that is well enough stays announced (degraded) when all origins fail: it may be a mistake of the checks.',
      ),
    whenIsolated: z
      .enum(['ignore', 'degrade'])
      .default('ignore')
      .describe(
        'What the announcement does while the node is cut off from most others. A worse one moves the node’s own sessions to nodes that cannot bring them back to it: they end.',
      ),
    drain: z
      .strictObject({
        convergeMs: ms(0, 600_000)
          .default(10_000)
          .describe('How long a worse route is announced before it is withdrawn.'),
        deadlineMs: ms(0, 24 * 3_600_000)
          .default(60_000)
          .describe(
            'From the start of a drain until sessions that are left are asked to end; `drain.deadlineMs` follows.',
          ),
      })
      .prefault({})
      .describe('How the node leaves service.'),
    stateDirectory: path
      .optional()
      .describe(
        'Keeps a hold or a drain across restarts of the agent. Default: that of systemd, else /var/lib/holdfast.',
      ),
  })
  .describe('How health becomes routes. Needs `mesh`, `datapath` and `vips`.');
