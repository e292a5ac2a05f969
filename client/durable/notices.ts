/**
 * Outcomes that managers send to a client as soon as they are stored.
 *
 * Decided here: how many jobs are listened for at once. A notice may be lost, so
 * it is only the quick way: outcome-wait.ts reads the stream as well.
 */
import { decodeOutcome } from "../../mesh/durable/outcome.js";
import type { Outcome } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { ReplyRouter } from "../../mesh/link/reply-router.js";
import { headersOf, isNoResponders, type Reply } from "../../mesh/wire/wire-headers.js";

/** Jobs that are listened for at once; the oldest gives way. */
const MAX_NOTICES = 65_536;

/** The notice of one job. */
export class Notice {
  /** Where managers send it. */
  subject = "";
  token = "";
  outcome: Outcome | undefined;
  #onOutcome: ((outcome: Outcome) => void)[] = [];

  constructor(readonly id: string) {}

  /** Calls `listener` with the outcome, at once when it is there; returns the function that stops it. */
  listen(listener: (outcome: Outcome) => void): () => void {
    if (this.outcome !== undefined) queueMicrotask(() => this.outcome !== undefined && listener(this.outcome));
    else this.#onOutcome.push(listener);
    return () => {
      this.#onOutcome = this.#onOutcome.filter((each) => each !== listener);
    };
  }

  /** Called by `Notices` alone. */
  tell(outcome: Outcome): void {
    this.outcome = outcome;
    const listeners = this.#onOutcome;
    this.#onOutcome = [];
    for (const listener of listeners) listener(outcome);
  }
}

export class Notices {
  readonly #router: ReplyRouter<Notice>;
  /** In the order in which they were opened. */
  readonly #open = new Set<Notice>();

  constructor(bus: Bus) {
    this.#router = new ReplyRouter(bus, { onReply: (notice, msg) => this.#onNotice(notice, msg) });
  }

  /** Listens for the outcome of a job that is about to be enqueued. */
  open(id: string): Notice {
    const notice = new Notice(id);
    notice.token = this.#router.open(notice);
    notice.subject = this.#router.subject(notice.token);
    this.#open.add(notice);
    if (this.#open.size > MAX_NOTICES) this.#closeOldest();
    return notice;
  }

  close(notice: Notice): void {
    if (this.#open.delete(notice)) this.#router.close(notice.token);
  }

  stop(): void {
    this.#open.clear();
    this.#router.stop();
  }

  #closeOldest(): void {
    for (const oldest of this.#open) return this.close(oldest);
  }

  #onNotice(notice: Notice, msg: Reply): void {
    if (isNoResponders(msg)) return;
    const decoded = decodeOutcome(notice.id, headersOf(msg), msg.data.slice());
    if (decoded === undefined) return;
    this.close(notice);
    notice.tell(decoded.outcome);
  }
}
