/** The Lua script with which wrk tells its counts exactly, and what it then says. A core without IO. */

export interface WrkCounts {
  /** Complete answers. */
  readonly requests: number;
  /** Bytes read, with those of incomplete answers. */
  readonly bytes: number;
  readonly micros: number;
  /** Answers other than 2xx and 3xx, and failures of sockets. */
  readonly failed: number;
}

const MARK = 'counts ';

/**
 * @param requestsMax ends the run early, for tests. Looking at each answer slows wrk down, so the
 *   script of a measurement does not.
 */
export function wrkScript(requestsMax?: number): string {
  const line = (values: string) =>
    `io.write(string.format("${MARK}%d %d %d %d\\n", ${values}))\nio.flush()`;
  const done = `function done(s)
local e = s.errors
${line('s.requests, s.bytes, s.duration, e.status + e.connect + e.read + e.write + e.timeout')}
end
`;
  if (requestsMax === undefined) return done;
  return `${done}local n, bytes, failed = 0, 0, 0
function response(status, headers, body)
n = n + 1
bytes = bytes + #body
if status >= 400 then failed = failed + 1 end
if n >= ${requestsMax} then
${line('n, bytes, 0, failed')}
os.exit(0)
end
end
`;
}

/** `undefined` when wrk did not come to its end. */
export function parseWrkCounts(output: string): WrkCounts | undefined {
  const match = new RegExp(`^${MARK}(\\d+) (\\d+) (\\d+) (\\d+)$`, 'm').exec(output);
  if (match === null) return undefined;
  const [requests = 0, bytes = 0, micros = 0, failed = 0] = match.slice(1).map(Number);
  return { requests, bytes, micros, failed };
}
