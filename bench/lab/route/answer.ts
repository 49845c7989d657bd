/**
 * The interface named in one line of `ip -json route get`, `undefined` when the line is anything
 * else. Never throws.
 */
export function parseRouteDevice(line: string): string | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    return undefined;
  }
  const first: unknown = Array.isArray(answer) ? answer[0] : undefined;
  if (typeof first !== 'object' || first === null || !('dev' in first)) return undefined;
  return typeof first.dev === 'string' ? first.dev : undefined;
}
