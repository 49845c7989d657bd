/** Carries one exchange to an origin and its answer back. */
import type { Socket } from 'node:net';
import { type AccessRecord, accessRecordOf, type Outcome } from './access-log.ts';
import type { Exchange, ExchangeSink } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import { clientResponseHeaders } from './headers.ts';
import { isIdempotent, OriginCall, type OriginHandler } from './origin-call.ts';
import { type OriginFault, OriginTimeout, originFault } from './origin-error.ts';
import type { OriginState } from './origin-pool.ts';
import type { Refusal } from './refusal.ts';
import { refusals } from './refusal.ts';
import { RequestBody } from './request-body.ts';
import { requestHead } from './request-head.ts';
import type { Route, Waiter } from './route.ts';
import type { WaitHandle } from './wait-queue.ts';

function flushHeadUnlessWritten(forwarding: Forwarding): void {
  forwarding.flushHead();
}

/** Bodies up to this go out with their head in one write. */
const SINGLE_WRITE_BYTES = 16_384;

export class Forwarding implements OriginHandler, ExchangeSink, Waiter {
  /** In the list of those at work. */
  place = -1;
  readonly exchange: Exchange;
  readonly route: Route;
  readonly #gateway: Gateway;
  readonly #headers: string[];
  readonly #cookie: string | undefined;
  readonly #body: RequestBody | null;
  #origin: OriginState | undefined;
  #lastOrigin: OriginState | undefined;
  /** Where it stands in the queue of the route. */
  #place: WaitHandle | undefined;
  #tried: OriginState[] | undefined;
  /** The attempt under way, at `#origin`. */
  #call: OriginCall | undefined;
  #ended = false;
  #retries = 0;
  #status = 0;
  #originHeadMs = 0;
  #responseBytes = 0;
  /** The end of the answer went out with the last piece of its body. */
  #answered = false;
  /** What the last sweep saw, to find silence. */
  #seenProgress = -1;
  #silentSinceMs = 0;
  #outcome: Outcome = 'done';
  #refusal: Refusal | undefined;
  #detail: string | undefined;

  constructor(gateway: Gateway, exchange: Exchange, route: Route, headers: string[]) {
    this.#gateway = gateway;
    this.exchange = exchange;
    this.route = route;
    this.#headers = headers;
    this.#cookie = exchange.headers.cookie;
    this.#body = exchange.hasBody ? new RequestBody(exchange, route.config.limits.bodyBytes) : null;
  }

  start(): void {
    this.exchange.follow(this);
    this.#gateway.active.add(this);
    this.route.budget.deposit();
    // Nobody overtakes those who wait.
    if (this.route.queue.size > 0) this.#wait(this.exchange.startedMs);
    else this.#pick(this.exchange.startedMs);
  }

  /** For the choice of an origin by header, cookie or client. */
  get clientAddress(): string {
    return this.exchange.clientAddress;
  }

  get cookie(): string | undefined {
    return this.#cookie;
  }

  header(name: string): string | undefined {
    const value = this.exchange.headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  #pick(nowMs: number): void {
    const origin = this.route.pool?.pick(this, nowMs, this.#tried);
    if (origin === 'saturated') this.#wait(nowMs);
    else this.#use(origin);
  }

  #wait(nowMs: number): void {
    this.#place = this.route.queue.push(this, nowMs + this.route.config.limits.queueMs);
    if (this.#place === undefined) this.#refuse(refusals.queueFull);
  }

  #use(origin: OriginState | undefined): void {
    if (origin === undefined) this.#refuse(refusals.noHealthyOrigin);
    else this.#dispatch(origin);
  }

  #dispatch(origin: OriginState): void {
    const { exchange, route } = this;
    route.pool?.acquire(origin);
    this.#origin = origin;
    this.#seenProgress = -1;
    const link = route.link(origin.index);
    try {
      const head = requestHead({
        method: exchange.method,
        target: exchange.query === '' ? exchange.path : exchange.path + exchange.query,
        headers: this.#headers,
        authority: link.authority,
        body: this.#body === null ? 'none' : this.#body.isChunked ? 'chunked' : 'length',
        isUpgrade: exchange.isUpgrade,
      });
      this.#call = new OriginCall({
        handler: this,
        method: exchange.method,
        head,
        body: this.#body,
        isUpgrade: exchange.isUpgrade,
      });
      link.call(this.#call, exchange.connection);
    } catch (error) {
      this.originError(error as Error);
    }
  }

  // What a waiter is told.

  proceed(): boolean {
    const origin = this.#ended
      ? undefined
      : this.route.pool?.pick(this, performance.now(), this.#tried);
    if (origin === 'saturated') return false;
    this.#leaveQueue();
    if (!this.#ended) this.#use(origin);
    return true;
  }

  expire(): void {
    this.#place = undefined;
    if (!this.#ended) this.#refuse(refusals.queueTimeout);
  }

  // What the origin says.

  originHead(status: number, reason: string, headers: string[], bodyBytes: number): void {
    const { exchange, route } = this;
    const origin = this.#origin as OriginState;
    route.pool?.succeeded(origin);
    this.#originHeadMs = performance.now();
    this.#status = status;
    const answerHeaders = this.#answerHeaders(headers, origin);
    // An answer before the end of the request: what is left of the body must not become a request.
    const isEarly = this.#body !== null && !exchange.request.complete;
    if (isEarly) exchange.lingerAfterAnswer();
    exchange.respond(status, reason, answerHeaders, isEarly || this.#gateway.draining);
    // A short body usually comes with its head, and both then go out in one write. Anything else may
    // be a stream whose head says that it has begun.
    if (bodyBytes < 0 || bodyBytes > SINGLE_WRITE_BYTES) {
      process.nextTick(flushHeadUnlessWritten, this);
    }
  }

  originBody(buffer: Buffer, start: number, end: number, isLast: boolean): void {
    const bytes = end - start;
    this.#responseBytes += bytes;
    if (isLast && bytes <= SINGLE_WRITE_BYTES) {
      // What is left in one piece: with the end, and often the head, it becomes one write, which a
      // string makes cheapest.
      this.#answered = true;
      this.exchange.end(buffer.toString('latin1', start, end), 'latin1');
      return;
    }
    const release = bytes > SINGLE_WRITE_BYTES ? this.#call?.lend() : undefined;
    const chunk = release === undefined ? Buffer.allocUnsafe(bytes) : buffer.subarray(start, end);
    if (release === undefined) buffer.copy(chunk, 0, start, end);
    if (!this.exchange.write(chunk, release)) this.#call?.pause();
  }

  originEnd(): void {
    this.#leaveOrigin();
    if (!this.#answered) this.exchange.end();
  }

  originError(error: Error): void {
    try {
      this.#attemptFailed(error);
    } catch (fault) {
      this.#fail(fault as Error);
    }
  }

  originUpgrade(headers: string[], originSocket: Socket, early: Buffer): void {
    const origin = this.#origin as OriginState;
    this.route.pool?.succeeded(origin);
    this.#ended = true;
    this.#gateway.active.delete(this);
    this.#status = 101;
    this.#originHeadMs = performance.now();
    try {
      this.#gateway.openTunnel({
        exchange: this.exchange,
        route: this.route,
        origin,
        originSocket,
        early,
        headers: this.#answerHeaders(headers, origin),
        record: this.#recordOf('done'),
      });
    } catch (error) {
      originSocket.destroy();
      this.#fail(error as Error);
    }
  }

  #attemptFailed(error: Error): void {
    const fault = originFault(error, this.#call?.sent ?? false);
    const origin = this.#origin as OriginState;
    if (fault.blames) this.#blame(origin, fault.detail);
    const mayRetry = !this.exchange.headSent && this.#mayRetry(fault);
    this.#leaveOrigin();
    if (this.exchange.headSent) {
      this.#break('origin-failed', fault.refusal, fault.detail);
    } else if (mayRetry) {
      this.#tried ??= [];
      this.#tried.push(origin);
      this.#retries += 1;
      this.route.counts.retries += 1;
      this.#pick(performance.now());
    } else {
      this.#detail = fault.detail;
      this.#refuse(fault.refusal);
    }
  }

  /** A fault of our own must cost one exchange, not the process. */
  #fail(error: Error): void {
    this.#gateway.log.error({ err: error, route: this.route.key }, 'exchange failed');
    this.#abandon();
    this.#break('cut', refusals.internal, error.message);
  }

  // What the exchange says.

  drained(): void {
    this.#call?.resume();
  }

  clientGone(): void {
    if (this.#ended) return;
    if (this.#outcome === 'done') this.#outcome = 'client-gone';
    this.#leaveQueue();
    this.#abandon();
    this.#finish();
  }

  finished(): void {
    this.#finish();
  }

  /**
   * Keeps the limits of time; called a few times a second. Silence is found by comparing byte counts:
   * a stalled reader shows too, because then nothing more is written to it.
   */
  sweep(nowMs: number): void {
    const call = this.#call;
    if (this.#ended || call === undefined) return;
    if (this.exchange.headSent) this.flushHead();
    const { timeouts } = this.route.config;
    if (timeouts.totalMs > 0 && nowMs - this.exchange.startedMs > timeouts.totalMs) {
      return this.#giveUp(refusals.totalTime, false);
    }
    const progress =
      (this.#body?.bytes ?? 0) + this.#responseBytes + (this.exchange.headSent ? 1 : 0);
    if (progress !== this.#seenProgress || !call.sent) {
      this.#seenProgress = progress;
      this.#silentSinceMs = nowMs;
      return;
    }
    const silentMs = nowMs - this.#silentSinceMs;
    const uploading = this.#body !== null && !this.exchange.request.complete;
    if (this.exchange.headSent) {
      if (silentMs <= timeouts.bodyIdleMs) return;
      const isClientSlow = call.paused;
      this.#giveUp(isClientSlow ? refusals.slowReader : refusals.originStalled, !isClientSlow);
    } else if (uploading) {
      // An origin that takes no bytes stalls the client too: then the origin is the silent one.
      if (silentMs <= timeouts.bodyIdleMs) return;
      if (this.exchange.request.isPaused()) this.#timeOut();
      else this.#giveUp(refusals.slowBody, false);
    } else if (silentMs > timeouts.headersMs) {
      this.#timeOut();
    }
  }

  /** Sends the head now if no piece of the body took it along. */
  flushHead(): void {
    if (this.#responseBytes === 0 && !this.#ended) this.exchange.flushHead();
  }

  /** Ends it now: a deadline of a drain has passed. */
  cut(): void {
    if (this.#ended) return;
    this.#outcome = 'cut';
    this.exchange.abort();
  }

  /** Ends this attempt; another origin may be tried. */
  #timeOut(): void {
    this.#call?.abort();
    this.originError(new OriginTimeout('no answer in time'));
  }

  #giveUp(refusal: Refusal, blamesOrigin: boolean): void {
    const origin = this.#origin;
    if (blamesOrigin && origin !== undefined) this.#blame(origin, refusal.text);
    if (this.exchange.headSent) return this.#break('cut', refusal, refusal.text);
    // Whatever the origin still says is not wanted any more.
    this.#abandon();
    this.#refuse(refusal);
    this.#finish();
  }

  #abandon(): void {
    this.#call?.abort();
    this.#leaveOrigin();
  }

  #blame(origin: OriginState, reason: string): void {
    if (!this.route.pool?.failed(origin, performance.now())) return;
    const facts = { route: this.route.key, origin: origin.id, url: origin.origin.url, reason };
    this.#gateway.log.warn(facts, 'origin ejected');
  }

  #break(outcome: Outcome, refusal: Refusal, detail: string): void {
    this.#outcome = outcome;
    this.#refusal = refusal;
    this.#detail = detail;
    this.exchange.abort();
  }

  #refuse(refusal: Refusal): void {
    if (this.#ended) return;
    this.#refusal = refusal;
    this.#status = refusal.status;
    this.#outcome = 'answered';
    this.#gateway.refuse(this.exchange, refusal, this.#body !== null);
  }

  #mayRetry(fault: OriginFault): boolean {
    if (!fault.blames || this.#retries >= this.route.config.retry.attempts) return false;
    if ((this.route.pool?.origins.length ?? 0) < 2) return false;
    if (this.#body?.consumed) return false;
    if (this.#call?.sent && !isIdempotent(this.exchange.method)) return false;
    return this.route.budget.tryTake();
  }

  #answerHeaders(raw: readonly string[], origin: OriginState): string[] {
    const pool = this.route.pool;
    const sticky = pool?.needsStickyCookie(this.#cookie, origin)
      ? pool.stickyCookie(origin, this.exchange.connection.tls)
      : undefined;
    return clientResponseHeaders(raw, {
      requestId: this.exchange.id,
      via: this.#gateway.via,
      node: this.#gateway.node,
      setCookie: sticky,
    });
  }

  #leaveQueue(): void {
    if (this.#place !== undefined) this.route.queue.remove(this.#place);
    this.#place = undefined;
  }

  #leaveOrigin(): void {
    if (this.#origin === undefined) return;
    const origin = this.#origin;
    this.route.pool?.release(origin);
    this.#lastOrigin = origin;
    this.#origin = undefined;
    this.#call = undefined;
    this.route.placeFreed();
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#gateway.active.delete(this);
    this.#record(this.#outcome);
  }

  #record(outcome: Outcome): void {
    this.#gateway.record(this.route, this.#recordOf(outcome));
  }

  #recordOf(outcome: Outcome): AccessRecord {
    const { exchange } = this;
    const record = accessRecordOf(exchange, this.route.key, this.#status, outcome);
    record.durationMs = performance.now() - exchange.startedMs;
    record.bytesIn = this.#body?.bytes ?? 0;
    record.bytesOut = this.#responseBytes;
    record.retries = this.#retries;
    const origin = this.#origin ?? this.#lastOrigin;
    if (origin !== undefined) record.origin = origin.origin.url;
    if (this.#originHeadMs > 0) record.originMs = this.#originHeadMs - exchange.startedMs;
    if (this.#refusal !== undefined) {
      record.code = this.#refusal.code;
      if (this.#refusal.limit !== undefined) record.limit = this.#refusal.limit;
    }
    if (this.#detail !== undefined) record.detail = this.#detail;
    return record;
  }
}
