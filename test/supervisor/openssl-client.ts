/** Connections of `openssl s_client`, which keeps TLS sessions in files and tells what became of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export const TLS_VERSIONS = ['tls1_2', 'tls1_3'] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

export interface OpensslHandshake {
  readonly resumed: boolean;
  /** Whether the request on the connection was answered. */
  readonly answered: boolean;
  /** Hexadecimal name of the key that sealed the newest ticket. */
  readonly keyName: string;
}

/** One connection with one request, which the site `a.example` answers with a redirect. */
export async function opensslHandshake(
  url: string,
  version: TlsVersion,
  session: { in?: string; out?: string } = {},
): Promise<OpensslHandshake> {
  const args = ['s_client', '-connect', new URL(url).host, '-servername', 'a.example']
    .concat([`-${version}`, '-ign_eof'])
    .concat(session.in === undefined ? [] : ['-sess_in', session.in])
    .concat(session.out === undefined ? [] : ['-sess_out', session.out]);
  const client = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'], timeout: 20_000 });
  client.stdin.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
  const [output] = await Promise.all([text(client.stdout), once(client, 'exit')]);
  client.stdin.destroy();
  const [, how] = /^(New|Reused), TLSv1\.[23]/m.exec(output) ?? [];
  assert.ok(how !== undefined, output);
  const names = [...output.matchAll(/TLS session ticket:\s+0000 - ((?:[0-9a-f]{2}[ -]){16})/g)];
  return {
    resumed: how === 'Reused',
    answered: output.includes('HTTP/1.1 308'),
    keyName: (names.at(-1)?.[1] ?? '').replaceAll(/[^0-9a-f]/g, ''),
  };
}
