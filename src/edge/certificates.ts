/** Which certificate is shown for which server name. Replaced as a whole, without closing anything. */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Config } from '../config/schema.ts';
import { Router } from './router.ts';

/** Several pairs serve one name with several kinds of key (RSA, ECDSA). */
export interface PemPairs {
  cert: string[];
  key: string[];
}

export class Certificates {
  readonly #router: Router<SecureContext>;
  /** Shown to clients that name no server: that of `*`, else the first. */
  readonly fallback: PemPairs | undefined;

  /** @param config with PEM texts, not file names. Throws what OpenSSL says of a bad one. */
  constructor(config: Config) {
    const sites: Record<string, Record<string, SecureContext>> = {};
    let first: PemPairs | undefined;
    for (const [host, site] of Object.entries(config.sites)) {
      if (site.tls === undefined) continue;
      const pairs = {
        cert: site.tls.map((pair) => pair.cert),
        key: site.tls.map((pair) => pair.key),
      };
      sites[host] = { '/*': createSecureContext({ ...pairs, minVersion: 'TLSv1.2' }) };
      if (host === '*' || first === undefined) first = pairs;
    }
    this.#router = new Router(sites);
    this.fallback = first;
  }

  /** For tls' SNICallback. Without a context of its own a name gets an alert, not another's certificate. */
  select(servername: string): SecureContext | undefined {
    return this.#router.match(servername.toLowerCase(), '/');
  }
}
