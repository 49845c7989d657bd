/** Asks the server of this node by HTTP whether it is well. */
import { type ClientRequest, get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

export interface HttpCheckOptions {
  readonly url: string;
  readonly timeoutMs: number;
  /** Accepted; none stands for 200 to 399. */
  readonly status: readonly number[];
}

export interface CheckResult {
  readonly good: boolean;
  /** What came back, for people. */
  readonly text: string;
}

/** One question, on a connection of its own. Never rejects. */
export function httpCheck({ url, timeoutMs, status }: HttpCheckOptions): Promise<CheckResult> {
  return new Promise((resolve) => {
    const bad = (text: string) => resolve({ good: false, text: `${url}: ${text}` });
    let request: ClientRequest;
    const timer = setTimeout(() => {
      bad(`no answer within ${timeoutMs} ms`);
      request.destroy();
    }, timeoutMs);
    const get = url.startsWith('https:') ? getHttps : getHttp;
    request = get(url, { agent: false, rejectUnauthorized: false }, (response) => {
      clearTimeout(timer);
      const code = response.statusCode ?? 0;
      const good = status.length === 0 ? code >= 200 && code < 400 : status.includes(code);
      if (good) resolve({ good, text: `${url}: ${code}` });
      else bad(`answers ${code}`);
      // What it says beyond its status is of no interest, however long it is.
      response.destroy();
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      bad(error.message);
    });
  });
}
