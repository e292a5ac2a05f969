/**
 * Moves jobs that are due, that no manager will get any more, and that are in their stream all the same.
 *
 * A broker that is killed may keep a message that was acknowledged, and remember the
 * acknowledgement (docs/adr/0041). Such a job would occupy its id for ever: everybody would find it
 * waiting. Decided here: it is moved once more, and then deleted. It finds its outcome before it
 * runs. A job that keeps none has been moved before, and is deleted. After a power loss the consumer may be newer than
 * its stream, and take jobs for moved that it never brought: it is made anew.
 */
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import { DUE } from "../../../../mesh/durable/streams.js";
import type { Logger } from "../../../../mesh/process/log.js";
import { acknowledged, jobOf } from "./acknowledged.js";
import { isAhead, renewConsumer } from "./renew-consumer.js";
import { Sweeps } from "./sweeps.js";

/** What it works with. */
export interface DueLeftoversParts {
  readonly pool: string;
  readonly names: DurableNames;
  readonly store: Pick<
    LaneStore,
    "consumerInfo" | "addConsumer" | "deleteConsumer" | "streamInfo" | "nextDecisive" | "delete"
  >;
  /** Stores a job in its pool's stream. @returns false when that is to be tried again. @throws PoolError */
  readonly move: (job: Stored) => Promise<boolean>;
  readonly log: Logger;
}

/** Messages that are looked at in one sweep. */
const MOST_AT_ONCE = 1_000;

export class DueLeftovers {
  readonly #parts: DueLeftoversParts;
  readonly #sweeps: Sweeps;

  /** @param nowMs monotonic milliseconds */
  constructor(parts: DueLeftoversParts, nowMs: number) {
    this.#parts = parts;
    this.#sweeps = new Sweeps(nowMs, () => this.sweep());
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
    const { pool, names, store, move, log } = this.#parts;
    const stream = names.laterStream(pool);
    const due = await store.consumerInfo(stream, DUE);
    const jobs = await store.streamInfo(stream);
    if (due === undefined || jobs === undefined) return;
    if (isAhead(due, jobs)) {
      await renewConsumer(store, due);
      return log.error({ pool, consumer: DUE }, "a consumer was ahead of its stream; it is made anew");
    }
    let count = 0;
    for await (const job of acknowledged(store, stream, names.everyLater("due", pool), due.ack_floor.stream_seq)) {
      if (!jobOf(job).keepOutcome || (await move(job))) await store.delete(stream, job.sequence);
      count += 1;
      if (count === MOST_AT_ONCE) return;
    }
  }
}
