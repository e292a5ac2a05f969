/**
 * The inbox for a part's own questions: to a worker's control subject, to a
 * manager's ping, to all workers or managers of a pool.
 *
 * A question to one has one time limit and one answer ({@link Inbox.ask}). A
 * question to many hears all answers within its limit ({@link Inbox.askAll}). A
 * stream that captures the subject acknowledges the question: that is no answer.
 */
import type { MsgHdrs } from "nats";
import { encodeJobHeaders } from "../wire/headers.js";
import { isNoResponders, type Reply, streamOf } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import { ReplyRouter } from "./reply-router.js";
import { afterSilence, type Timer } from "./runtime.js";

/** Who waits for replies under one correlation id. */
export interface InboxEntry {
  onReply(msg: Reply): void;
}

/** How a question ended: with a reply, with the broker's word that nobody listens, or with nothing before its limit. */
export type Answer =
  | { readonly kind: "reply"; readonly msg: Reply }
  | { readonly kind: "absent" }
  | { readonly kind: "silent" };

/** How a question is asked. */
export interface Question {
  readonly subject: string;
  readonly payload?: Uint8Array;
  /** Default: the time at which the question leaves. */
  readonly headers?: MsgHdrs;
  /** Of the question when it is asked again: it may say how long ago it was asked first. */
  readonly headersAgain?: (askedAgoMs: number) => MsgHdrs;
  /** How long the answer may take, in milliseconds. */
  readonly limitMs: number;
  /**
   * How often it is asked again while nothing answers, in milliseconds; default never. A message may be lost between two
   * brokers. That nobody listens counts for the first only: who is gone later may have got it.
   */
  readonly againMs?: number;
  /** Whether a reply is the answer; what is none is passed over. Default: every reply is. */
  readonly isAnswer?: (msg: Reply) => boolean;
  /** Gives up: the answer is then "silent". */
  readonly signal?: AbortSignal | undefined;
}

const ABSENT: Answer = { kind: "absent" };
const SILENT: Answer = { kind: "silent" };

export class Inbox {
  readonly #bus: Bus;
  readonly #router: ReplyRouter<InboxEntry>;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#router = new ReplyRouter(bus, { onReply: (entry, msg) => entry.onReply(msg) });
  }

  /** How many correlation ids are waited for. */
  get size(): number {
    return this.#router.size;
  }

  /** Asks one question. Never rejects. */
  ask({ subject, payload, headers, headersAgain, limitMs, againMs, isAnswer, signal }: Question): Promise<Answer> {
    const { runtime } = this.#bus;
    const firstAtMs = runtime.now();
    return new Promise((resolve) => {
      const settle = (answer: Answer): void => {
        this.#router.close(token);
        runtime.cancel(timer);
        runtime.cancel(next);
        signal?.removeEventListener("abort", giveUp);
        resolve(answer);
      };
      const giveUp = (): void => settle(SILENT);
      const onReply = (msg: Reply): void => {
        if (isNoResponders(msg)) return asked === 1 ? settle(ABSENT) : undefined;
        if (streamOf(msg) === undefined && isAnswer?.(msg) !== false) settle({ kind: "reply", msg });
      };
      let asked = 0;
      let next: Timer | undefined;
      const say = (): void => {
        asked += 1;
        next = againMs === undefined ? undefined : runtime.after(againMs, say, "background");
        const again = asked === 1 ? undefined : headersAgain?.(runtime.now() - firstAtMs);
        this.#publish(subject, payload, token, again ?? headers);
      };
      const token = this.#router.open({ onReply });
      const timer = afterSilence(runtime, limitMs, giveUp);
      if (signal?.aborted) return giveUp();
      signal?.addEventListener("abort", giveUp);
      say();
    });
  }

  /**
   * Asks many at once and hears their replies for a time.
   *
   * @returns false, at once, when nobody listens
   */
  askAll({ subject, payload, headers, limitMs }: Omit<Question, "signal">, onReply: (msg: Reply) => void) {
    return new Promise<boolean>((resolve) => {
      const end = (somebodyListens: boolean): void => {
        this.#router.close(token);
        this.#bus.runtime.cancel(timer);
        resolve(somebodyListens);
      };
      const hear = (msg: Reply): void => {
        if (isNoResponders(msg)) end(false);
        else if (streamOf(msg) === undefined) onReply(msg);
      };
      const token = this.#router.open({ onReply: hear });
      const timer = afterSilence(this.#bus.runtime, limitMs, () => end(true));
      this.#publish(subject, payload, token, headers);
    });
  }

  /** Waits for replies under a new correlation id, until close(). */
  open(entry: InboxEntry): string {
    return this.#router.open(entry);
  }

  /** The reply subject of a correlation id. */
  subject(token: string): string {
    return this.#router.subject(token);
  }

  close(token: string): void {
    this.#router.close(token);
  }

  /** Every question says when it left, so that whoever hears it learns how far away this process is. */
  #publish(
    subject: string,
    payload: Uint8Array | undefined,
    token: string,
    headers = encodeJobHeaders({ clockMs: this.#bus.runtime.now() }),
  ): void {
    this.#bus.publish(subject, payload, { headers, reply: this.#router.subject(token) });
  }

  /** Subscribes again when the broker has refused it. */
  retry(): void {
    this.#router.retry();
  }

  /** Ends the subscription. */
  stop(): void {
    this.#router.stop();
  }
}
