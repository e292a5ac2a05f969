/**
 * Which workers of one pool are lost, and which outcomes did not arrive.
 *
 * Decided here: a worker is lost when it is gone (presence.ts) or has been silent
 * for three of its heartbeat intervals; after this manager's own reconnect, and
 * for jobs that a worker no longer lists, it asks for the outcomes that are due.
 * Not decided here: what becomes of the jobs (dispatcher.ts).
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ControlResponseSchema } from "../../gen/poolmesh/v1/control_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { Presence, STABLE_AFTER_MS } from "../../mesh/link/presence.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import type { Reply } from "../../mesh/wire/reply.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { Dispatcher } from "./jobs/dispatcher.js";
import type { Timeouts } from "./jobs/timeouts.js";
import type { Workers } from "./jobs/workers.js";

/** Heartbeats without a job after which its outcome counts as lost on the way. */
const UNLISTED_TO_ASK = 2;
/** Job ids in one question. */
const IDS_PER_QUESTION = 500;

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

  /** Loses the workers that send no heartbeats any more. */
  checkSilence(nowMs: number): void {
    if (!this.#presence.mayJudge(nowMs)) return;
    for (const worker of this.#parts.workers.silent(nowMs)) this.#lose(worker, "went silent");
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
    this.#askForOutcomes(
      subjects.controlAll(pool),
      sent.map((job) => job.id),
    );
  }

  /**
   * A worker's heartbeat lists all that it runs. A job that it accepted and no
   * longer lists has ended there, and its outcome was lost on the way: we ask.
   */
  onRunningList(worker: string, running: readonly string[]): void {
    const { dispatcher, subjects, pool } = this.#parts;
    const accepted = dispatcher.inFlight.assignments.at(worker).filter(({ state }) => state === "accepted");
    if (accepted.length === 0) return;
    const listed = new Set(running);
    const due: string[] = [];
    for (const attempt of accepted) {
      attempt.unlisted = listed.has(attempt.job.id) ? 0 : attempt.unlisted + 1;
      if (attempt.unlisted < UNLISTED_TO_ASK) continue;
      attempt.unlisted = 0;
      due.push(attempt.job.id);
    }
    this.#askForOutcomes(subjects.control(pool, worker), due);
  }

  /** A worker has left. */
  onLeft(worker: string): void {
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

  #askForOutcomes(subject: string, ids: readonly string[]): void {
    for (let from = 0; from < ids.length; from += IDS_PER_QUESTION) {
      const payload = encodeControl("owed", { jobIds: ids.slice(from, from + IDS_PER_QUESTION) });
      void this.#parts.inbox.askAll({ subject, payload, limitMs: STABLE_AFTER_MS }, (msg) => this.#onOutcomes(msg));
    }
  }

  /** The worker sends the outcomes that it knows by itself; here it says which jobs it knows. */
  #onOutcomes(msg: Reply): void {
    if (msg.data.length === 0) return;
    const { dispatcher } = this.#parts;
    const response = fromBinary(ControlResponseSchema, msg.data);
    const worker = response.worker?.worker ?? "";
    for (const id of response.knownJobIds) dispatcher.runsAt(id, worker);
    for (const id of response.unknownJobIds) {
      const attempt = dispatcher.live(id)?.attempt;
      if (attempt?.worker === worker) dispatcher.attemptLost(attempt, "has forgotten it");
    }
  }
}
