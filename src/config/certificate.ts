/** Certificates and private keys that a configuration names: read, compared and dated. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { FileError, readBoundedFile } from './bounded-file.ts';

/** Chains are a few kilobytes; anything near this is not a PEM file. */
const PEM_BYTES_MAX = 1_048_576;
const DAY_MS = 86_400_000;
/** Renewal tools renew 30 days ahead: two weeks left means that one of them has failed. */
const EXPIRY_WARNING_DAYS = 14;

export interface CertificateFinding {
  /** Which of the two values is at fault. */
  readonly part: 'cert' | 'key';
  readonly message: string;
  /** Warnings do not stop the configuration from being used. */
  readonly warning: boolean;
}

export interface CheckedCertificate {
  /** PEM texts in place of file names; empty where a file could not be read. */
  readonly cert: string;
  readonly key: string;
  readonly findings: readonly CertificateFinding[];
}

/**
 * Reads a pair and checks that it can serve. Never throws.
 * @param baseDir Directory that relative file names start from.
 * @param hosts Names that the certificate should cover; `*.example.com` stands for any below.
 * @param nowMs Wall clock, for expiry.
 */
export function checkCertificate(
  pair: { readonly cert: string; readonly key: string },
  baseDir: string,
  hosts: readonly string[],
  nowMs: number,
): CheckedCertificate {
  const findings: CertificateFinding[] = [];
  const wrong = (part: 'cert' | 'key', message: string) =>
    findings.push({ part, message, warning: false });
  const doubtful = (part: 'cert' | 'key', message: string) =>
    findings.push({ part, message, warning: true });

  const read = (part: 'cert' | 'key'): string => {
    const value = pair[part];
    if (isPem(value)) return value;
    // A damaged PEM text is no file name, and a key must never get into an error text.
    if (value.includes('\n')) {
      wrong(part, 'is neither a file name nor PEM text: PEM begins with "-----BEGIN …"');
      return '';
    }
    const file = resolve(baseDir, value);
    try {
      const text = readBoundedFile(file, PEM_BYTES_MAX);
      if (isPem(text)) return text;
      wrong(part, `${file} is not a PEM file: it must hold "-----BEGIN …"`);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      wrong(part, `${file} ${error.message}`);
    }
    return '';
  };

  const cert = read('cert');
  const key = read('key');
  const leaf = cert === '' ? undefined : parseLeaf(cert, wrong);
  const privateKey = key === '' ? undefined : parseKey(key, wrong);
  if (leaf !== undefined) checkDates(leaf, nowMs, doubtful);
  if (leaf !== undefined) checkNames(leaf, hosts, doubtful);
  if (leaf !== undefined && privateKey !== undefined) {
    if (!leaf.checkPrivateKey(privateKey)) {
      wrong('key', 'does not belong to the certificate: their public keys differ');
    } else {
      try {
        createSecureContext({ cert, key });
      } catch (error) {
        wrong('cert', `is refused by OpenSSL: ${(error as Error).message}`);
      }
    }
  }
  return { cert, key, findings };
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

type Report = (part: 'cert' | 'key', message: string) => void;

function parseLeaf(pem: string, wrong: Report): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    const hint = pem.includes('PRIVATE KEY-----') ? ' (it holds a private key)' : '';
    wrong('cert', `holds no certificate that can be read${hint}: ${(error as Error).message}`);
    return undefined;
  }
}

function parseKey(pem: string, wrong: Report): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = pem.includes('ENCRYPTED');
    wrong(
      'key',
      encrypted
        ? 'is encrypted: store it without a pass phrase (openssl pkey -in KEY -out PLAIN)'
        : `holds no private key that can be read: ${(error as Error).message}`,
    );
    return undefined;
  }
}

function checkDates(leaf: X509Certificate, nowMs: number, doubtful: Report): void {
  const days = (Date.parse(leaf.validTo) - nowMs) / DAY_MS;
  if (days < 0) doubtful('cert', `expired on ${leaf.validTo}: clients will refuse it`);
  else if (days < EXPIRY_WARNING_DAYS) {
    doubtful('cert', `expires in ${Math.floor(days)} days, on ${leaf.validTo}`);
  }
  if (Date.parse(leaf.validFrom) > nowMs) {
    doubtful('cert', `is not valid before ${leaf.validFrom}: clients will refuse it`);
  }
}

function checkNames(leaf: X509Certificate, hosts: readonly string[], doubtful: Report): void {
  for (const host of hosts) {
    if (host === '*') continue;
    const sample = host.startsWith('*.') ? `any${host.slice(1)}` : host;
    if (leaf.checkHost(sample) === undefined) {
      const names = leaf.subjectAltName ?? leaf.subject ?? 'no name';
      doubtful('cert', `is not for ${host}, but for ${names.replaceAll(/\s+/g, ' ')}`);
    }
  }
}
