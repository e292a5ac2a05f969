/**
 * Which workers of one pool are lost, and which outcomes did not arrive.
 *
 * Decided here: a worker is lost when it is gone (presence.ts) or has been silent
 * for three of its heartbeat intervals while the broker answers; after this manager's own reconnect, and
 * for jobs that a worker no longer lists, it asks for the outcomes that are due.
 * Before a job that may run once only is sent again, all workers are asked whether
 * they have it.
 * Not decided here: what becomes of the jobs (dispatcher.ts).
 */
import type { Heartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { Presence } from "../../../mesh/link/presence.js";
import { decodeControlResponse, encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Reply } from "../../../mesh/wire/wire-headers.js";
import type { Dispatcher } from "../jobs/dispatcher.js";
import type { Attempt, Job } from "../jobs/job.js";
import { INQUIRY_MS, type Timeouts } from "../jobs/timeouts.js";
import type { Workers } from "../jobs/workers.js";

/** Heartbeats without a job after which its outcome counts as lost on the way. */
const UNLISTED_TO_ASK = 2;
/** A second process of one id is thought to be there for this long after its last heartbeat, in milliseconds. */
const TWIN_FOR_MS = 5_000;
/** How long workers have to say which jobs they know, in milliseconds. */
const OUTCOMES_WITHIN_MS = 1_000;
/** Job ids in one question. */
const IDS_PER_QUESTION = 500;
/** How long the round trip before a verdict may take, and from when on it excuses everybody, in milliseconds. */
const ROUND_TRIP_LIMIT_MS = 1_000;
const SLOW_ROUND_TRIP_MS = 500;

/** What it works with. */
export interface LossesParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  readonly workers: Workers;
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  /** A worker is lost. */
  readonly onLost: (worker: string, why: string) => void;
}

export class Losses {
  readonly #parts: LossesParts;
  readonly #presence: Presence;
  #confirming = false;
  /** By worker id: when an earlier process of it was heard last. */
  readonly #twinHeardAtMs = new Map<string, number>();

  constructor(parts: LossesParts) {
    this.#parts = parts;
    const { pool, subjects } = parts;
    const payload = encodeControl("probe", {});
    this.#presence = new Presence({
      bus: parts.bus,
      inbox: parts.inbox,
      question: (worker) => ({ subject: subjects.control(pool, worker), payload }),
      onPresent: (worker, _reply, roundTripMs) => this.#onPresent(worker, roundTripMs),
      onAbsent: (worker) => parts.workers.unreachable(worker, parts.bus.runtime.now()),
      onGone: (worker) => this.#lose(worker, "is gone"),
    });
  }

  /** A worker is new: how far away is it? */
  onJoined(worker: string): void {
    this.#presence.probe(worker);
  }

  /** Probes the workers that have jobs and are silent. */
  checkPresence(nowMs: number): void {
    for (const id of this.#parts.dispatcher.inFlight.assignments.workers()) {
      const heardAtMs = this.#parts.workers.get(id)?.lastHeardAtMs ?? Number.NEGATIVE_INFINITY;
      this.#presence.check(id, nowMs - heardAtMs, nowMs);
    }
  }

  /**
   * Loses the workers that send no heartbeats any more. First a round trip to the
   * broker has to end: what was on its way has come then, and a broker that does
   * not answer delivers no heartbeats either.
   */
  checkSilence(nowMs: number): void {
    if (this.#confirming || !this.#presence.mayJudge(nowMs)) return;
    if (this.#parts.workers.silent(nowMs).length > 0) void this.#confirmSilence(nowMs);
  }

  async #confirmSilence(fromMs: number): Promise<void> {
    const { bus, workers } = this.#parts;
    this.#confirming = true;
    const isAnswered = await bus.flush(ROUND_TRIP_LIMIT_MS);
    this.#confirming = false;
    const nowMs = bus.runtime.now();
    if (!isAnswered || nowMs - fromMs > SLOW_ROUND_TRIP_MS) return this.excuseBroker(nowMs);
    if (!this.#presence.mayJudge(nowMs)) return;
    for (const worker of workers.silent(nowMs)) this.#lose(worker, "went silent");
  }

  /** The broker did not answer for a while: nobody's silence meanwhile counts. */
  excuseBroker(nowMs: number): void {
    this.#presence.onReconnect(nowMs);
    this.#parts.workers.resetSilence(nowMs);
  }

  /** After this manager's own reconnect nobody is judged for a while, and it asks for the outcomes that are due. */
  onReconnect(nowMs: number): void {
    const { workers, dispatcher, timeouts, bus, subjects, pool } = this.#parts;
    this.#presence.onReconnect(nowMs);
    workers.resetSilence(nowMs);
    dispatcher.refuseTooLarge();
    timeouts.restartUnanswered(nowMs);
    bus.publish(subjects.controlAll(pool), encodeControl("rollCall", {}));
    const sent = dispatcher.liveJobsNow().filter((job) => job.state === "sent");
    this.#askForOutcomes(subjects.controlAll(pool), sent);
  }

  /**
   * A worker's heartbeat lists all that it runs. A job that it accepted and no
   * longer lists has ended there, and its outcome was lost on the way: we ask.
   */
  onRunningList({ worker, runningJobs, runningNonces }: Heartbeat): void {
    const { dispatcher, subjects, pool } = this.#parts;
    const accepted = dispatcher.inFlight.assignments.at(worker).filter(({ state }) => state === "accepted");
    if (accepted.length === 0) return;
    const listed = new Set(runningJobs.map((id, i) => `${id} ${runningNonces[i] ?? ""}`));
    const isListed = ({ id, spec }: Job): boolean => listed.has(`${id} ${spec.nonce}`);
    const due: Job[] = [];
    for (const attempt of accepted) {
      attempt.unlisted = isListed(attempt.job) ? 0 : attempt.unlisted + 1;
      if (attempt.unlisted < UNLISTED_TO_ASK) continue;
      attempt.unlisted = 0;
      due.push(attempt.job);
    }
    this.#askForOutcomes(subjects.control(pool, worker), due);
  }

  /**
   * Asks all workers whether they have these attempts, before their jobs are sent
   * again. When all have said that they do not, the jobs are sent at once; workers
   * that say nothing are unresponsive.
   */
  inquire(attempts: readonly Attempt[]): void {
    const { workers, dispatcher, subjects, pool } = this.#parts;
    for (let from = 0; from < attempts.length; from += IDS_PER_QUESTION) {
      const asked = attempts.slice(from, from + IDS_PER_QUESTION);
      const expected = new Set(workers.answering());
      const resend = (): void => {
        for (const attempt of asked) dispatcher.retries.neverArrived(attempt);
      };
      if (expected.size === 0) return resend();
      const payload = askForOutcomes(asked.map(({ job }) => job));
      const onReply = (msg: Reply): void => {
        const worker = this.#onOutcomes(msg);
        if (worker !== undefined && expected.delete(worker) && expected.size === 0) resend();
      };
      void this.#parts.inbox
        .askAll({ subject: subjects.controlAll(pool), payload, limitMs: INQUIRY_MS }, onReply)
        .then(() => {
          for (const worker of expected) workers.didNotAnswer(worker);
        });
    }
  }

  /** Another process, which was started earlier, uses the same id: what the one does not know the other may have. */
  onTwin(worker: string, nowMs: number): void {
    this.#twinHeardAtMs.set(worker, nowMs);
  }

  /** A worker has left. */
  onLeft(worker: string): void {
    this.#twinHeardAtMs.delete(worker);
    this.#presence.forget(worker);
  }

  stop(): void {
    this.#presence.stop();
  }

  #onPresent(worker: string, roundTripMs: number): void {
    this.#parts.timeouts.workerMeasured(worker, roundTripMs);
    this.#parts.workers.heard(worker, this.#parts.bus.runtime.now());
  }

  #lose(worker: string, why: string): void {
    this.#presence.forget(worker);
    if (this.#parts.workers.remove(worker)) this.#parts.onLost(worker, why);
    this.#parts.dispatcher.workerLost(worker, why);
  }

  #askForOutcomes(subject: string, jobs: readonly Job[]): void {
    for (let from = 0; from < jobs.length; from += IDS_PER_QUESTION) {
      const payload = askForOutcomes(jobs.slice(from, from + IDS_PER_QUESTION));
      const onReply = (msg: Reply): void => void this.#onOutcomes(msg);
      void this.#parts.inbox.askAll({ subject, payload, limitMs: OUTCOMES_WITHIN_MS }, onReply);
    }
  }

  #hasTwin(worker: string): boolean {
    const heardAtMs = this.#twinHeardAtMs.get(worker) ?? Number.NEGATIVE_INFINITY;
    return this.#parts.bus.runtime.now() - heardAtMs < TWIN_FOR_MS;
  }

  /** The worker sends the outcomes that it knows by itself; here it says which jobs it knows. Returns who it is. */
  #onOutcomes(msg: Reply): string | undefined {
    const { dispatcher } = this.#parts;
    const response = decodeControlResponse(msg);
    const worker = response?.worker?.worker;
    if (response === undefined || worker === undefined) return undefined;
    for (const id of response.knownJobIds) dispatcher.runsAt(id, dispatcher.live(id)?.spec.nonce ?? "", worker);
    for (const id of this.#hasTwin(worker) ? [] : response.unknownJobIds) {
      const attempt = dispatcher.live(id)?.attempt;
      if (attempt?.worker === worker) dispatcher.retries.attemptLost(attempt, "has forgotten it");
    }
    return worker;
  }
}

/** The question for the outcomes of these jobs. */
function askForOutcomes(jobs: readonly Job[]): Uint8Array {
  return encodeControl("owed", { jobIds: jobs.map(({ id }) => id), nonces: jobs.map(({ spec }) => spec.nonce) });
}
