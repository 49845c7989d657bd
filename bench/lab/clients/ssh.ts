import { clientKeyFile } from '../servers/sshd.ts';
import type { ClientDriver } from './client.ts';
import { startConversations } from './conversation.ts';

/** End of input on a terminal, Ctrl-D. */
const END_OF_INPUT = '\x04';

const OPTIONS = [
  'BatchMode=yes',
  'IdentitiesOnly=yes',
  'StrictHostKeyChecking=no',
  'UserKnownHostsFile=/dev/null',
  'LogLevel=ERROR',
];

/** An interactive session with a terminal on the server; what is typed comes back line by line. */
export const shells: ClientDriver = {
  kind: 'ssh',
  async start(context, sessions) {
    const key = clientKeyFile(context.labDirectory);
    const options = OPTIONS.flatMap((option) => ['-o', option]);
    const target = ['-p', String(context.port), '-i', key, `root@${context.host}`];
    return startConversations(context, 'ssh', sessions, {
      argv: [
        'ssh',
        '-tt',
        '-F',
        '/dev/null',
        ...options,
        ...target,
        'stty -echo -onlcr && echo ready && exec cat',
      ],
      greeting: 'ready',
      ask: (text) => `${text}\n`,
      farewell: END_OF_INPUT,
    });
  },
};
