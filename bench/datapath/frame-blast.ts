/** Sends the same small TCP packet as fast as one system call per 64 allows. */
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { sh } from '../../test/datapath/namespace.ts';
import { ACK, tcpFrame } from '../../test/datapath/packets.ts';
import { FrameSocket } from '../../test/datapath/raw-socket.ts';
import { CLIENT, type Ground, PORT } from './ground.ts';

const libc = koffi.load('libc.so.6');
const sendmmsg = libc.func('int sendmmsg(int, void *, unsigned int, int)');

const BURST = 64;
/** `struct mmsghdr`: a `msghdr` of 56 bytes and a length, padded. */
const MESSAGE_BYTES = 64;
const VECTOR_BYTES = 16;

export class FrameBlast {
  readonly #socket: FrameSocket;
  readonly #frame: Buffer;
  readonly #vectors = Buffer.alloc(VECTOR_BYTES * BURST);
  readonly #messages = Buffer.alloc(MESSAGE_BYTES * BURST);

  /** A bare acknowledgement of long ago on the client's connection: its owner ignores it. */
  constructor(ground: Ground, to: string, fromPort: number) {
    const { frame, socket } = ground.client.run(() => {
      const macOf = (text: string) => /link\/ether (\S+)/.exec(text)![1]!.replaceAll(':', '');
      const made = tcpFrame({
        from: CLIENT,
        fromPort,
        to,
        toPort: PORT,
        flags: ACK,
        seq: 1,
        ack: 1,
      });
      const router = ground.router.run(() => macOf(sh('ip link show dev toclient')));
      made.write(router + macOf(sh('ip link show dev up')), 0, 'hex');
      return { frame: made, socket: new FrameSocket('up') };
    });
    this.#socket = socket;
    this.#frame = Buffer.allocUnsafeSlow(frame.length);
    frame.copy(this.#frame);
    for (let i = 0; i < BURST; i++) {
      const vector = VECTOR_BYTES * i;
      this.#vectors.writeBigUInt64LE(koffi.address(this.#frame), vector);
      this.#vectors.writeBigUInt64LE(BigInt(frame.length), vector + 8);
      const at = MESSAGE_BYTES * i;
      this.#messages.writeBigUInt64LE(koffi.address(this.#vectors) + BigInt(vector), at + 16);
      this.#messages.writeBigUInt64LE(1n, at + 24);
    }
  }

  async run(forMs: number): Promise<void> {
    const endMs = performance.now() + forMs;
    while (performance.now() < endMs) {
      for (let i = 0; i < 16; i++) sendmmsg(this.#socket.descriptor, this.#messages, BURST, 0);
      // The receiving threads share our processors.
      await sleep(1);
    }
  }

  close(): void {
    this.#socket.close();
  }
}
