import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, tryCommand } from '../command.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** sshd refuses to start without this directory, which Debian's service file makes at each boot. */
const PRIVILEGE_DIRECTORY = '/run/sshd';

/** Name of the clients' private key in {@link ServerSite.sharedDirectory}. */
export const CLIENT_KEY = 'ssh-client';
const HOST_KEY = 'ssh-host';

/** Where the clients find their key, given the lab's own directory. */
export const clientKeyFile = (labDirectory: string): string =>
  join(labDirectory, 'servers', CLIENT_KEY);

const once = new Map<string, Promise<void>>();

/** Keys are made once per lab: the VIP has one identity, whichever PoP answers. */
function makeKeys(directory: string): Promise<void> {
  const making = once.get(directory) ?? generate(directory);
  once.set(directory, making);
  return making;
}

async function generate(directory: string): Promise<void> {
  for (const name of [HOST_KEY, CLIENT_KEY]) {
    const file = join(directory, name);
    await runCommand(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', file]);
  }
}

/** Public keys only; nothing of the machine's own sshd, its users' keys or PAM is used. */
function config(site: ServerSite): string {
  return `${site.listen.map(({ host, port }) => `ListenAddress ${hostPort(host, port)}\n`).join('')}HostKey ${site.directory}/host_key
AuthorizedKeysFile ${site.directory}/authorized_keys
PidFile ${site.directory}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 200
`;
}

/** OpenSSH's server as Debian brings it, with keys and configuration of the lab. */
export const sshd: ServerDriver = {
  name: 'sshd',
  programs: ['sshd', 'ssh', 'ssh-keygen', 'ssh-keyscan'],
  port: 22,
  clients: { ssh: 4 },
  async version() {
    const { stderr, stdout } = await tryCommand(['ssh', '-V']);
    return /OpenSSH_(\S+)/.exec(stderr + stdout)?.[1]?.replace(/^/, 'openssh/') ?? 'openssh';
  },
  async prepare(site) {
    await mkdir(PRIVILEGE_DIRECTORY, { recursive: true, mode: 0o755 });
    await makeKeys(site.sharedDirectory);
    const read = (name: string) => readFile(join(site.sharedDirectory, name), 'utf8');
    const hostKey = join(site.directory, 'host_key');
    await writeFile(hostKey, await read(HOST_KEY), { mode: 0o600 });
    await chmod(hostKey, 0o600);
    await writeFile(join(site.directory, 'authorized_keys'), await read(`${CLIENT_KEY}.pub`));
  },
  plan: (site) => ({
    files: { sshd_config: config(site) },
    // sshd runs itself again for each connection and insists on an absolute path.
    argv: ['/usr/sbin/sshd', '-D', '-e', '-f', `${site.directory}/sshd_config`],
  }),
  ready: (vip, port) => [
    'sh',
    '-c',
    `ssh-keyscan -T 2 -t ed25519 -p ${port} '${vip}' 2>&1 | grep -q ssh-ed25519`,
  ],
};
