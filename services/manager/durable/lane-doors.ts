/**
 * What a manager of the durable lane answers on NATS:
 *
 *   pool.P.enqueue   one manager stores the job, and answers with its receipt
 *   pool.P.discard   one manager ends a stored job that nobody holds
 *   pool.P.lane      one manager pauses or resumes the pool's lane, or says what managers hold back
 *   pool.P.cron      one manager sets, removes or lists cron schedules
 *   pool.P.batch     one manager opens or seals a batch, or says how batches stand
 *   pool.P.lookup    the manager that holds the job says what it does with it; the others say nothing
 */
import type { Msg } from "nats";
import { ENQUEUE_TIMEOUT_MS, type NewJob, type StoredJob } from "../../../mesh/durable/enqueue.js";
import { encodeHeldJob, type HeldJob } from "../../../mesh/durable/held-job.js";
import { decodeDurableJob } from "../../../mesh/durable/job.js";
import { decodeRunTime, type RunTime } from "../../../mesh/durable/later/run-time.js";
import { HELD_BACK_QUESTION, type HeldBack } from "../../../mesh/durable/limits/held-back.js";
import type { DurableNames } from "../../../mesh/durable/names.js";
import type { LanePause } from "../../../mesh/durable/pause/lane-pause.js";
import { noLane } from "../../../mesh/durable/shown/figures.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/job/codec.js";
import { DEFAULT_TIMEOUT_MS } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import { errorText, writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeJobHeaders, encodeReplyHeaders } from "../../../mesh/wire/headers.js";
import { ownBytes } from "../../../mesh/wire/payloads.js";
import { checkName, isAnswerable, QUEUE_MANAGERS } from "../../../mesh/wire/subjects.js";
import { type HeaderReader, headersOf } from "../../../mesh/wire/wire-headers.js";
import { answerBatches, type BatchesDoorParts } from "./batches/batches-door.js";
import { answerCron, type CronDoorParts } from "./later/cron-door.js";
import { answerLimits, type LimitsDoorParts } from "./limits/limits-door.js";

/** A job to store: at once, or for later. */
export interface AskedJob extends NewJob {
  /** When it may run; undefined for at once. */
  readonly time: RunTime | undefined;
  /** Names the request: one that is repeated has the same. */
  readonly nonce: string;
}

/** What it works with. */
export interface LaneDoorsParts {
  readonly bus: Bus;
  readonly names: DurableNames;
  /** @throws PoolError */
  readonly enqueue: (job: AskedJob) => Promise<StoredJob>;
  /** @throws PoolError */
  readonly discard: (pool: string, id: string) => Promise<void>;
  /** @param forMs undefined until it is resumed. @throws PoolError */
  readonly pause: (pool: string, forMs: number | undefined) => Promise<LanePause>;
  /** @throws PoolError */
  readonly resume: (pool: string) => Promise<void>;
  /** The cron schedules of a pool that has a lane. @throws PoolError */
  readonly crons: (pool: string) => Promise<CronDoorParts>;
  readonly limits: LimitsDoorParts;
  /** What all managers hold back of a pool; undefined for one without a lane here. */
  readonly heldBack: (pool: string) => HeldBack | undefined;
  readonly batches: BatchesDoorParts;
  readonly find: (pool: string, id: string) => HeldJob | undefined;
}

/** Requests that are worked on at once. */
const MAX_UNDER_WAY = 1_024;
const EMPTY = new Uint8Array();

export class LaneDoors {
  readonly #parts: LaneDoorsParts;
  readonly #subscriptions: Subscription[] = [];
  #underWay = 0;

  constructor(parts: LaneDoorsParts) {
    this.#parts = parts;
  }

  /**
   * @param pools those that the manager serves; undefined for all
   * @param isService whether it works for others, as a manager that is embedded in a program does not
   */
  start(pools: readonly string[] | undefined, isService: boolean): void {
    const { bus, names } = this.#parts;
    for (const pool of pools ?? [undefined]) {
      this.#subscriptions.push(bus.subscribe(names.everyDoor("lookup", pool), (msg) => this.#onLookup(msg)));
      if (!isService) continue;
      const onEnqueue = (msg: Msg): void => void this.#serve(msg, () => this.#enqueue(msg));
      const onDiscard = (msg: Msg): void => void this.#serve(msg, () => this.#discard(msg));
      const onLane = (msg: Msg): void => void this.#serve(msg, () => this.#lane(msg));
      const onCron = (msg: Msg): void => void this.#serve(msg, () => this.#cron(msg));
      const onLimits = (msg: Msg): void =>
        void this.#serve(msg, () => answerLimits(this.#parts.limits, names.poolOf(msg.subject), msg.string()));
      const onBatch = (msg: Msg): void => void this.#serve(msg, () => this.#batch(msg));
      this.#subscriptions.push(
        bus.subscribe(names.everyDoor("batch", pool), onBatch, QUEUE_MANAGERS),
        bus.subscribe(names.everyDoor("limits", pool), onLimits, QUEUE_MANAGERS),
        bus.subscribe(names.everyDoor("cron", pool), onCron, QUEUE_MANAGERS),
        bus.subscribe(names.everyDoor("lane", pool), onLane, QUEUE_MANAGERS),
        bus.subscribe(names.everyDoor("enqueue", pool), onEnqueue, QUEUE_MANAGERS),
        bus.subscribe(names.everyDoor("discard", pool), onDiscard, QUEUE_MANAGERS),
      );
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions) void subscription.drain();
  }

  #onLookup(msg: Msg): void {
    const job = this.#parts.find(this.#parts.names.poolOf(msg.subject), msg.string());
    if (job !== undefined) this.#answer(msg, encodeHeldJob(job), encodeReplyHeaders({ kind: "result" }));
  }

  async #serve(msg: Msg, work: () => Promise<Uint8Array>): Promise<void> {
    try {
      if (this.#underWay >= MAX_UNDER_WAY) {
        throw new PoolError("pool_full", "the manager works on too many requests", { retryAfterMs: 1_000 });
      }
      this.#underWay += 1;
      try {
        this.#answer(msg, await work(), encodeReplyHeaders({ kind: "result" }));
      } finally {
        this.#underWay -= 1;
      }
    } catch (thrown) {
      const error = toPoolError(thrown);
      const headers = encodeReplyHeaders({ kind: "error" });
      writeErrorHeaders(headers, error);
      this.#answer(msg, errorText(error), headers);
    }
  }

  async #enqueue(msg: Msg): Promise<Uint8Array> {
    const { bus, names, enqueue } = this.#parts;
    return json.encode(await enqueue(readNewJob(bus, names.poolOf(msg.subject), headersOf(msg), ownBytes(msg.data))));
  }

  async #discard(msg: Msg): Promise<Uint8Array> {
    const { names, discard } = this.#parts;
    await discard(names.poolOf(msg.subject), checkName("job", msg.string()));
    return EMPTY;
  }

  async #lane(msg: Msg): Promise<Uint8Array> {
    const { names, pause, resume } = this.#parts;
    const pool = names.poolOf(msg.subject);
    const asked = msg.string().trim();
    if (asked === HELD_BACK_QUESTION) return json.encode(this.#heldBack(pool));
    const [, word, forMs] = /^(pause|resume)(?: (\d{1,15}))?$/.exec(asked) ?? [];
    if (word === "pause") {
      const { until } = await pause(pool, forMs === undefined ? undefined : Number(forMs));
      return json.encode({ paused: true, ...(until === undefined ? {} : { until }) });
    }
    if (word === undefined || forMs !== undefined) {
      const message = 'lane: use "pause", "pause" with a number of milliseconds, "resume", or "held-back"';
      throw new PoolError("invalid_argument", message, { field: "lane" });
    }
    await resume(pool);
    return json.encode({ paused: false });
  }

  /** @throws PoolError `unknown_pool` */
  #heldBack(pool: string): HeldBack {
    const heldBack = this.#parts.heldBack(pool);
    if (heldBack === undefined) throw noLane(pool);
    return heldBack;
  }

  async #cron(msg: Msg): Promise<Uint8Array> {
    const { names, crons, bus } = this.#parts;
    const pool = names.poolOf(msg.subject);
    return answerCron(await crons(pool), pool, headersOf(msg), ownBytes(msg.data), bus.inboxPrefix);
  }

  #batch(msg: Msg): Promise<Uint8Array> {
    const { names, batches, bus } = this.#parts;
    const asked = { pool: names.poolOf(msg.subject), headers: headersOf(msg), text: msg.string() };
    return answerBatches(batches, { ...asked, inboxPrefix: bus.inboxPrefix });
  }

  #answer({ reply }: Msg, payload: Uint8Array, headers: ReturnType<typeof encodeReplyHeaders>): void {
    const { bus } = this.#parts;
    if (isAnswerable(reply, bus.inboxPrefix)) bus.publish(reply, payload, { headers });
  }
}

/** A job whose sender asked a manager to store it. @throws PoolError */
export function readNewJob(
  { runtime, inboxPrefix }: Bus,
  pool: string,
  headers: HeaderReader | undefined,
  payload: Uint8Array,
): AskedJob {
  const { jobId, nonce = runtime.newId(), priority = "normal" } = decodeJobHeaders(headers);
  const job = decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, inboxPrefix);
  const enqueuedAt = runtime.wallNow();
  return {
    pool,
    id: jobId ?? runtime.newId(),
    isNamed: jobId !== undefined,
    level: priority,
    payload,
    job: { ...job, enqueuedAt },
    limitMs: ENQUEUE_TIMEOUT_MS,
    time: decodeRunTime(headers, enqueuedAt),
    nonce,
  };
}
