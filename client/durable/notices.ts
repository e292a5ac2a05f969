/**
 * Outcomes that managers send to a client as soon as they are stored.
 *
 * Decided here: how many jobs are listened for at once, and for how long a caller waits for a notice alone: a notice
 * may be lost, so it is only the quick way. Who waits longer reads the stream as well (outcome-wait.ts). All who wait
 * share one timer: a timer of its own for each job costs more than the notice.
 */
import { decodeOutcome } from "../../mesh/durable/outcome.js";
import { Deadlines, type Due, Fifo, type FifoNode } from "../../mesh/job/containers.js";
import { JobResult, type Outcome } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { ReplyRouter } from "../../mesh/link/reply-router.js";
import type { Timer } from "../../mesh/link/runtime.js";
import type { ReplyHeaders } from "../../mesh/wire/headers.js";
import type { BundledResult } from "../../mesh/wire/payloads.js";
import { headersOf, isNoResponders, type Reply } from "../../mesh/wire/wire-headers.js";

/** Jobs that are listened for at once; the oldest gives way. */
const MAX_NOTICES = 65_536;
/** How long a notice alone is waited for, and how exactly, in milliseconds. */
const ALONE_MS = 5_000;
const TICK_MS = 50;

/** Who waits for a notice. */
class Waiter implements Due {
  dueTick = 0;
  duePlace = 0;

  /** @param off stops listening for the notice */
  constructor(
    readonly settle: (outcome: Outcome | undefined) => void,
    readonly off: () => void,
  ) {}
}

/** The notice of one job. */
export class Notice {
  /** Where managers send it. */
  subject = "";
  token = "";
  /** Its place among those that are listened for; undefined when it is not any more. */
  place: FifoNode<Notice> | undefined;
  outcome: Outcome | undefined;
  #listeners: ((outcome: Outcome) => void)[] | undefined;

  /** @param openedAtMs monotonic milliseconds */
  constructor(
    readonly id: string,
    readonly openedAtMs: number,
  ) {}

  /** Calls `listener` with the outcome, at once when it is there; returns the function that stops it. */
  listen(listener: (outcome: Outcome) => void): () => void {
    if (this.outcome !== undefined) queueMicrotask(() => this.outcome !== undefined && listener(this.outcome));
    else this.#listeners = [...(this.#listeners ?? []), listener];
    return () => {
      this.#listeners = this.#listeners?.filter((each) => each !== listener);
    };
  }

  /** Called by `Notices` alone. */
  tell(outcome: Outcome): void {
    this.outcome = outcome;
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener(outcome);
  }
}

export class Notices {
  readonly #bus: Bus;
  readonly #router: ReplyRouter<Notice>;
  /** In the order in which they were opened. */
  readonly #open = new Fifo<Notice>();
  #waiters = new Deadlines<Waiter>(TICK_MS);
  readonly #offReconnect: () => void;
  #ticker: Timer | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#router = new ReplyRouter(bus, {
      onReply: (notice, msg) => this.#onNotice(notice, msg),
      onBundled: (notice, result, about, nowMs) => this.#onBundled(notice, result, about, nowMs),
    });
    // What was sent meanwhile is lost.
    this.#offReconnect = bus.on("reconnect", () => this.#giveAllUp());
  }

  /** Listens for the outcome of a job that is about to be enqueued. */
  open(id: string): Notice {
    const notice = new Notice(id, this.#bus.runtime.now());
    notice.token = this.#router.open(notice);
    notice.subject = this.#router.subject(notice.token);
    notice.place = this.#open.push(notice);
    if (this.#open.size > MAX_NOTICES && this.#open.first !== undefined) this.close(this.#open.first);
    return notice;
  }

  /** Listens no more. */
  close(notice: Notice): void {
    if (notice.place === undefined) return;
    this.#open.remove(notice.place);
    notice.place = undefined;
    this.#router.close(notice.token);
  }

  /**
   * Waits for a notice for a while, and until the next reconnect at most.
   *
   * @param limitMs at most so many milliseconds
   * @returns undefined when it has not come; it may be lost
   */
  wait(notice: Notice, limitMs = ALONE_MS): Promise<Outcome | undefined> {
    if (notice.outcome !== undefined || notice.place === undefined) return Promise.resolve(notice.outcome);
    return new Promise((resolve) => {
      const off = notice.listen((outcome) => {
        this.#waiters.delete(waiter);
        resolve(outcome);
      });
      const waiter = new Waiter(resolve, off);
      const { runtime } = this.#bus;
      this.#waiters.add(waiter, runtime.now() + Math.min(limitMs, ALONE_MS));
      this.#ticker ??= runtime.every(TICK_MS, () => this.#onTick());
    });
  }

  /** Hears nothing any more. */
  stop(): void {
    this.#offReconnect();
    this.#giveAllUp();
    this.#bus.runtime.cancel(this.#ticker);
    this.#router.stop();
  }

  #onTick(): void {
    this.#giveUp(this.#waiters.expired(this.#bus.runtime.now()));
    if (this.#waiters.size > 0) return;
    this.#bus.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  #giveAllUp(): void {
    const waiters = this.#waiters;
    this.#waiters = new Deadlines<Waiter>(TICK_MS);
    this.#giveUp(waiters.expired(Number.MAX_SAFE_INTEGER));
  }

  #giveUp(waiters: readonly Waiter[]): void {
    for (const { settle, off } of waiters) {
      off();
      settle(undefined);
    }
  }

  #onNotice(notice: Notice, msg: Reply): void {
    if (isNoResponders(msg)) return;
    const decoded = decodeOutcome(notice.id, headersOf(msg), msg.data.slice());
    if (decoded === undefined) return;
    this.close(notice);
    notice.tell(decoded.outcome);
  }

  /** One of several results in a message. */
  #onBundled(notice: Notice, result: BundledResult, about: ReplyHeaders, nowMs: number): void {
    const { id } = notice;
    if (about.bare || about.kind !== "result" || result.id !== id) return;
    const { attempt, waitMs, payload } = result;
    const totalMs = nowMs - notice.openedAtMs;
    this.close(notice);
    // Of its own memory: a receipt may be kept for long, and would keep the whole message.
    const own = payload.slice();
    notice.tell({
      ok: true,
      id,
      result: new JobResult(id, own, about.worker ?? "", attempt, Math.min(waitMs, totalMs), totalMs),
    });
  }
}
