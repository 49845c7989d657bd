/** What announcing needs of this machine and its routing, found out without changing anything. */
import { accessSync, constants } from 'node:fs';
import type { AnnounceConfig } from '../config/schema.ts';
import { BirdClient } from './bird-client.ts';
import { askBird } from './bird-driver.ts';
import { birdSnippet } from './bird-snippet.ts';
import { parseBirdProtocols } from './bird-tables.ts';
import { exabgpSnippet } from './exabgp-driver.ts';

/** One line of `holdfast doctor`. */
export interface AnnounceCheck {
  readonly name: string;
  readonly ok: boolean;
  /** False: the agent starts without it. */
  readonly required: boolean;
  readonly found: string;
  readonly needed: string;
  readonly mend: string;
}

/** @param vips Addresses whose networks are announced. */
export async function announceDoctor(
  config: AnnounceConfig,
  vips: readonly string[],
): Promise<AnnounceCheck[]> {
  switch (config.driver) {
    case 'bird':
      return birdChecks(config.socket, vips);
    case 'exabgp':
      return [exabgpCheck(config.exabgp?.socket ?? '')];
    case 'exec':
      return [execCheck(config.exec?.command[0] ?? '')];
    case 'kernel':
      return [];
  }
}

async function birdChecks(socket: string, vips: readonly string[]): Promise<AnnounceCheck[]> {
  const base = { required: false, needed: `BIRD 2 at ${socket}` };
  const checks: AnnounceCheck[] = [];
  try {
    const { client, greeting } = await BirdClient.open(socket);
    const protocols = parseBirdProtocols(await client.ask('show protocols'));
    client.close();
    checks.push({ ...base, name: 'BIRD', ok: true, found: greeting, mend: '' });
    const sessions = protocols.filter(({ kind }) => kind === 'BGP');
    const up = sessions.filter(({ info }) => info.startsWith('Established'));
    checks.push({
      name: 'BGP sessions',
      ok: up.length > 0,
      required: false,
      found: `${up.length} of ${sessions.length} established`,
      needed: 'one that is established',
      mend: up.length > 0 ? '' : 'look at "birdc show protocols all"',
    });
    checks.push(await routesCheck(socket, vips, protocols));
  } catch (error) {
    const { message } = error as Error;
    checks.push({ ...base, name: 'BIRD', ok: false, found: 'no answer', mend: message });
  }
  return checks;
}

/** Without a marker its routes cannot be seen, but the protocol that would hold them can. */
async function routesCheck(
  socket: string,
  vips: readonly string[],
  protocols: ReturnType<typeof parseBirdProtocols>,
): Promise<AnnounceCheck> {
  const { routes, sessions } = await askBird(socket, vips);
  const strays = sessions.flatMap((session) => session.strays);
  const statics = protocols.filter(({ kind }) => kind === 'Static').map(({ name }) => name);
  const check = { name: 'BIRD routes', required: false, needed: 'static routes by the marker' };
  const mend = `add to bird.conf:\n${birdSnippet(vips)}`;
  if (strays.length > 0) {
    return {
      ...check,
      ok: false,
      found: `${strays.join(', ')} announced whatever holdfast says`,
      mend,
    };
  }
  if (routes.length > 0) {
    const found = routes.map(({ prefix, device }) => `${prefix} by ${device}`).join(', ');
    return { ...check, ok: true, found, mend: '' };
  }
  if (statics.length === 0) return { ...check, ok: false, found: 'no static protocol', mend };
  const found = `${statics.join(', ')}, seen when the agent announces`;
  return { ...check, ok: true, found, mend: '' };
}

function exabgpCheck(socket: string): AnnounceCheck {
  const ok = may(socket, constants.R_OK);
  return {
    name: 'ExaBGP socket',
    ok,
    required: false,
    found: ok ? 'there' : 'not there',
    needed: socket,
    mend: ok ? '' : `the agent makes it when it starts; ExaBGP needs\n${exabgpSnippet(socket)}`,
  };
}

function execCheck(program: string): AnnounceCheck {
  const ok = !program.includes('/') || may(program, constants.X_OK);
  return {
    name: 'announce command',
    ok,
    required: false,
    found: ok ? program : 'cannot be run',
    needed: program,
    mend: ok ? '' : 'correct announce.exec.command, or make it executable',
  };
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
