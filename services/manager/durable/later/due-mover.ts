/**
 * Moves jobs whose time has come into their pool's stream of jobs.
 *
 * Decided here: a job is stored in its new place before it is acknowledged in the old
 * one, so it is never in neither. A job that is moved twice, since a manager or the broker died
 * in between, is stored once under its message id, or finds its outcome before it runs. While
 * the pool is full it waits. An id that another live job has taken since makes a dead letter.
 */
import type { Msg } from "nats";
import { ACK, type DeliveryFacts, giveBack } from "../../../../mesh/durable/ack-subject.js";
import { isTaken, type PublishAnswer } from "../../../../mesh/durable/answers.js";
import { type DurableNames, LEVELS, NATS_HEADER } from "../../../../mesh/durable/names.js";
import { encodeDeath, jobHeadersOf } from "../../../../mesh/durable/outcome.js";
import type { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import { DUE } from "../../../../mesh/durable/streams.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Logger } from "../../../../mesh/process/log.js";
import { HEADER, type Priority } from "../../../../mesh/wire/headers.js";
import { ownBytes } from "../../../../mesh/wire/payloads.js";
import { isName } from "../../../../mesh/wire/subjects.js";
import { type HeaderReader, headersOf } from "../../../../mesh/wire/wire-headers.js";
import { DueLeftovers } from "../leftovers/due-leftovers.js";
import { LevelPuller } from "../level-puller.js";
import { firedJob } from "./fired-job.js";

/** What it works with. */
export interface DueMoverParts {
  readonly pool: string;
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
  /** The stream or its consumer is not there any more, or nobody answers for it. */
  readonly onMissing: () => void;
  readonly log: Logger;
}

/** Jobs that are moved at once, and asked for in one pull. */
const MAX_MOVING = 512;
const BATCH = 128;
const PULL_BYTES = 16 * 2 ** 20;
const MESSAGE_SLACK = 4_096;
const ACK_LIMIT_MS = 2_000;
/** When a job comes again that could not be moved, and one whose pool is full, in milliseconds. */
const AGAIN_MS = 1_000;
const FULL_AGAIN_MS = 5_000;
/** One line about trouble in this time, in milliseconds. */
const TELL_EVERY_MS = 5_000;

/** A job that is being moved. */
interface Due {
  readonly id: string;
  readonly level: Priority;
  readonly headers: HeaderReader | undefined;
  readonly payload: Uint8Array;
  /** Names the message that it came with. */
  readonly origin: string;
}

export class DueMover {
  readonly #parts: DueMoverParts;
  readonly #puller: LevelPuller;
  readonly #leftovers: DueLeftovers;
  #moving = 0;
  #stopped = false;
  /** Nobody answers for the stream: no pull is opened until it is known to be there. */
  #suspended = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: DueMoverParts) {
    const { bus, names, pool } = parts;
    this.#parts = parts;
    this.#puller = new LevelPuller({
      bus,
      stream: names.laterStream(pool),
      level: DUE,
      onDelivery: (msg, facts) => void this.#onDelivery(msg, facts),
      onOver: () => this.#refill(),
      onMissing: () => this.#onMissing(),
    });
    const move = (job: Stored): Promise<boolean> => this.#moveLeftover(job);
    this.#leftovers = new DueLeftovers({ ...parts, move }, bus.runtime.now());
    this.#refill();
  }

  /** Called every 100 milliseconds. */
  tick(nowMs: number): void {
    this.#puller.check(nowMs);
    this.#refill();
    if (!this.#stopped && this.#parts.bus.connected) this.#leftovers.tick(nowMs);
  }

  /** The connection is gone or was, and the open pull with it. */
  forget(): void {
    this.#puller.forget();
    this.#leftovers.onReconnect(this.#parts.bus.runtime.now());
  }

  /**
   * The stream is there, perhaps again. What a pull that was taken for lost brings all the same is moved, too: so a
   * stream without a leader for a while is no reason for another mover.
   */
  resume(): void {
    this.#suspended = false;
    this.#refill();
  }

  /** Opens no pull any more; what the open one brings goes back. */
  drain(): void {
    this.#stopped = true;
  }

  /** Resolves when the open pull is over. */
  finish(): Promise<void> {
    this.#stopped = true;
    return this.#puller.finish();
  }

  #onMissing(): void {
    if (this.#stopped || this.#suspended) return;
    this.#suspended = true;
    this.#parts.onMissing();
  }

  #refill(): void {
    const { bus } = this.#parts;
    if (this.#stopped || this.#suspended || !bus.connected || bus.handingOver || MAX_MOVING - this.#moving < BATCH)
      return;
    this.#puller.pull(BATCH, Math.max(PULL_BYTES, bus.maxPayloadBytes + MESSAGE_SLACK));
  }

  async #onDelivery(msg: Msg, facts: DeliveryFacts): Promise<void> {
    const { bus, names } = this.#parts;
    const reply = msg.reply ?? "";
    if (this.#stopped) return void bus.publish(reply, giveBack(0));
    const headers = headersOf(msg);
    const origin = `${facts.sequence}.${facts.storedAt}`;
    const id = names.idOf(msg.subject);
    const due = { id, origin, level: levelOf(headers), headers, payload: ownBytes(msg.data) };
    this.#moving += 1;
    try {
      const againMs = await (names.isLaterJob(msg.subject) ? this.#move(due) : this.#fire(due, facts));
      bus.publish(reply, againMs === undefined ? ACK : giveBack(againMs));
    } catch (thrown) {
      // Nothing is said while the connection is gone: the broker delivers it again.
      this.#tell(toPoolError(thrown).message);
      if (bus.connected) bus.publish(reply, giveBack(AGAIN_MS));
    } finally {
      this.#moving -= 1;
      this.#refill();
    }
  }

  /** @returns when it is to come again, milliseconds; undefined when it is done. @throws PoolError */
  async #move(due: Due): Promise<number | undefined> {
    if (!isName(due.id)) {
      const error = new PoolError("invalid_argument", "job: the id is no name", { field: "job" });
      return this.#bury({ ...due, id: `invalid-${due.origin.replace(".", "-")}` }, error, 0);
    }
    const answer = await this.#store(due);
    if (answer.kind === "stored") return undefined;
    if (isTaken(answer)) return this.#onTaken(due);
    this.#tell(textOf(answer));
    return answer.kind === "silent" ? AGAIN_MS : FULL_AGAIN_MS;
  }

  /** What a cron schedule has fired. */
  async #fire(due: Due, { sequence, storedAt }: DeliveryFacts): Promise<number | undefined> {
    const { pool, log } = this.#parts;
    const job = isName(due.id)
      ? await firedJob(this.#parts, pool, { ...due, name: due.id, sequence, storedAt })
      : undefined;
    if (job === undefined) {
      log.debug({ pool, cron: due.id }, "a cron schedule fired while its last job is live, or twice: it makes no job");
      return undefined;
    }
    const answer = await this.#store({ ...due, ...job });
    if (answer.kind === "stored" || isTaken(answer)) return undefined;
    this.#tell(textOf(answer));
    return answer.kind === "silent" ? AGAIN_MS : FULL_AGAIN_MS;
  }

  async #moveLeftover({ subject, sequence, headers, payload }: Stored): Promise<boolean> {
    const { names, bus } = this.#parts;
    const id = names.idOf(subject);
    const due = { id, origin: `${sequence}.again`, level: levelOf(headers), headers, payload };
    if (!bus.connected) return false;
    return (await this.#move(due)) === undefined;
  }

  #store({ id, level, headers: said, payload, origin }: Due): Promise<PublishAnswer> {
    const { pool, names, publisher } = this.#parts;
    const headers = jobHeadersOf(said);
    if (headers.get(HEADER.check) === "") headers.append(HEADER.check, "1");
    headers.append(NATS_HEADER.messageId, `${id}.due.${origin}`);
    headers.append(NATS_HEADER.expectedStream, names.jobsStream(pool));
    return publisher.publish({ subject: names.job(pool, level, id), payload, headers }, ACK_LIMIT_MS);
  }

  /** Its id is that of a live job: itself, moved before; or another one that was enqueued meanwhile. */
  async #onTaken(due: Due): Promise<number | undefined> {
    const live = await this.#liveJob(due.id);
    if (live === undefined) return AGAIN_MS;
    if (Buffer.compare(live.payload, due.payload) === 0) return undefined;
    const error = new PoolError("duplicate_job", "when its time came, another live job had its id", { field: "job" });
    return this.#bury(due, error, live.sequence);
  }

  async #liveJob(id: string): Promise<Stored | undefined> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const found = await Promise.all(LEVELS.map((level) => store.last(stream, names.job(pool, level, id))));
    return found.find((each) => each !== undefined);
  }

  /** A dead letter without an outcome: the id's outcome is that of the live job. */
  async #bury(due: Due, error: PoolError, sequence: number): Promise<number | undefined> {
    const { pool, names, publisher, manager, bus, log } = this.#parts;
    const { id, level, headers: said, payload } = due;
    const about = { sequence, attempt: 0, manager, priority: level, diedAt: bus.runtime.wallNow() };
    const headers = encodeDeath(said, error, about);
    const answer = await publisher.publish({ subject: names.dead(pool, id), payload, headers }, ACK_LIMIT_MS);
    if (answer.kind !== "stored") return AGAIN_MS;
    log.warn({ pool, job: id, reason: error.reason }, "a job for later was given up: dead letter");
    return undefined;
  }

  /** Many jobs meet the same trouble. */
  #tell(why: string): void {
    const { bus, log, pool } = this.#parts;
    const nowMs = bus.runtime.now();
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    log.warn({ pool, why }, "a job whose time has come is not in its stream yet; it is tried again");
  }
}

function levelOf(headers: HeaderReader | undefined): Priority {
  return LEVELS.find((each) => each === headers?.get(HEADER.priority)) ?? "normal";
}

function textOf(answer: Exclude<PublishAnswer, { kind: "stored" }>): string {
  if (answer.kind === "refused") return `${answer.text} (${answer.code})`;
  return answer.kind === "absent" ? "its stream is not there" : "no acknowledgement in time";
}
