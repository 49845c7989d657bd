/** Carries one exchange to an origin and its answer back. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { type AccessRecord, accessRecordOf, type Outcome } from './access-log.ts';
import type { Exchange, ExchangeSink } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import { clientResponseHeaders } from './headers.ts';
import { type OriginFault, OriginTimeout, originFault } from './origin-error.ts';
import type { OriginState } from './origin-pool.ts';
import type { Refusal } from './refusal.ts';
import { refusals } from './refusal.ts';
import { RequestBody } from './request-body.ts';
import type { Route, Waiter } from './route.ts';
import type { WaitHandle } from './wait-queue.ts';

/** RFC 9110, 9.2.2: a method that may be repeated without asking. */
const idempotent = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);

function flushHeadUnlessWritten(forwarding: Forwarding): void {
  forwarding.flushHead();
}

/** Bodies up to this go out with their head in one write. */
const SINGLE_WRITE_BYTES = 16_384;

/** The client closed; given to undici as the reason to free the origin's connection. */
class Abandoned extends Error {}

export class Forwarding implements Dispatcher.DispatchHandler, ExchangeSink, Waiter {
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
  #controller: Dispatcher.DispatchController | undefined;
  /** The request has begun to be written to the origin of this attempt. */
  #sent = false;
  #abandoned = false;
  #ended = false;
  #retries = 0;
  #status = 0;
  #originHeadMs = 0;
  #responseBytes = 0;
  /** What the origin's head announced; -1 when it announced no length. */
  #bodyBytesLeft = -1;
  /** The answer was completed before undici said that it was. */
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
    this.#sent = false;
    this.#seenProgress = -1;
    this.#controller = undefined;
    route
      .link(origin.index)
      .dispatcherFor(exchange.connection)
      .dispatch(
        {
          method: exchange.method as Dispatcher.HttpMethod,
          path: exchange.query === '' ? exchange.path : exchange.path + exchange.query,
          headers: this.#headers,
          body: this.#body,
          upgrade: exchange.isUpgrade ? 'websocket' : null,
          // The sweep keeps these limits: a timer per request would cost a tenth of its CPU.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        this,
      );
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

  // What undici says.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#abandoned) controller.abort(new Abandoned('client closed'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    if (status < 200 || this.#abandoned) return;
    const { exchange, route } = this;
    const origin = this.#origin as OriginState;
    route.pool?.succeeded(origin);
    this.#originHeadMs = performance.now();
    this.#status = status;
    const length = headers['content-length'];
    this.#bodyBytesLeft = length === undefined ? -1 : Number(length);
    const raw = controller.rawHeaders as Buffer[];
    const answerHeaders = this.#answerHeaders(raw, origin);
    // An answer before the end of the request: what is left of the body must not become a request.
    const isEarly = this.#body !== null && !exchange.request.complete;
    if (isEarly) exchange.lingerAfterAnswer();
    exchange.respond(status, statusText, answerHeaders, isEarly || this.#gateway.draining);
    // A short body usually comes with its head, and both then go out in one write. Anything else may
    // be a stream whose head says that it has begun.
    if (this.#bodyBytesLeft < 0 || this.#bodyBytesLeft > SINGLE_WRITE_BYTES) {
      process.nextTick(flushHeadUnlessWritten, this);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#responseBytes += chunk.length;
    if (chunk.length === this.#bodyBytesLeft && chunk.length <= SINGLE_WRITE_BYTES) {
      // The whole body in one piece: head and body become one write, which a string makes cheapest.
      this.#answered = true;
      this.exchange.end(chunk.toString('latin1'), 'latin1');
    } else if (!this.exchange.write(chunk)) {
      controller.pause();
    }
  }

  onResponseEnd(): void {
    this.#leaveOrigin();
    if (this.#abandoned) return this.#finish();
    if (this.#answered) return;
    this.exchange.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const fault = originFault(error, this.#sent);
    const origin = this.#origin as OriginState;
    if (fault.blames && !this.#abandoned) this.#blame(origin, fault.detail);
    this.#leaveOrigin();
    if (this.#abandoned) return this.#finish();
    if (this.exchange.headSent) {
      this.#break('origin-failed', fault.refusal, fault.detail);
    } else if (this.#mayRetry(fault)) {
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

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    originSocket: Duplex,
  ): void {
    const origin = this.#origin as OriginState;
    this.route.pool?.succeeded(origin);
    this.#ended = true;
    this.#gateway.active.delete(this);
    if (this.#abandoned) {
      originSocket.destroy();
      this.#leaveOrigin();
      return this.#record('client-gone');
    }
    this.#status = status;
    this.#originHeadMs = performance.now();
    this.#gateway.openTunnel({
      exchange: this.exchange,
      route: this.route,
      origin,
      originSocket: originSocket as Socket,
      headers: this.#answerHeaders(controller.rawHeaders as Buffer[], origin),
      record: this.#recordOf('done'),
    });
  }

  // What the exchange says.

  drained(): void {
    this.#controller?.resume();
  }

  clientGone(): void {
    if (this.#ended) return;
    this.#abandoned = true;
    this.#outcome = this.#outcome === 'done' ? 'client-gone' : this.#outcome;
    this.#leaveQueue();
    if (this.#controller !== undefined) this.#controller.abort(new Abandoned('client closed'));
    if (this.#origin === undefined) this.#finish();
  }

  finished(): void {
    this.#finish();
  }

  /**
   * Keeps the limits of time; called a few times a second. Silence is found by comparing byte counts:
   * a stalled reader shows too, because then nothing more is written to it.
   */
  sweep(nowMs: number): void {
    if (this.#ended || this.#abandoned || this.#origin === undefined) return;
    if (this.exchange.headSent) this.flushHead();
    const { timeouts } = this.route.config;
    if (timeouts.totalMs > 0 && nowMs - this.exchange.startedMs > timeouts.totalMs) {
      return this.#giveUp(refusals.totalTime, false);
    }
    const progress =
      (this.#body?.bytes ?? 0) + this.#responseBytes + (this.exchange.headSent ? 1 : 0);
    if (progress !== this.#seenProgress || !this.#sent) {
      this.#seenProgress = progress;
      this.#silentSinceMs = nowMs;
      return;
    }
    const silentMs = nowMs - this.#silentSinceMs;
    const uploading = this.#body !== null && !this.exchange.request.complete;
    if (this.exchange.headSent) {
      if (silentMs <= timeouts.bodyIdleMs) return;
      const isClientSlow = this.#controller?.paused ?? true;
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
    this.#controller?.abort(new OriginTimeout('no answer in time'));
  }

  #giveUp(refusal: Refusal, blamesOrigin: boolean): void {
    const origin = this.#origin;
    if (blamesOrigin && origin !== undefined) this.#blame(origin, refusal.text);
    if (this.exchange.headSent) return this.#break('cut', refusal, refusal.text);
    // Whatever the origin still says is not wanted any more.
    const controller = this.#controller;
    this.#abandoned = true;
    this.#refuse(refusal);
    controller?.abort(new Abandoned(refusal.text));
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
    if (this.#sent && !idempotent.has(this.exchange.method)) return false;
    return this.route.budget.tryTake();
  }

  #answerHeaders(raw: readonly Buffer[], origin: OriginState): string[] {
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
    this.#controller = undefined;
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
