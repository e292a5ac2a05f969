/**
 * All pools of one manager: who hears what on the bus, and the ticks.
 *
 * Decided here: which subjects a manager hears, when a pool comes into being
 * and when it is forgotten, and the manager's own heartbeats.
 */

import { hostname } from "node:os";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import { ManagerHeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Inbox } from "../../mesh/link/inbox.js";
import { type Runtime, systemRuntime, type Timer } from "../../mesh/link/runtime.js";
import { checkName } from "../../mesh/names.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { type Logger, silentLog } from "../../mesh/process/log.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import { decodeJobHeaders, encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { decodeHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import { isAnswerable, QUEUE_MANAGERS, Subjects } from "../../mesh/wire/subjects.js";
import { answerAgain, answerSubmission } from "./doors/nats.js";
import { OwedAnswers } from "./owed-answers.js";
import { Pool, type PoolSettings } from "./pool.js";
import { Standstill } from "./standstill.js";

export interface PoolsOptions {
  readonly bus: Bus;
  /** This manager's id. */
  readonly id: string;
  readonly prefix?: string;
  /** The pools to serve; undefined for all. */
  readonly pools?: readonly string[];
  /** Also take jobs from `pool.P.submit`. */
  readonly servesSubmit: boolean;
  readonly settings: PoolSettings;
  /** At most this many pools are known at once. */
  readonly maxPools: number;
  /** How long stop() waits for live jobs, in milliseconds. */
  readonly graceMs: number;
  readonly log?: Logger;
}

const TICK_MS = 10;
/** The ticker goes on for this many ticks without a job, so that one job after another does not make a timer each. */
const IDLE_TICKS = 100;
const BEAT_MS = 1_000;
const BEAT_COALESCE_MS = 250;
const FORGET_AFTER_MS = 600_000;

export class Pools extends Lifecycle {
  readonly #options: PoolsOptions;
  readonly #subjects: Subjects;
  readonly #log: Logger;
  readonly #pools = new Map<string, Pool>();
  /** Pools by the mark of the replies to their jobs. */
  readonly #marks = new Map<string, Pool>();
  readonly #busy = new Set<Pool>();
  readonly #closers: (() => void)[] = [];
  readonly #runtime: Runtime;
  readonly #incarnation: bigint;
  readonly #owed: OwedAnswers;
  readonly #standstill: Standstill;
  #inbox: Inbox | undefined;
  #ticker: Timer | undefined;
  #beater: Timer | undefined;
  #early: Timer | undefined;
  #idleTicks = 0;
  #seq = 0n;
  #strays = 0;
  #lastMark = 0;
  #garbage = 0;
  #stopping = false;

  constructor(options: PoolsOptions) {
    super();
    this.#options = options;
    this.#runtime = options.bus.runtime;
    this.#incarnation = newIncarnation(this.#runtime.wallNow(), this.#runtime.random);
    this.#owed = new OwedAnswers(options.bus);
    this.#standstill = new Standstill(options.bus, this.#now());
    this.#subjects = new Subjects(options.prefix);
    this.#log = options.log ?? silentLog;
    for (const pool of options.pools ?? []) checkName("pool", pool);
  }

  get subjects(): Subjects {
    return this.#subjects;
  }

  /** Replies that nobody waited for any more, and heartbeats that were garbage; dropped. */
  get dropped(): { readonly replies: number; readonly heartbeats: number } {
    return { replies: this.#strays, heartbeats: this.#garbage };
  }

  /** The inbox for this manager's own questions. */
  get inbox(): Inbox {
    if (this.#inbox === undefined) throw new PoolError("bus_unavailable", "the manager was not started");
    return this.#inbox;
  }

  known(): Iterable<Pool> {
    return this.#pools.values();
  }

  /** A pool that is known. */
  find(name: string): Pool | undefined {
    return this.#pools.get(checkName("pool", name));
  }

  /**
   * A pool to submit to; made when it is not known yet.
   *
   * @throws PoolError `invalid_argument`, `not_found` when this manager does not serve it, `draining`, `pool_full`
   */
  get(name: string): Pool {
    if (this.#stopping) throw new PoolError("draining", "this manager is stopping", { retryAfterMs: 100 });
    const known = this.#pools.get(checkName("pool", name));
    if (known !== undefined) return known;
    if (this.#options.pools !== undefined && !this.#options.pools.includes(name)) {
      throw new PoolError("not_found", "this manager does not serve that pool", { field: "pool" });
    }
    if (!this.#makeRoom()) {
      throw new PoolError("pool_full", "as many pools are known as may be", { retryAfterMs: 30_000, field: "pool" });
    }
    return this.#add(name);
  }

  protected onStart(): Promise<void> {
    const { bus, pools } = this.#options;
    this.#inbox = new Inbox(bus, (mark) => this.#onStray(mark));
    for (const pool of pools ?? [undefined]) this.#subscribe(pool);
    for (const pool of pools ?? []) this.#add(pool);
    this.#closers.push(bus.on("reconnect", () => this.#onReconnect()));
    this.#standstill.alive(this.#now());
    this.#beater = this.#runtime.every(BEAT_MS, () => this.#onSecond());
    this.#beat();
    return bus.flush().then(() => undefined);
  }

  /** Waits for live jobs up to the grace, then ends the rest as `draining`. */
  protected async onStop(): Promise<void> {
    this.#stopping = true;
    await this.#idle();
    for (const pool of this.#pools.values()) {
      pool.endAll("draining", "the manager stopped before the job ended");
      pool.watchdog.stop();
    }
    this.#beat(true);
    this.#runtime.cancel(this.#beater);
    this.#runtime.cancel(this.#ticker);
    this.#runtime.cancel(this.#early);
    for (const close of this.#closers) close();
    this.#inbox?.stop();
    await this.#options.bus.flush();
    this.#owed.stop();
  }

  /** Room for one more pool; a name that somebody only made up gives way when the table is full. */
  #makeRoom(): boolean {
    if (this.#pools.size < this.#options.maxPools) return true;
    for (const pool of this.#pools.values()) {
      if (pool.roster.size > 0 || pool.dispatcher.liveJobs > 0) continue;
      this.#forget(pool);
      return true;
    }
    return false;
  }

  #add(name: string): Pool {
    const { bus, settings } = this.#options;
    const onBusy = (pool: Pool, busy: boolean): void => this.#onBusy(pool, busy);
    this.#lastMark += 1;
    const mark = this.#lastMark.toString(36);
    const parts = { bus, inbox: this.inbox, mark, subjects: this.#subjects, now: bus.runtime.now, onBusy };
    const pool = new Pool(name, parts, settings);
    this.#pools.set(name, pool);
    this.#marks.set(mark, pool);
    bus.publish(this.#subjects.controlAll(name), encodeControl("rollCall", {}));
    return pool;
  }

  #now(): number {
    return this.#runtime.now();
  }

  #forget(pool: Pool): void {
    this.#pools.delete(pool.name);
    this.#marks.delete(pool.mark);
  }

  #subscribe(pool: string | undefined): void {
    const { bus, servesSubmit } = this.#options;
    const every = this.#subjects.every;
    const subscriptions = [
      bus.subscribe(every.heartbeat(pool), (msg) => this.#onHeartbeat(msg)),
      bus.subscribe(every.cancel(pool), (msg) => this.#onCancel(msg)),
    ];
    this.#closers.push(() => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    });
    if (!servesSubmit) return;
    const submit = bus.subscribe(every.submit(pool), (msg) => this.#onSubmit(msg, answerSubmission), QUEUE_MANAGERS);
    const again = bus.subscribe(every.submitTo(this.#options.id, pool), (msg) => this.#onSubmit(msg, answerAgain));
    this.#closers.push(() => {
      submit.unsubscribe();
      again.unsubscribe();
    });
  }

  #onHeartbeat(msg: Msg): void {
    const pool = this.#subjects.poolOf(msg.subject);
    const worker = this.#subjects.lastOf(msg.subject);
    const contentType = msg.headers?.get(HEADER.contentType) ?? "";
    const decoded = decodeHeartbeat({ data: msg.data, contentType, pool, sender: worker });
    if (!decoded.ok) {
      this.#garbage += 1;
      return;
    }
    const known = this.#pools.get(pool) ?? (this.#makeRoom() ? this.#add(pool) : undefined);
    known?.onHeartbeat(decoded.beat);
  }

  #onCancel(msg: Msg): void {
    const pool = this.#pools.get(this.#subjects.poolOf(msg.subject));
    const job = this.#subjects.lastOf(msg.subject);
    const upToAttempt = decodeJobHeaders(msg.headers).attempt;
    this.#standstill.revoke(job, upToAttempt ?? Number.POSITIVE_INFINITY);
    if (pool?.onCancel(job, upToAttempt) !== true) return;
    if (isAnswerable(msg.reply, this.#options.bus.inboxPrefix)) {
      this.#options.bus.publish(msg.reply, undefined, { headers: encodeReplyHeaders({ kind: "result" }) });
    }
  }

  /** A reply that came too late is counted for its pool. */
  #onStray(mark: string): void {
    this.#strays += 1;
    const pool = this.#marks.get(mark);
    if (pool !== undefined) pool.tally.late += 1;
  }

  #onSubmit(msg: Msg, answer: typeof answerSubmission): void {
    const name = this.#subjects.poolOf(msg.subject);
    const { bus, id } = this.#options;
    const parts = { bus, owed: this.#owed, manager: id };
    this.#standstill.alive(this.#now());
    const job = msg.headers?.get(HEADER.jobId) ?? "";
    const attempt = Number(msg.headers?.get(HEADER.attempt) || 1);
    const taken = this.#standstill.submit(job, attempt, () => answer(parts, msg, () => this.get(name)));
    if (taken) return;
    answer(parts, msg, () => {
      throw new PoolError("pool_full", "the manager has just woken up", { retryAfterMs: 1_000 });
    });
  }

  #onBusy(pool: Pool, busy: boolean): void {
    if (busy) {
      this.#busy.add(pool);
      pool.watchdog.onBusy(this.#now());
      this.#idleTicks = 0;
      this.#ticker ??= this.#runtime.every(TICK_MS, () => this.#onTick());
    } else this.#busy.delete(pool);
    this.#early ??= this.#runtime.after(BEAT_COALESCE_MS, () => {
      this.#early = undefined;
      if (!this.#stopping) this.#beat();
    });
  }

  #onTick(): void {
    const now = this.#now();
    for (const pool of this.#busy) pool.watchdog.tick(now);
    this.#idleTicks = this.#busy.size === 0 ? this.#idleTicks + 1 : 0;
    if (this.#idleTicks < IDLE_TICKS) return;
    this.#runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  #onSecond(): void {
    const now = this.#now();
    this.#standstill.alive(now);
    for (const pool of this.#pools.values()) {
      pool.watchdog.sweepSilent(now);
      const idle = pool.roster.size === 0 && pool.dispatcher.liveJobs === 0 && now - pool.lastUsedAt > FORGET_AFTER_MS;
      if (idle && this.#options.pools === undefined) this.#forget(pool);
    }
    this.#beat();
    if (this.#busy.size > 0) void this.#measureRoundTrip();
  }

  async #measureRoundTrip(): Promise<void> {
    const begunAt = this.#now();
    if (!(await this.#options.bus.flush(1_000))) return;
    for (const pool of this.#busy) pool.watchdog.onRoundTrip(this.#now() - begunAt);
  }

  #onReconnect(): void {
    this.#log.info("asking workers for what is owed");
    for (const pool of this.#pools.values()) pool.watchdog.onReconnect(this.#now());
  }

  #beat(stopped = false): void {
    const { bus, id } = this.#options;
    for (const pool of this.#pools.values()) {
      this.#seq += 1n;
      const heartbeat = create(ManagerHeartbeatSchema, {
        ...pool.figures(),
        pool: pool.name,
        manager: id,
        incarnation: this.#incarnation,
        seq: this.#seq,
        stopped,
        host: hostname(),
        pid: process.pid,
        version: packageVersion(),
        heartbeatIntervalMs: BEAT_MS,
      });
      bus.publish(this.#subjects.managerHeartbeat(pool.name, id), toBinary(ManagerHeartbeatSchema, heartbeat));
    }
  }

  /** Resolves when no job is live, or at the grace. */
  #idle(): Promise<void> {
    const endAt = this.#now() + this.#options.graceMs;
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#busy.size === 0 || this.#now() >= endAt) resolve();
        else this.#runtime.after(20, check);
      };
      check();
    });
  }
}

/** A default manager id. */
export function newManagerId(runtime: Runtime = systemRuntime): string {
  return `manager-${runtime.newId()}`;
}
