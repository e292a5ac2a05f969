/**
 * Jobs that are in their stream, and that its consumers do not deliver any more.
 *
 * A broker that is killed may forget that it deleted an acknowledged message,
 * while its consumer remembers the acknowledgement. Such a message occupies its id and counts for the stream's bounds.
 * After a power loss a consumer may be newer than its stream, and take new jobs for ones that were acknowledged.
 *
 * Decided here: a message is left over when its consumer has everything up to it acknowledged. It is deleted when its outcome
 * is stored, or when it keeps none. One without an outcome is delivered again, by a consumer that is made anew; it may have
 * run, so one that may run once is claimed before, and becomes a dead letter. So is a level whose consumer is ahead of the stream.
 */
import type { ConsumerInfo } from "@nats-io/jetstream";
import type { DurableJob } from "../../../../mesh/durable/job.js";
import { type DurableNames, LEVELS } from "../../../../mesh/durable/names.js";
import { sequenceOf } from "../../../../mesh/durable/outcome.js";
import type { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Priority } from "../../../../mesh/wire/headers.js";
import { claimMessage } from "../claim-message.js";
import { acknowledged, jobOf } from "./acknowledged.js";
import { isAhead, renewConsumer } from "./renew-consumer.js";
import { Sweeps } from "./sweeps.js";

/** What it works with. */
export interface LeftoversParts {
  readonly pool: string;
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Pick<Bus, "runtime">;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: Pick<StreamPublisher, "publish">;
  /** A consumer was made anew: what was delivered comes again. */
  readonly onRenewed: () => void;
  readonly log: Logger;
}

/** How long a claim may take to be stored, in milliseconds. */
const CLAIM_LIMIT_MS = 2_000;

/** A message that is left over without an outcome. */
interface Unended {
  readonly stored: Stored;
  readonly job: DurableJob;
}

export class Leftovers {
  readonly #parts: LeftoversParts;
  readonly #sweeps: Sweeps;
  /** Those that had no outcome in the last sweep. */
  #unended = new Set<number>();
  /** Consumers of which it was said that they must be made anew. */
  readonly #told = new Set<Priority>();

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
    this.#sweeps = new Sweeps(parts.bus.runtime.now(), () => this.sweep());
  }

  /** The broker may have been killed. @param nowMs monotonic milliseconds */
  onReconnect(nowMs: number): void {
    this.#sweeps.onReconnect(nowMs);
  }

  /** Sweeps when it is time. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    this.#sweeps.tick(nowMs);
  }

  /** Looks once. @throws PoolError what cannot be done now is done the next time */
  async sweep(): Promise<void> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const read = await Promise.all(LEVELS.map((level) => store.consumerInfo(stream, level)));
    const jobs = await store.streamInfo(stream);
    if (jobs === undefined) return;
    const consumers = read.flatMap((info, i) => (info === undefined ? [] : [{ level: LEVELS[i] as Priority, info }]));
    const known = consumers.reduce((sum, { info }) => sum + info.num_pending + info.num_ack_pending, 0);
    const before = this.#unended;
    this.#unended = new Set();
    for (const { level, info } of consumers) {
      const ahead = isAhead(info, jobs);
      if (ahead || jobs.state.messages > known) await this.#sweepLevel(level, info, ahead, before);
    }
  }

  async #sweepLevel(level: Priority, info: ConsumerInfo, ahead: boolean, before: ReadonlySet<number>): Promise<void> {
    const { pool, log } = this.#parts;
    const unended = await this.#clear(level, info.ack_floor.stream_seq, ahead);
    // Those that are seen twice: what has just ended may look so for a moment.
    const sure = unended.filter(({ stored }) => before.has(stored.sequence)).length;
    if (!ahead && sure === 0) return;
    const why = ahead ? "is ahead of its stream" : "takes jobs without an outcome for acknowledged";
    const isNews = !this.#told.has(level);
    this.#told.add(level);
    if (isNews) log.error({ pool, consumer: level, jobs: unended.length }, `a consumer ${why}; it is made anew`);
    try {
      await Promise.all(unended.map((each) => this.#claim(each)));
      await renewConsumer(this.#parts.store, info);
    } catch (thrown) {
      const failed = "a consumer cannot be made anew; it is tried again";
      if (isNews) log.error({ pool, consumer: level, why: toPoolError(thrown).message }, failed);
      throw thrown;
    }
    this.#told.delete(level);
    this.#parts.onRenewed();
  }

  /** Deletes what has ended. @param floor all up to here is acknowledged. @returns what has no outcome */
  async #clear(level: Priority, floor: number, ahead: boolean): Promise<Unended[]> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const unended: Unended[] = [];
    for await (const stored of acknowledged(store, stream, names.jobsOf(pool, level), floor)) {
      const job = jobOf(stored);
      const isOver = (!job.keepOutcome && !ahead) || (await this.#hasOutcome(stored, job));
      if (isOver) await store.delete(stream, stored.sequence);
      else {
        unended.push({ stored, job });
        this.#unended.add(stored.sequence);
      }
    }
    return unended;
  }

  /** As whoever gets it delivered decides it. */
  async #hasOutcome({ subject }: Stored, { afterOutcome }: DurableJob): Promise<boolean> {
    const { pool, names, store } = this.#parts;
    const outcome = await store.last(names.outcomesStream, names.outcome(pool, names.idOf(subject)));
    return outcome !== undefined && outcome.sequence > afterOutcome;
  }

  /** It may have run. @throws PoolError when that cannot be stored */
  async #claim({ stored, job }: Unended): Promise<void> {
    if (job.idempotent) return;
    const { pool, manager, names, store, publisher } = this.#parts;
    const id = names.idOf(stored.subject);
    const there = await store.last(names.claimsStream, names.claim(pool, id));
    if (there !== undefined && sequenceOf(there.headers) === stored.sequence) return;
    const about = { pool, id, manager, sequence: stored.sequence, deliveries: 1 };
    const end = await publisher.publish(claimMessage(names, about, there?.sequence ?? 0), CLAIM_LIMIT_MS);
    if (end.kind !== "stored") throw new PoolError("bus_unavailable", "a claim could not be stored");
  }
}
