/**
 * Submissions of one turn of the event loop leave in one message.
 *
 * Decided here: what may leave in a bundle, and what becomes of one that nobody
 * takes: managers of an earlier version do not listen for bundles, and a broker may
 * not allow them. Then each submission leaves alone, for a while. Not decided here:
 * what a submission does when its manager says nothing (failover.ts).
 */
import type { Bus } from "../mesh/link/bus.js";
import { Batcher } from "../mesh/link/delivery.js";
import type { JobHeaders } from "../mesh/wire/headers.js";
import { encodeBundle, encodeSubmissionsHeaders, MAX_BUNDLED_BYTES, mostBytes } from "../mesh/wire/payloads.js";
import { TAKE_WITHIN_MS } from "./failover.js";
import type { Submission } from "./submission.js";

/** How long submissions leave alone after nobody has listened for a bundle, and after the broker has refused one, in milliseconds. */
const NOBODY_MS = 30_000;
const REFUSED_MS = 600_000;

/** What it works with. */
export interface SubmissionBundlesParts {
  readonly bus: Bus;
  /** Where bundles go. */
  readonly subject: string;
  readonly replySubject: (token: string) => string;
  /** Sends one submission; says whether it left. */
  readonly sendAlone: (submission: Submission) => boolean;
  /** It did not leave. */
  readonly onNotLeft: (submission: Submission) => void;
  /** It has left in a bundle that nobody takes. */
  readonly giveAgain: (submission: Submission) => void;
}

export class SubmissionBundles {
  readonly #parts: SubmissionBundlesParts;
  readonly #batcher: Batcher<Submission>;
  #aloneUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: SubmissionBundlesParts) {
    this.#parts = parts;
    this.#batcher = new Batcher<Submission>(parts.bus, {
      bytesOf: ({ payload, headers: { traceparent, tracestate } }) => mostBytes({ payload, traceparent, tracestate }),
      alone: (_place, submission) => this.#send([submission]),
      together: (_place, submissions) => this.#send(submissions),
    });
  }

  /** Takes a submission that may leave with others at the end of this turn; false when it is to leave alone. */
  add(submission: Submission): boolean {
    const { bus } = this.#parts;
    const { headers, payload, managersBefore } = submission;
    if (managersBefore > 0 || headers.nonce || payload.length > MAX_BUNDLED_BYTES || !bus.connected) return false;
    if (bus.runtime.now() < this.#aloneUntilMs) return false;
    submission.leaves = true;
    this.#batcher.add(keyOf(headers), submission);
    return true;
  }

  /** Nobody listened for the bundle of this submission; false when it was in none. */
  nobodyListens(submission: Submission): boolean {
    const { bundle } = submission;
    if (bundle === undefined) return false;
    this.#leaveAlone(NOBODY_MS);
    for (const each of bundle) this.#giveAgain(each);
    return true;
  }

  /** The broker refuses bundles: none of these has left in one. */
  refused(submissions: readonly Submission[]): void {
    this.#leaveAlone(REFUSED_MS);
    for (const each of submissions) if (each.bundle !== undefined) this.#giveAgain(each);
  }

  #leaveAlone(forMs: number): void {
    this.#aloneUntilMs = this.#parts.bus.runtime.now() + forMs;
  }

  #giveAgain(submission: Submission): void {
    if (submission.bundle === undefined) return;
    submission.bundle = undefined;
    if (submission.managersBefore === 0) this.#parts.giveAgain(submission);
  }

  #send(submissions: readonly Submission[]): void {
    const { bus, sendAlone, onNotLeft } = this.#parts;
    for (const each of submissions) each.leaves = false;
    // One that fills its bundle leaves while it is given to a manager: it is not asking yet.
    const wanted = submissions.filter(
      ({ state, managersBefore }) => (state === "asking" || state === "unsent") && managersBefore === 0,
    );
    const nowMs = bus.runtime.now();
    for (const each of wanted) each.sentAtMs = nowMs;
    const [first] = wanted;
    if (first === undefined) return;
    const left = wanted.length === 1 ? sendAlone(first) : this.#sendBundle(first, wanted, nowMs);
    if (!left) for (const each of wanted) onNotLeft(each);
  }

  #sendBundle(first: Submission, submissions: readonly Submission[], nowMs: number): boolean {
    const { bus, subject, replySubject } = this.#parts;
    const { jobId: _id, timeoutMs: _ms, traceparent: _parent, tracestate: _state, ...ofAll } = first.headers;
    const about = { ...ofAll, clockMs: nowMs, startWithinMs: TAKE_WITHIN_MS };
    const headers = encodeSubmissionsHeaders(submissions.length, about);
    for (const each of submissions) each.bundle = submissions;
    const bundle = encodeBundle(submissions.map((each) => toEntry(each, nowMs)));
    // If nobody listens at this subject, the broker says so under the first submission's correlation id.
    return bus.publish(subject, bundle, { headers, reply: replySubject(first.token) });
  }
}

function toEntry(
  { token, id, payload, deadlineAtMs, headers: { traceparent, tracestate } }: Submission,
  nowMs: number,
) {
  return {
    token,
    id,
    nonce: "",
    attempt: 1,
    payload,
    timeoutMs: Math.max(1, deadlineAtMs - nowMs),
    traceparent,
    tracestate,
  };
}

/** What is said of all submissions of a bundle: those of which the same is to be said leave together. */
function keyOf({ idempotent, priority, wait, waitForPool, client = "" }: JobHeaders): string {
  if (!idempotent && priority === "normal" && wait !== false && !waitForPool && client === "") return "";
  return `${idempotent ? "i" : ""}${priority}${wait === false ? "n" : ""}${waitForPool ? "p" : ""} ${client}`;
}
