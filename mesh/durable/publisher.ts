/**
 * Publishes to streams and waits for their acknowledgements.
 *
 * Decided here: at most 1,024 messages are under way; the rest wait in line, and
 * the line is bounded too. Not decided here: what a refusal means (answers.ts),
 * and whether to publish again.
 *
 * The library's publish makes a request with a timer of its own for each message
 * and costs four times as much.
 */
import type { MsgHdrs } from "nats";
import { PoolError } from "../errors.js";
import { Deadlines } from "../job/containers.js";
import { Arrivals } from "../link/broker/arrivals.js";
import type { Bus } from "../link/bus.js";
import { ReplyRouter } from "../link/reply-router.js";
import type { Timer } from "../link/runtime.js";
import type { Reply } from "../wire/wire-headers.js";
import { type PublishAnswer, readPublishAnswer } from "./answers.js";

/** A message for a stream. */
export interface StreamMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

const MAX_UNDER_WAY = 1_024;
const MAX_WAITING = 65_536;
const TICK_MS = 20;
const LONGEST_MS = 10_000;
/** How often it is looked whether a message has left, in milliseconds. */
const LOOK_EVERY_MS = 100;
const SILENT: PublishAnswer = { kind: "silent" };

class Pending {
  token = "";
  dueTick = 0;
  duePlace = 0;
  sentAtMs = 0;

  constructor(
    readonly message: StreamMessage,
    readonly limitMs: number,
    readonly longestMs: number,
    readonly settle: (answer: PublishAnswer) => void,
  ) {}
}

export class StreamPublisher {
  readonly #bus: Bus;
  readonly #router: ReplyRouter<Pending>;
  readonly #deadlines = new Deadlines<Pending>(TICK_MS);
  readonly #arrivals: Arrivals;
  #waiting: Pending[] = [];
  #nextWaiting = 0;
  #underWay = 0;
  #ticker: Timer | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#arrivals = new Arrivals(bus);
    this.#router = new ReplyRouter(bus, { onReply: (pending, msg) => this.#onReply(pending, msg) });
  }

  /**
   * Publishes one message. Never rejects with what the stream says: that is the answer.
   *
   * @param limitMs how long the acknowledgement may take once the message has reached the broker, milliseconds
   * @param longestMs how long both may take, milliseconds; default 10,000
   * @throws PoolError `bus_unavailable` while not connected, `pool_full` when too many wait in line
   */
  publish(message: StreamMessage, limitMs: number, longestMs = LONGEST_MS): Promise<PublishAnswer> {
    return new Promise((resolve, reject) => {
      try {
        this.#bus.requireConnected();
        const pending = new Pending(message, limitMs, Math.max(limitMs, longestMs), resolve);
        if (this.#underWay < MAX_UNDER_WAY) this.#send(pending);
        else this.#wait(pending);
      } catch (error) {
        reject(error);
      }
    });
  }

  /** Hears nothing any more: what is under way is silent. */
  stop(): void {
    this.#bus.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
    const waiting = this.#waiting.slice(this.#nextWaiting);
    this.#waiting = [];
    this.#nextWaiting = 0;
    for (const pending of [...this.#deadlines.expired(Number.MAX_SAFE_INTEGER), ...waiting]) pending.settle(SILENT);
    this.#router.stop();
  }

  #wait(pending: Pending): void {
    if (this.#waiting.length - this.#nextWaiting >= MAX_WAITING) {
      throw new PoolError("pool_full", "too many messages wait for the stream", { retryAfterMs: 1_000 });
    }
    this.#waiting.push(pending);
  }

  #send(pending: Pending): void {
    const { runtime } = this.#bus;
    const { subject, payload, headers } = pending.message;
    pending.token = this.#router.open(pending);
    pending.sentAtMs = runtime.now();
    this.#deadlines.add(pending, pending.sentAtMs + pending.limitMs);
    this.#underWay += 1;
    this.#ticker ??= runtime.every(TICK_MS, () => this.#onTick());
    this.#bus.publish(subject, payload, { headers, reply: this.#router.subject(pending.token) });
  }

  #onReply(pending: Pending, msg: Reply): void {
    this.#deadlines.delete(pending);
    this.#end(pending, readPublishAnswer(msg));
  }

  #onTick(): void {
    const nowMs = this.#bus.runtime.now();
    for (const pending of this.#deadlines.expired(nowMs)) {
      const mayBeOnItsWay = nowMs < pending.sentAtMs + pending.longestMs && !this.#arrivals.has(pending.sentAtMs);
      if (mayBeOnItsWay) this.#deadlines.add(pending, nowMs + LOOK_EVERY_MS);
      else this.#end(pending, SILENT);
    }
  }

  #end(pending: Pending, answer: PublishAnswer): void {
    this.#router.close(pending.token);
    this.#underWay -= 1;
    pending.settle(answer);
    const next = this.#takeWaiting();
    if (next !== undefined) this.#send(next);
    else if (this.#underWay === 0) {
      this.#bus.runtime.cancel(this.#ticker);
      this.#ticker = undefined;
    }
  }

  #takeWaiting(): Pending | undefined {
    const next = this.#waiting[this.#nextWaiting];
    if (next === undefined) return undefined;
    this.#nextWaiting += 1;
    if (this.#nextWaiting > 1_024) {
      this.#waiting.splice(0, this.#nextWaiting);
      this.#nextWaiting = 0;
    }
    return next;
  }
}
