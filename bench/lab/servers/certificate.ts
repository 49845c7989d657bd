/** The certificate of a lab's VIP: made with the lab, trusted by its clients, gone with it. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runCommand } from '../command.ts';
import type { Lab } from '../lab.ts';

export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export function tlsFiles(lab: Lab): TlsFiles {
  const directory = join(lab.stored.directory, 'servers', 'tls');
  return { certificateFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') };
}

/** For the VIP's addresses, signed by itself, valid for a month. */
export async function makeCertificate(lab: Lab): Promise<void> {
  const { certificateFile, keyFile } = tlsFiles(lab);
  const { vip } = lab.topology;
  await mkdir(dirname(keyFile), { recursive: true });
  await runCommand([
    ...['openssl', 'req', '-x509', '-nodes', '-days', '30', '-subj', '/CN=holdfast lab'],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-addext', `subjectAltName=IP:${vip[4]},IP:${vip[6]}`],
    ...['-keyout', keyFile, '-out', certificateFile],
  ]);
}
