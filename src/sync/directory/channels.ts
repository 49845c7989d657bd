/** Channels of the directory; see `Channel`. Never give a number a second meaning. */

/** Owner to home: a frame of tickets (src/proto/ticket-frame.ts). */
export const CHANNEL_FRAME = 16;
/** Home to owner: what of them came. */
export const CHANNEL_ACK = 17;
/** Owner to home: digests of what the home should have (src/proto/ticket-digest.ts). */
export const CHANNEL_DIGEST = 18;
/** Home to owner: how its own digests compare. */
export const CHANNEL_REPLY = 19;
/** Owner to home, by stream: everything in some buckets. */
export const CHANNEL_SNAPSHOT = 20;
/** Home to owner: send a digest now. No body. */
export const CHANNEL_CHECK = 21;
/** Anyone to anyone: who owns this flow? (src/proto/ticket-query.ts) */
export const CHANNEL_ASK = 22;
export const CHANNEL_ANSWER = 23;

export const DIRECTORY_CHANNELS: readonly number[] = [16, 17, 18, 19, 20, 21, 22, 23];
