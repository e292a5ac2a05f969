/**
 * The watchdog of one pool: ends what has waited too long.
 *
 * Decided here: when a deadline has passed, when an offer counts as not
 * accepted, when a worker counts as lost, and what an outage of our own excuses.
 * It is called on a tick and on events; it owns no timer.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { isNoResponders, type Reply } from "../../../mesh/link/inbox.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Dispatcher } from "./dispatcher.js";
import { Fifo } from "./fifo.js";
import type { Attempt } from "./job.js";

export interface WatchdogOptions {
  /** How long an offer may stay unaccepted, in milliseconds; raised to four round trips. */
  readonly acceptTimeoutMs: number;
  readonly onLost: (worker: string, why: string) => void;
}

/** A worker that has our jobs and is silent for this long is probed, in milliseconds. */
const PROBE_AFTER_MS = 250;
/** Nobody at a worker's control subject twice, this far apart, means that it is gone. */
const PROBE_AGAIN_MS = 300;
/** A probe without any answer is sent again after this, in milliseconds. */
const PROBE_LIMIT_MS = 1_000;
/** After our own reconnect nobody is judged for this long: workers are reconnecting too. */
const STABLE_AFTER_MS = 3_000;
/** Heartbeats without a job after which its answer counts as lost on the way. */
const MISSING_TO_ASK = 2;
/** A tick that is later than this after the one before: we stood still, and heard nobody meanwhile. */
const STALL_MS = 100;
const SWEEP_STALL_MS = 1_500;
/** The accept timeout is at least this until a first answer was measured, in milliseconds. */
const UNMEASURED_TIMEOUT_MS = 1_000;
const MAX_MEASURED_TIMEOUT_MS = 3_000;
/** How long the answer to a revoked attempt is waited for, to learn from; and how many are waited for. */
const LINGER_MS = 2_000;
const MAX_LINGERING = 1_000;
/** Workers that are measured at once when they are new. */
const MAX_PROBES = 64;
/** Ids in one question for what we are owed. */
const OWED_CHUNK = 500;

export class Watchdog {
  readonly #dispatcher: Dispatcher;
  readonly #options: WatchdogOptions;
  /** Workers that were not at their control subject at this instant. */
  readonly #absentSince = new Map<string, number>();
  readonly #probes = new Map<string, { token: string; sentAt: number }>();
  #stableFrom: number;
  #nextProbeAt = 0;
  readonly #lingering = new Fifo<Attempt>();
  /** A round trip to the broker, and that to the slowest worker, in milliseconds. */
  #brokerMs = 0;
  #slowestMs: number | undefined;
  #lastTickAt: number;
  #lastSweepAt: number;

  constructor(dispatcher: Dispatcher, options: WatchdogOptions) {
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#stableFrom = dispatcher.parts.now();
    this.#lastTickAt = this.#stableFrom;
    this.#lastSweepAt = this.#stableFrom;
    dispatcher.onRoundTrip = (worker, ms) => this.#measured(worker, ms);
  }

  /**
   * The accept timeout in force: never less than four round trips as measured, to
   * whoever is farthest, where a round trip counts for 750 ms at most: a longer one
   * tells of a process that stood still, and what a dead one had must not wait for it.
   */
  get acceptTimeoutMs(): number {
    const least = this.#slowestMs === undefined ? UNMEASURED_TIMEOUT_MS : 4 * this.#slowestMs;
    const measured = Math.min(Math.max(least, 4 * this.#brokerMs), MAX_MEASURED_TIMEOUT_MS);
    return Math.max(this.#options.acceptTimeoutMs, measured);
  }

  /** Ticks begin now. */
  onBusy(now: number): void {
    this.#lastTickAt = now;
  }

  /** A worker is new: how far away is it? */
  onJoined(worker: string): void {
    if (this.#probes.size < MAX_PROBES) this.#probe(worker);
  }

  /** Called every 10 ms while jobs are live. */
  tick(now: number): void {
    this.#excuse(now - this.#lastTickAt, STALL_MS, now);
    this.#lastTickAt = now;
    for (const job of this.#dispatcher.deadlines.expired(now)) {
      const parked = job.state === "parked";
      const message = parked ? "no slot came free before the deadline" : "no result before the deadline";
      const maybeExecuted = job.attempt?.accepted ?? false;
      this.#dispatcher.cancel(job, new PoolError("deadline_exceeded", message, { maybeExecuted }));
    }
    const { bus } = this.#dispatcher.parts;
    // While the bus moves, offers are held: nobody can have answered them.
    if (!bus.connected || bus.moving) return;
    this.#sweepUnaccepted(now);
    if (now < this.#nextProbeAt) return;
    this.#nextProbeAt = now + PROBE_AFTER_MS / 2;
    this.#probeSilent(now);
    this.sweepSilent(now);
    this.#dispatcher.probeBare();
  }

  /** Workers that no longer beat are lost. Called every second, and more often while jobs are live. */
  sweepSilent(now: number): void {
    this.#excuse(now - this.#lastSweepAt, SWEEP_STALL_MS, now);
    this.#lastSweepAt = now;
    this.#slowestMs = this.#dispatcher.parts.roster.slowestMs();
    this.#closeLingering(now - LINGER_MS);
    if (!this.#dispatcher.parts.bus.connected || now < this.#stableFrom) return;
    for (const worker of this.#dispatcher.parts.roster.silent(now)) this.#lose(worker, "went silent");
  }

  /** After a reconnect: nobody is judged yet, and we ask for what we are owed. */
  onReconnect(now: number): void {
    this.#stableFrom = now + STABLE_AFTER_MS;
    this.#absentSince.clear();
    const { roster, bus, subjects, pool } = this.#dispatcher.parts;
    roster.forgive(now);
    this.#dispatcher.refuseTooLarge();
    for (const attempt of this.#dispatcher.bookings.unaccepted) attempt.sentAt = now;
    bus.publish(subjects.controlAll(pool), encodeControl("rollCall", {}));
    const sent = this.#dispatcher.liveJobsNow().filter((job) => job.state === "sent");
    this.#askOwed(
      subjects.controlAll(pool),
      sent.map((job) => job.id),
    );
  }

  /**
   * A worker's heartbeat lists all that it runs. What it accepted and no longer
   * lists has ended, and its answer was lost on the way: we ask for it.
   */
  onRunning(worker: string, running: readonly string[]): void {
    const attempts = this.#dispatcher.parts.placements.at(worker).filter((attempt) => attempt.accepted);
    if (attempts.length === 0) return;
    const listed = new Set(running);
    const owed: string[] = [];
    for (const attempt of attempts) {
      attempt.missing = listed.has(attempt.job.id) ? 0 : attempt.missing + 1;
      if (attempt.missing >= MISSING_TO_ASK) {
        attempt.missing = 0;
        owed.push(attempt.job.id);
      }
    }
    const { subjects, pool } = this.#dispatcher.parts;
    if (owed.length > 0) this.#askOwed(subjects.control(pool, worker), owed);
  }

  /** A round trip to the broker as measured, in milliseconds. */
  onRoundTrip(ms: number): void {
    this.#brokerMs = this.#brokerMs === 0 ? ms : this.#brokerMs * 0.7 + ms * 0.3;
  }

  /** Gives up what is still asked. */
  stop(): void {
    this.#closeLingering(Number.POSITIVE_INFINITY);
    for (const worker of [...this.#probes.keys()]) this.#closeProbe(worker);
  }

  #sweepUnaccepted(now: number): void {
    const { parts, bookings } = this.#dispatcher;
    const { unaccepted } = bookings;
    for (let attempt = unaccepted.first; attempt !== undefined; attempt = unaccepted.first) {
      if (now - attempt.sentAt < this.acceptTimeoutMs) return;
      if (attempt.worker !== undefined) parts.roster.unanswered(attempt.worker, now);
      attempt.handOff = false;
      attempt.lingers = true;
      this.#lingering.push(attempt);
      this.#dispatcher.tryAgain(attempt);
      if (this.#lingering.size > MAX_LINGERING) this.#closeOldest();
    }
  }

  /** Takes the time that we stood still out of every account. */
  #excuse(gapMs: number, limitMs: number, now: number): void {
    if (gapMs <= limitMs) return;
    this.#dispatcher.parts.roster.excuse(gapMs, now);
    for (const attempt of this.#dispatcher.bookings.unaccepted) attempt.sentAt = Math.min(now, attempt.sentAt + gapMs);
  }

  #measured(worker: string, ms: number): void {
    if (ms > LINGER_MS) return;
    this.#dispatcher.parts.roster.measured(worker, ms);
    this.#slowestMs = Math.max(this.#slowestMs ?? 0, ms);
  }

  #closeLingering(sentBefore: number): void {
    for (let first = this.#lingering.first; first !== undefined; first = this.#lingering.first) {
      if (first.sentAt >= sentBefore) return;
      this.#closeOldest();
    }
  }

  #closeOldest(): void {
    const attempt = this.#lingering.shift();
    if (attempt?.lingers) this.#dispatcher.parts.inbox.close(attempt.token);
  }

  #probeSilent(now: number): void {
    const { roster, placements } = this.#dispatcher.parts;
    for (const id of placements.workers()) {
      const worker = roster.get(id);
      const silentMs = worker === undefined ? Number.POSITIVE_INFINITY : now - worker.lastHeardAt;
      const absentAt = this.#absentSince.get(id);
      const due = absentAt === undefined ? silentMs >= PROBE_AFTER_MS : now - absentAt >= PROBE_AGAIN_MS;
      const asked = this.#probes.get(id);
      if (due && (asked === undefined || now - asked.sentAt > PROBE_LIMIT_MS)) this.#probe(id);
    }
  }

  #probe(worker: string): void {
    const { bus, inbox, subjects, pool, now } = this.#dispatcher.parts;
    const sentAt = now();
    this.#closeProbe(worker);
    const token = inbox.open({ onReply: (msg) => this.#onProbeReply(worker, sentAt, msg) });
    this.#probes.set(worker, { token, sentAt });
    const reply = inbox.subject(token);
    bus.publish(subjects.control(pool, worker), encodeControl("probe", {}), { reply });
  }

  #onProbeReply(worker: string, sentAt: number, msg: Reply): void {
    const { roster, now } = this.#dispatcher.parts;
    this.#closeProbe(worker);
    const at = now();
    if (!isNoResponders(msg)) {
      this.#absentSince.delete(worker);
      this.#measured(worker, at - sentAt);
      roster.heard(worker, at);
      return;
    }
    roster.unreachable(worker, at);
    if (at < this.#stableFrom) return;
    const absentAt = this.#absentSince.get(worker);
    if (absentAt === undefined) this.#absentSince.set(worker, at);
    else if (at - absentAt >= PROBE_AGAIN_MS) this.#lose(worker, "is gone");
  }

  #lose(worker: string, why: string): void {
    this.#absentSince.delete(worker);
    this.#closeProbe(worker);
    if (this.#dispatcher.parts.roster.remove(worker)) this.#options.onLost(worker, why);
    this.#dispatcher.onWorkerLost(worker, why);
  }

  #closeProbe(worker: string): void {
    const asked = this.#probes.get(worker);
    if (asked === undefined) return;
    this.#dispatcher.parts.inbox.close(asked.token);
    this.#probes.delete(worker);
  }

  #askOwed(subject: string, ids: readonly string[]): void {
    const { bus, inbox } = this.#dispatcher.parts;
    for (let i = 0; i < ids.length; i += OWED_CHUNK) {
      const token = inbox.open({ onReply: (msg) => this.#onOwedReply(msg) });
      bus.runtime.after(STABLE_AFTER_MS, () => inbox.close(token), "background");
      const request = encodeControl("owed", { jobIds: ids.slice(i, i + OWED_CHUNK) });
      bus.publish(subject, request, { reply: inbox.subject(token) });
    }
  }

  #onOwedReply(msg: Reply): void {
    if (msg.data.length === 0) return;
    const response = fromBinary(ControlResponseSchema, msg.data);
    const worker = response.worker?.worker ?? "";
    for (const id of response.knownJobIds) this.#dispatcher.locate(id, worker);
    for (const id of response.unknownJobIds) {
      const attempt = this.#dispatcher.live(id)?.attempt;
      if (attempt?.worker === worker && !attempt.over) this.#dispatcher.onAttemptLost(attempt, "has forgotten it");
    }
  }
}
