import { POSTGRES_ROLE } from '../servers/postgres.ts';
import type { ClientDriver } from './client.ts';
import { startConversations } from './conversation.ts';

/** psql, one session, one query after the other; each answer names its question. */
export const psqls: ClientDriver = {
  kind: 'psql',
  async start(context, sessions) {
    const { host, port } = context;
    const login = ['-h', host, '-p', String(port), '-U', POSTGRES_ROLE, '-d', 'postgres'];
    const plain = ['--no-psqlrc', '--no-align', '--tuples-only', '--quiet'];
    return startConversations(context, 'psql', sessions, {
      argv: ['psql', ...login, ...plain, '-v', 'ON_ERROR_STOP=1'],
      ask: (text) => `SELECT '${text}';\n`,
      farewell: '\\q\n',
    });
  },
};
