/**
 * Which workers of one pool are lost, and which outcomes did not arrive.
 *
 * Decided here: a worker is lost when it is gone (presence.ts) or has been silent
 * for three of its heartbeat intervals while the broker answers; after this manager's own reconnect, and
 * for jobs that a worker no longer lists, it asks for the outcomes that are due.
 * Not decided here: what becomes of the jobs (dispatcher.ts), who is asked before a
 * job is sent again (inquiries.ts).
 */
import type { Heartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { Presence } from "../../../mesh/link/presence.js";
import { decodeControlResponse, encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Reply } from "../../../mesh/wire/wire-headers.js";
import type { Attempt, Job } from "../jobs/job.js";
import type { Timeouts } from "../jobs/timeouts.js";
import { askForOutcomes, IDS_PER_QUESTION, Inquiries, type InquiryParts } from "./inquiries.js";

/** Heartbeats without a job after which its outcome counts as lost on the way. */
const UNLISTED_TO_ASK = 2;
/** A second process of one id is thought to be there for this long after its last heartbeat, in milliseconds. */
const TWIN_FOR_MS = 5_000;
/** How long workers have to say which jobs they know, in milliseconds. */
const OUTCOMES_WITHIN_MS = 1_000;
/** How long the round trip before a verdict may take, and from when on it excuses everybody, in milliseconds. */
const ROUND_TRIP_LIMIT_MS = 1_000;
const SLOW_ROUND_TRIP_MS = 500;

/** What it works with. */
export interface LossesParts extends Omit<InquiryParts, "onAnswer"> {
  readonly timeouts: Timeouts;
  /** A worker is lost. */
  readonly onLost: (worker: string, why: string) => void;
}

export class Losses {
  readonly #parts: LossesParts;
  readonly #presence: Presence;
  readonly #inquiries: Inquiries;
  #confirming = false;
  /** By worker id: when an earlier process of it was heard last. */
  readonly #twinHeardAtMs = new Map<string, number>();

  constructor(parts: LossesParts) {
    this.#parts = parts;
    const { pool, subjects } = parts;
    this.#inquiries = new Inquiries({
      ...parts,
      onAnswer: (msg, worker, attempts) => this.#onOutcomes(msg, worker, attempts),
    });
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
    this.#parts.timeouts.workerJoined();
    this.#presence.probe(worker);
  }

  /** Probes the workers that have jobs and are silent. */
  checkPresence(nowMs: number): void {
    for (const id of this.#parts.dispatcher.inFlight.assignments.workers()) {
      const heardAtMs = this.#parts.workers.get(id)?.lastHeardAtMs ?? Number.NEGATIVE_INFINITY;
      this.#presence.check(id, nowMs - heardAtMs, nowMs);
    }
    for (const id of this.#inquiries.absent) this.#presence.check(id, Number.POSITIVE_INFINITY, nowMs);
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
    this.#inquiries.onReconnect();
    workers.resetSilence(nowMs);
    dispatcher.refuseTooLarge();
    timeouts.restartUnanswered(nowMs);
    bus.publish(subjects.controlAll(pool), encodeControl("rollCall", {}));
    const sentTo = new Map<string | undefined, Attempt[]>();
    for (const { state, attempt } of dispatcher.liveJobsNow()) {
      if (state !== "sent" || attempt === undefined) continue;
      const attempts = sentTo.get(attempt.worker);
      if (attempts === undefined) sentTo.set(attempt.worker, [attempt]);
      else attempts.push(attempt);
    }
    for (const [worker, attempts] of sentTo) this.#askForOutcomes(worker, attempts);
  }

  /**
   * A worker's heartbeat lists all that it runs. A job that it accepted and no
   * longer lists has ended there, and its outcome was lost on the way: we ask.
   */
  onRunningList(heartbeat: Heartbeat): void {
    const { dispatcher } = this.#parts;
    const { worker } = heartbeat;
    const accepted = dispatcher.inFlight.assignments.at(worker).filter(({ state }) => state === "accepted");
    if (accepted.length === 0) return;
    const isListed = runsIn(heartbeat);
    const due: Attempt[] = [];
    for (const attempt of accepted) {
      attempt.unlisted = isListed(attempt.job) ? 0 : attempt.unlisted + 1;
      if (attempt.unlisted < UNLISTED_TO_ASK) continue;
      attempt.unlisted = 0;
      due.push(attempt);
    }
    this.#askForOutcomes(worker, due);
  }

  /** Asks all workers whether they have these attempts, before their jobs are sent again. */
  inquire(attempts: readonly Attempt[]): void {
    this.#inquiries.ask(attempts);
  }

  /**
   * The broker refuses what a worker answers to this manager: what it has is lost.
   * It is asked until an answer comes, since it does not know when it may answer again.
   */
  onMissingPermissions({ worker, missingPermissions }: Heartbeat): void {
    const refused = `publish ${this.#parts.bus.inboxRoot}.>`;
    if (!missingPermissions.includes(refused)) return;
    this.#parts.dispatcher.workerLost(worker, `lost its permission to answer (${refused})`);
    this.#presence.probe(worker);
  }

  /** Another process, which was started earlier, uses the same id: what the one does not know the other may have. */
  onTwin(worker: string, nowMs: number): void {
    this.#twinHeardAtMs.set(worker, nowMs);
  }

  /** A worker has left, or is lost: what becomes of its jobs is decided before nobody waits for its word any more. */
  onLeft(worker: string, why: string): void {
    this.#twinHeardAtMs.delete(worker);
    this.#presence.forget(worker);
    this.#parts.dispatcher.workerLost(worker, why);
    this.#inquiries.onLost(worker);
  }

  stop(): void {
    this.#presence.stop();
  }

  #onPresent(worker: string, roundTripMs: number): void {
    this.#inquiries.onPresent(worker);
    this.#parts.timeouts.workerMeasured(worker, roundTripMs);
    this.#parts.workers.heard(worker, this.#parts.bus.runtime.now());
  }

  #lose(worker: string, why: string): void {
    if (this.#parts.workers.remove(worker)) this.#parts.onLost(worker, why);
    else this.onLeft(worker, why);
  }

  /** @param worker that has them; undefined when that is not known: all are asked */
  #askForOutcomes(worker: string | undefined, attempts: readonly Attempt[]): void {
    for (let from = 0; from < attempts.length; from += IDS_PER_QUESTION) {
      this.#ask(worker, attempts.slice(from, from + IDS_PER_QUESTION));
    }
  }

  #ask(worker: string | undefined, attempts: readonly Attempt[]): void {
    const { subjects, pool, inbox } = this.#parts;
    const subject = worker === undefined ? subjects.controlAll(pool) : subjects.control(pool, worker);
    const payload = askForOutcomes(attempts.map(({ job }) => job));
    const question = { subject, payload, limitMs: OUTCOMES_WITHIN_MS };
    void inbox.askAll(question, (msg) => void this.#onOutcomes(msg, worker, attempts));
  }

  #hasTwin(worker: string): boolean {
    const heardAtMs = this.#twinHeardAtMs.get(worker) ?? Number.NEGATIVE_INFINITY;
    return this.#parts.bus.runtime.now() - heardAtMs < TWIN_FOR_MS;
  }

  /**
   * The worker sends the outcomes that it knows by itself; here it says which jobs it knows.
   *
   * @param asked the one that was asked; undefined when all were: each of them knows the
   * reply subject then, and whoever answers may say that it has a job, but not that another one has none
   * @param attempts that it was asked about: that it does not know a job tells nothing of an attempt that left later
   * @returns of how many jobs it told; 0 when it was no answer to this question
   */
  #onOutcomes(msg: Reply, asked: string | undefined, attempts: readonly Attempt[]): number {
    const { dispatcher } = this.#parts;
    const response = decodeControlResponse(msg);
    const worker = asked ?? response?.worker?.worker;
    if (response?.worker === undefined || worker === undefined) return 0;
    const told = response.knownJobIds.length + response.unknownJobIds.length;
    for (const id of response.knownJobIds) dispatcher.runsAt(id, dispatcher.live(id)?.spec.nonce ?? "", worker);
    if (asked === undefined) return told;
    if (this.#hasTwin(worker)) return told;
    const unknown = new Set(response.unknownJobIds);
    const ended = endedIds(response.knownJobIds, response.worker);
    for (const attempt of attempts) {
      if (attempt.worker !== worker || attempt.job.attempt !== attempt) continue;
      if (unknown.has(attempt.job.id)) dispatcher.retries.unknownAt(attempt);
      else if (ended.has(attempt.job.id)) dispatcher.retries.ranEarlierAttempt(attempt);
    }
    return told;
  }
}

/** Of the jobs that a worker knows those that it does not run: it has sent their outcomes before it answered. */
function endedIds(known: readonly string[], { runningJobs, runningTruncated }: Heartbeat): Set<string> {
  const running = new Set(runningJobs);
  return new Set(runningTruncated ? [] : known.filter((id) => !running.has(id)));
}

/** Whether a heartbeat lists a job as running. */
export function runsIn({ runningJobs, runningNonces }: Heartbeat): (job: Job) => boolean {
  const listed = new Set(runningJobs.map((id, i) => `${id} ${runningNonces[i] ?? ""}`));
  return ({ id, spec }) => listed.has(`${id} ${spec.nonce}`);
}
