/**
 * Asks the workers of one pool whether they have attempts that nobody has
 * accepted in time, before jobs that may run once only are sent again.
 *
 * Decided here: when the answers are enough. All have said that they do not have
 * it, and this manager has listened for long enough to know all: the jobs are sent
 * at once. A worker that the question has reached and that
 * says nothing is taken for suspended, and for one that has nothing of what is sent later. A question that the broker has not
 * confirmed, or that found nobody at a worker's subject, tells nothing: it is
 * asked again until the worker answers or is lost.
 */
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Reply } from "../../../mesh/wire/wire-headers.js";
import type { Dispatcher } from "../jobs/dispatcher.js";
import type { Attempt, Job } from "../jobs/job.js";
import { INQUIRY_MS, type Timeouts } from "../jobs/timeouts.js";
import type { Workers } from "../jobs/workers.js";

/** Job ids in one question. */
export const IDS_PER_QUESTION = 500;

/** What it works with. */
export interface InquiryParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  readonly workers: Workers;
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  /** A worker's word on these attempts. Returns of how many it told; 0 when it was no answer to the question */
  readonly onAnswer: (msg: Reply, worker: string | undefined, attempts: readonly Attempt[]) => number;
}

/** One question to all workers. */
interface Inquiry {
  readonly attempts: readonly Attempt[];
  /** Workers that have not answered yet. */
  readonly waitsFor: Set<string>;
  /** Workers among them that are not lost, and at whose subject nobody listened. */
  readonly absent: Set<string>;
  /** The broker has confirmed that it has delivered the question. */
  isDelivered: boolean;
}

export class Inquiries {
  readonly #parts: InquiryParts;
  readonly #open = new Set<Inquiry>();
  /** Workers at whose subjects nobody listened: they reconnect, or are gone. */
  readonly absent = new Set<string>();

  constructor(parts: InquiryParts) {
    this.#parts = parts;
  }

  /** Asks about attempts that nobody has accepted in time. */
  ask(attempts: readonly Attempt[]): void {
    for (let from = 0; from < attempts.length; from += IDS_PER_QUESTION) {
      void this.#ask(attempts.slice(from, from + IDS_PER_QUESTION));
    }
  }

  /** A worker is lost: nobody waits for its answer any more. */
  onLost(worker: string): void {
    this.absent.delete(worker);
    for (const inquiry of this.#open) this.#hasTold(inquiry, worker);
  }

  /** A worker is there after all. */
  onPresent(worker: string): void {
    this.absent.delete(worker);
  }

  /** Answers may have been lost with the connection: what was asked before tells nothing. */
  onReconnect(): void {
    this.#open.clear();
  }

  async #ask(attempts: readonly Attempt[]): Promise<void> {
    const { workers, subjects, pool, inbox, bus } = this.#parts;
    const inquiry = { attempts, waitsFor: this.#whoMayHave(attempts), absent: new Set<string>(), isDelivered: false };
    this.#open.add(inquiry);
    const payload = askForOutcomes(attempts.map(({ job }) => job));
    // A worker that is not known here may have it too, and says so.
    const toAll = { subject: subjects.controlAll(pool), payload, limitMs: INQUIRY_MS };
    void inbox.askAll(toAll, (msg) => void this.#parts.onAnswer(msg, undefined, attempts));
    // Each by itself: the reply subject of a question to all of them would let one answer for another.
    const asked = [...workers.all()].map(({ id }) => this.#askOne(inquiry, id, payload));
    inquiry.isDelivered = await bus.flush(INQUIRY_MS);
    this.#endWhenTold(inquiry);
    await Promise.all(asked);
    // What workers have said by now has come when one more round trip has ended, however slow the way to this manager is.
    if (inquiry.isDelivered && (await bus.flush(INQUIRY_MS)) && this.#open.has(inquiry)) this.#onSilence(inquiry);
    this.#open.delete(inquiry);
  }

  /** Who has not answered by now has heard the question, and says nothing. */
  #onSilence({ attempts, waitsFor, absent }: Inquiry): void {
    const { workers, bus } = this.#parts;
    for (const worker of waitsFor) if (!absent.has(worker)) workers.didNotAnswer(worker, bus.runtime.now());
    if (absent.size === 0) for (const attempt of attempts) attempt.inquiry = "over";
  }

  /** A worker that answers nothing may have begun what it got before that was known, and what was sent to it alone. */
  #whoMayHave(attempts: readonly Attempt[]): Set<string> {
    const { workers } = this.#parts;
    const found = new Set(workers.answering(Math.min(...attempts.map((attempt) => attempt.sentAtMs))));
    for (const { worker } of attempts) if (worker !== undefined && workers.get(worker) !== undefined) found.add(worker);
    return found;
  }

  async #askOne(inquiry: Inquiry, worker: string, payload: Uint8Array): Promise<void> {
    const { workers, subjects, pool, inbox, onAnswer } = this.#parts;
    const question = { subject: subjects.control(pool, worker), payload, limitMs: INQUIRY_MS };
    const isThere = await inbox.askAll(question, (msg) => {
      const told = onAnswer(msg, worker, inquiry.attempts);
      if (told === inquiry.attempts.length) this.#hasTold(inquiry, worker);
    });
    if (isThere || workers.get(worker) === undefined || !inquiry.waitsFor.has(worker)) return;
    inquiry.absent.add(worker);
    this.absent.add(worker);
  }

  #hasTold(inquiry: Inquiry, worker: string): void {
    if (inquiry.waitsFor.delete(worker)) this.#endWhenTold(inquiry);
  }

  /**
   * Nobody is waited for any more, and what was on the way when the question left has come: a worker that is lost
   * may have a successor that is not known yet, and its word may be close behind.
   */
  #endWhenTold(inquiry: Inquiry): void {
    const knowsAll = this.#parts.timeouts.knowsAll(this.#parts.bus.runtime.now());
    if (inquiry.waitsFor.size > 0 || !inquiry.isDelivered || !knowsAll || !this.#open.delete(inquiry)) return;
    for (const attempt of inquiry.attempts) this.#parts.dispatcher.retries.neverArrived(attempt);
  }
}

/** The question for the outcomes of these jobs. */
export function askForOutcomes(jobs: readonly Job[]): Uint8Array {
  return encodeControl("owed", { jobIds: jobs.map(({ id }) => id), nonces: jobs.map(({ spec }) => spec.nonce) });
}
