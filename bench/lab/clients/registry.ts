import type { ClientDriver } from './client.ts';
import { connects, reuses, visits } from './connection.ts';
import { downloads } from './download.ts';
import type { SessionKind } from './event.ts';
import { idles } from './idle.ts';
import { psqls } from './psql.ts';
import { reconnects } from './reconnect.ts';
import { shells } from './ssh.ts';
import { events, keepalives, websockets } from './stream.ts';
import { uploads } from './upload.ts';

/** The driver of every kind of session. */
export const clientDrivers: Readonly<Record<SessionKind, ClientDriver>> = {
  download: downloads,
  upload: uploads,
  websocket: websockets,
  sse: events,
  idle: idles,
  keepalive: keepalives,
  connect: connects,
  visit: visits,
  reuse: reuses,
  reconnect: reconnects,
  psql: psqls,
  ssh: shells,
};
