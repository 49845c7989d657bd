import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { KernelProbes } from '../../src/agent/kernel-probes.ts';
import type { Member, MemberStatus } from '../../src/sync/core.ts';

/** A port of TCP that nobody listens on: the kernel refuses calls to it. */
async function closedPort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function boundSocket(host: string): Promise<Socket> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket;
}

for (const host of ['127.0.0.1', '::1']) {
  describe(`probes of a silent agent’s kernel at ${host}`, { timeout: 10_000 }, () => {
    const named = host === '::1' ? '[::1]' : host;

    /** Resolves to what the probes first say of the peer. */
    async function firstWord(tunnelPort: number, status: MemberStatus): Promise<string> {
      const port = await closedPort(host);
      const { promise, resolve } = Promise.withResolvers<string>();
      const probes = new KernelProbes({
        from: host,
        tunnelPort,
        answered: (peer) => resolve(`${peer} answered`),
        bare: (peer) => resolve(`${peer} bare`),
      });
      try {
        probes.follow(7, { address: `${named}:${port}`, status } as Member, false);
        return await promise;
      } finally {
        probes.stop();
      }
    }

    test('a kernel that refuses the call runs, and its tunnel keeps silent', async () => {
      const tunnel = await boundSocket(host);
      try {
        assert.equal(await firstWord(tunnel.address().port, 'dead'), '7 answered');
      } finally {
        tunnel.close();
      }
    });

    test('a kernel whose tunnel is gone is soon known for it, and answers count no more', async () => {
      const tunnel = await boundSocket(host);
      const tunnelPort = tunnel.address().port;
      tunnel.close();
      const port = await closedPort(host);
      let words: string[] = [];
      let heard = Promise.withResolvers<void>();
      const say = (word: string) => {
        words.push(word);
        heard.resolve();
      };
      const bareSaid = async () => {
        while (!words.includes('bare')) {
          await heard.promise;
          heard = Promise.withResolvers();
        }
      };
      const probes = new KernelProbes({
        from: host,
        tunnelPort,
        answered: () => say('answered'),
        bare: () => say('bare'),
      });
      const member = (status: MemberStatus) => ({ address: `${named}:${port}`, status }) as Member;
      try {
        probes.follow(7, member('suspect'), false);
        await bareSaid();
        words = [];
        // Now that it is dead this must be said again.
        probes.follow(7, member('dead'), false);
        await bareSaid();
        assert.deepEqual(words, ['bare']);
      } finally {
        probes.stop();
      }
    });
  });
}
