/** Key pairs for tests, made by openssl in a directory that the test removes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A reason to skip tests that need certificates, or false. */
export const withoutOpenssl: string | false = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'openssl is not installed';
  }
})();

export interface PemPair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** Self-signed, ECDSA, valid for `days` days from now. Files are `NAME.pem` and `NAME.key`. */
export function makePair(directory: string, name: string, hosts: string[], days = 365): PemPair {
  const certFile = join(directory, `${name}.pem`);
  const keyFile = join(directory, `${name}.key`);
  const names = hosts.map((host) => `DNS:${host}`).join(',');
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-batch']
      .concat(['-subj', `/CN=${hosts[0] ?? 'nobody'}`, '-days', String(days)])
      .concat(['-addext', `subjectAltName=${names}`, '-out', certFile, '-keyout', keyFile]),
    { stdio: 'ignore' },
  );
  return {
    certFile,
    keyFile,
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  };
}
