/**
 * The one description of a configuration. Types, defaults, bounds, error texts, the JSON Schema and
 * the reference page are all made from it. The parsed form ({@link Config}) is complete: every
 * default is filled in, so no other room needs to know one.
 */
import { z } from 'zod';
import { datapath, mesh } from './agent-schema.ts';
import { announce } from './announce-schema.ts';
import { parseCidr } from './cidr.ts';
import { type Listener, parseListener } from './listener.ts';
import { type Origin, parseOrigin } from './origin.ts';
import { HOUR_MS, MIB, ms, oneOrMore, parsed, short, shorthand } from './schema-values.ts';

/** Where the admin server listens unless told otherwise. */
export const DEFAULT_ADMIN = '127.0.0.1:2019';
export const DEFAULT_ADMIN_PORT = 2019;

/** Name of a header or a cookie, RFC 9110 section 5.6.2. */
const token = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);

const cidr = parsed(parseCidr);

const listener = z
  .preprocess(
    short('at'),
    z.strictObject({
      at: parsed(parseListener).describe(
        '`:8080`, `192.0.2.10:443`, `https://[2001:db8::10]:8443`.',
      ),
      proxyProtocolFrom: z
        .array(cidr)
        .default([])
        .describe(
          'Peers whose connections must begin with a PROXY protocol header (v1 or v2). Any other peer must not send one.',
        ),
    }),
  )
  .meta(shorthand('string', 'a text alone stands for `{at: text}`'))
  .transform(({ at, proxyProtocolFrom }): Listener => ({ ...at, proxyProtocolFrom }));

const origin = z
  .preprocess(
    short('url'),
    z.strictObject({
      url: parsed(parseOrigin).describe('Where the origin listens: `host:port` or a URL.'),
      id: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/)
        .optional()
        .describe('Stable name, used in logs and sticky cookies. Default: derived from the URL.'),
    }),
  )
  .meta(shorthand('string', 'a text alone stands for `{url: text}`'))
  .transform(({ url, id }): Origin => ({ ...url, id: id ?? url.id }));

const timeouts = z
  .strictObject({
    connectMs: ms(1, 60_000).default(3_000).describe('Longest wait for a connection to an origin.'),
    headersMs: ms(1, HOUR_MS)
      .default(30_000)
      .describe('Longest wait for the head of an origin’s response, from the end of the request.'),
    bodyIdleMs: ms(1, HOUR_MS)
      .default(60_000)
      .describe('Longest silence within a body, in either direction.'),
    totalMs: ms(0, 24 * HOUR_MS)
      .default(0)
      .describe('Longest life of one request; 0 means no limit. Tunnels (WebSocket) are exempt.'),
    tunnelIdleMs: ms(1_000, 7 * 24 * HOUR_MS)
      .default(HOUR_MS)
      .describe('Longest silence, both ways, in a tunnel (WebSocket).'),
  })
  .describe('Time limits towards origins and within bodies, milliseconds.');

const health = z
  .preprocess(
    short('path'),
    z.strictObject({
      path: z.string().startsWith('/').describe('Requested with GET.'),
      intervalMs: ms(100, HOUR_MS).default(5_000).describe('From one check to the next.'),
      timeoutMs: ms(10, 60_000).default(2_000).describe('A slower answer counts as a failure.'),
      rise: z.int().min(1).max(100).default(2).describe('Successes in a row that make it healthy.'),
      fall: z
        .int()
        .min(1)
        .max(100)
        .default(3)
        .describe('Failures in a row that make it unhealthy.'),
      status: z
        .array(z.int().min(100).max(599))
        .default([])
        .describe('Accepted status codes. Default: 200 to 399.'),
      host: z.string().optional().describe('Host header of the check. Default: the origin’s own.'),
    }),
  )
  .meta(shorthand('string', 'a text alone stands for `{path: text}`'))
  .describe('Active health check.');

const ejection = z
  .strictObject({
    failures: z
      .int()
      .min(0)
      .max(1_000)
      .default(5)
      .describe('Failures in a row (no connection, time-out, broken answer) that eject; 0 is off.'),
    baseMs: ms(100, HOUR_MS).default(10_000).describe('First ejection; each further one doubles.'),
    maxMs: ms(100, 24 * HOUR_MS)
      .default(300_000)
      .describe('Longest ejection.'),
  })
  .describe(
    'Passive ejection of failing origins. Never ejects more than half of a route’s origins.',
  );

const retry = z
  .strictObject({
    attempts: z.int().min(0).max(10).default(2).describe('Further attempts after the first.'),
    budgetRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe('Retries allowed per request, averaged over the route’s recent requests.'),
  })
  .describe(
    'Another origin is tried only while nothing was sent back, for idempotent methods, or for any method while nothing reached the origin.',
  );

const balance = z
  .union([
    z.enum(['round-robin', 'least-connections', 'hash-client']),
    z.strictObject({
      hashHeader: token.describe('The same value of this request header, the same origin.'),
    }),
    z.strictObject({
      hashCookie: token.describe('The same value of this cookie, the same origin.'),
    }),
  ])
  .describe('How an origin is chosen: in turn, fewest requests in flight, or by a hash.');

const sticky = z
  .preprocess(
    (value) => (value === true ? {} : value),
    z.strictObject({
      cookie: token.default('holdfast-origin').describe('Name of the cookie.'),
      maxAgeS: z.int().min(0).max(31_536_000).default(0).describe('0 is a session cookie.'),
    }),
  )
  .meta(shorthand('true', '`true` stands for all defaults'))
  .describe(
    'Keeps a browser on the origin it was first given, by a cookie naming the origin’s id.',
  );

const routeLimits = z
  .strictObject({
    bodyBytes: z
      .int()
      .min(0)
      .default(1_024 * MIB)
      .describe('Largest request body; more is answered 413. 0 means no limit.'),
    connectionsPerOrigin: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(16_384)
      .describe('Requests and tunnels in flight at one origin, per worker.'),
    queue: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(1_024)
      .describe('Requests that wait when every origin is at its limit, per worker; more get 503.'),
    queueMs: ms(0, 600_000).default(5_000).describe('Longest wait in that queue, then 503.'),
  })
  .describe('Limits of one route.');

const redirect = z
  .preprocess(
    short('to'),
    z.strictObject({
      to: z.string().min(1).describe('Location; {host}, {path} and {query} are filled in.'),
      status: z.literal([301, 302, 303, 307, 308]).default(308).describe('Of the answer.'),
    }),
  )
  .meta(shorthand('string', 'a text alone stands for `{to: text}`'))
  .describe('Answers with a redirect instead of asking an origin.');

const route = z
  .preprocess(
    (value) => (typeof value === 'string' || Array.isArray(value) ? { to: value } : value),
    z
      .strictObject({
        to: oneOrMore(origin).optional().describe('Origins: `host:port` or a URL.'),
        redirect: redirect.optional(),
        balance: balance.default('round-robin'),
        sticky: sticky.optional(),
        health: health.optional(),
        ejection: ejection.prefault({}),
        retry: retry.prefault({}),
        timeouts: timeouts.prefault({}),
        limits: routeLimits.prefault({}),
        stripPrefix: z
          .string()
          .startsWith('/')
          .optional()
          .describe('Removed from the start of the path before the origin sees it.'),
        host: z
          .union([
            z.enum(['preserve', 'origin']),
            z.strictObject({ name: z.string().min(1).describe('Sent as it is.') }),
          ])
          .default('preserve')
          .describe('Host header sent to the origin: the client’s, the origin’s own, or a name.'),
        proxyProtocol: z
          .enum(['off', 'v1', 'v2'])
          .default('off')
          .describe('PROXY protocol header sent to the origins of this route.'),
      })
      .refine((r) => (r.to === undefined) !== (r.redirect === undefined), {
        message: 'a route needs either "to" (origins) or "redirect"',
      }),
  )
  .meta(shorthand('string or array', 'an origin, or a list of them, stands for `{to: …}`'))
  .describe('Where requests go.');

const certificate = z.strictObject({
  cert: z.string().min(1).describe('PEM file, or PEM text: the certificate and its chain.'),
  key: z.string().min(1).describe('PEM file, or PEM text: the private key.'),
});

const site = z
  .preprocess(
    (value) =>
      typeof value === 'string' || Array.isArray(value) ? { routes: { '/*': value } } : value,
    z.strictObject({
      tls: oneOrMore(certificate)
        .optional()
        .describe('Certificates (say one RSA and one ECDSA). Needed to answer on https listeners.'),
      whenUnhealthy: z
        .enum(['degrade', 'withdraw', 'ignore'])
        .default('degrade')
        .describe(
          'What the announcement of the node does while no origin of the site is healthy. Active health checks decide.',
        ),
      redirectToHttps: z
        .boolean()
        .default(false)
        .describe('Plain requests are redirected (308) to https.'),
      routes: z
        .record(z.string().startsWith('/'), route)
        .describe('Keys are paths: `/exact`, `/prefix/*`, `/users/*/avatar`. The most exact wins.'),
    }),
  )
  .meta(
    shorthand('string or array', 'an origin, or a list of them, stands for `{routes: {"/*": …}}`'),
  )
  .describe('How requests for one host name are answered.');

const admin = z
  .preprocess(
    (value) => (value === 'off' ? null : value),
    parsed((text) => parseListener(text, DEFAULT_ADMIN_PORT)).nullable(),
  )
  .describe('Address of metrics, health and status; `off` for none.');

/** @see docs/reference/config.md, which is printed from this schema. */
export const configSchema = z.strictObject({
  node: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional()
    .describe('Name of this node, unique among all. Default: the host name.'),
  pop: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional()
    .describe('Name of the site. Default: the node’s name.'),
  vips: z
    .array(listener)
    .default([])
    .describe('Anycast addresses and ports: listened on, and kept alive across pop switches.'),
  listen: z.array(listener).default([]).describe('Further addresses to listen on.'),
  workers: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe('Processes that carry user traffic. Default: one per core.'),
  trustedProxies: z
    .array(cidr)
    .default([])
    .describe('Peers whose Forwarded and X-Forwarded-* headers are believed. Default: nobody.'),
  limits: z
    .strictObject({
      headBytes: z
        .int()
        .min(1_024)
        .max(MIB)
        .default(16_384)
        .describe('Largest request head; more is answered 431.'),
      headMs: ms(100, 600_000)
        .default(10_000)
        .describe('Longest time for a whole request head; then 408.'),
      keepAliveMs: ms(0, HOUR_MS).default(65_000).describe('Longest idle keep-alive connection.'),
      connections: z.int().min(1).default(100_000).describe('Client connections, per worker.'),
      connectionsPerClient: z
        .int()
        .min(1)
        .default(4_096)
        .describe('Connections of one client address (IPv6: of one /64), per worker.'),
    })
    .prefault({})
    .describe('Limits towards clients.'),
  drain: z
    .strictObject({
      deadlineMs: ms(0, HOUR_MS).default(30_000).describe('After TERM, what still runs is cut.'),
      tunnelSpreadMs: ms(0, HOUR_MS)
        .default(10_000)
        .describe('WebSockets are closed (1012) evenly over this time.'),
    })
    .prefault({})
    .describe('How the node stops, and how long a replaced route may finish.'),
  upgrade: z
    .strictObject({
      readyMs: ms(1_000, HOUR_MS)
        .default(60_000)
        .describe('A new release that is not ready by then is ended, and the old one goes on.'),
      deadlineMs: ms(0, 14 * 24 * HOUR_MS)
        .default(0)
        .describe(
          'What the workers of the old release still have by then is drained as after TERM; 0 means that they finish it, however long that takes.',
        ),
    })
    .prefault({})
    .describe('How a new release takes over (`holdfast upgrade`).'),
  accessLog: z
    .union([
      z.enum(['stdout', 'off']),
      z.strictObject({
        file: z
          .string()
          .min(1)
          .describe('Appended to, and opened anew by every reload (for logrotate).'),
      }),
    ])
    .default('stdout')
    .describe('Where a JSON line per request goes.'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('Least severity that is logged to stderr, as JSON lines.'),
  admin: admin.prefault(DEFAULT_ADMIN),
  mesh: mesh.optional(),
  datapath: datapath.optional(),
  announce: announce.optional(),
  sites: z
    .record(z.string().min(1), site)
    .describe('Keys are host names: `app.example.com`, `*.example.com`, or `*` for any.'),
});

/** What a user may write. */
export type ConfigInput = z.input<typeof configSchema>;
/** A complete configuration: everything optional has its default. */
export type Config = z.output<typeof configSchema>;
export type MeshConfig = z.output<typeof mesh>;
export type DatapathConfig = z.output<typeof datapath>;
export type AnnounceConfig = z.output<typeof announce>;
export type SiteConfig = Config['sites'][string];
export type RouteConfig = SiteConfig['routes'][string];
export type HealthConfig = z.output<typeof health>;
export type EjectionConfig = z.output<typeof ejection>;
export type RetryConfig = z.output<typeof retry>;
export type BalanceConfig = z.output<typeof balance>;
export type StickyConfig = z.output<typeof sticky>;
export type RouteLimits = z.output<typeof routeLimits>;
export type RouteTimeouts = z.output<typeof timeouts>;
