/** A made-up durable lane with dead letters, as a meter shows it. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  type BatchSchema,
  DurableService,
  type GetLanesResponseSchema,
  type LanePauseSchema,
} from "../../../gen/poolmesh/v1/durable_pb.js";

/** One lane. */
export interface FakeLanePool {
  readonly pool: string;
  /** Default 0. */
  readonly scheduled?: number;
  /** Default: nothing is paused. */
  readonly paused?: MessageInitShape<typeof LanePauseSchema>;
  readonly queued: number;
  readonly held: number;
  /** Default 0. */
  readonly limited?: number;
  readonly retrying: number;
  readonly oldestMs: number | undefined;
  /** Ids of its dead letters. */
  readonly dead: string[];
  /** Its open batches; default none. */
  readonly batches?: readonly FakeBatch[];
}

/** An open batch. */
export interface FakeBatch {
  readonly id: string;
  readonly succeeded: number;
  readonly failed: number;
  /** Undefined while jobs are added. */
  readonly total: number | undefined;
  readonly openMs: number;
}

export class FakeLane {
  /** Ids that were retried and purged, in order. */
  readonly retried: string[] = [];
  readonly purged: string[] = [];
  /** Set: lanes cannot be read, and why. */
  failure: string | undefined;

  constructor(
    readonly pools: readonly FakeLanePool[],
    /** What each dead letter says. */
    readonly message = "the bank says no",
  ) {}

  /** @param requireToken throws for a caller without the right to control */
  serve(router: ConnectRouter, requireToken: (context: HandlerContext) => void): void {
    router.service(DurableService, {
      getLanes: () => this.#lanes(),
      listBatches: ({ pool }) => ({ batches: this.#batches(pool) }),
      listDead: ({ pool }, context) => {
        requireToken(context);
        const letters = this.#dead(pool).map((jobId, i) => ({
          jobId,
          sequence: BigInt(i + 1),
          error: { reason: "job_failed", code: "card.declined", message: this.message },
          attempt: 5,
          diedAt: timestampFromMs(Date.now() - 3_588_000 - i * 60_000),
          payloadBytes: 120n,
        }));
        return { letters };
      },
      retryDead: ({ selector }, context) => {
        requireToken(context);
        this.retried.push(...(selector?.jobIds ?? []));
        return { changes: this.#take(selector?.pool ?? "", selector?.jobIds ?? []) };
      },
      purgeDead: ({ selector }, context) => {
        requireToken(context);
        this.purged.push(...(selector?.jobIds ?? []));
        return { changes: this.#take(selector?.pool ?? "", selector?.jobIds ?? []) };
      },
    });
  }

  #lanes(): MessageInitShape<typeof GetLanesResponseSchema> {
    if (this.failure !== undefined) throw new ConnectError(this.failure, Code.Unavailable);
    return {
      lanes: this.pools.map(({ pool, scheduled = 0, paused, queued, held, limited = 0, retrying, oldestMs, dead }) => ({
        pool,
        scheduled: BigInt(scheduled),
        ...(paused === undefined ? {} : { paused }),
        queued: BigInt(queued),
        delivered: BigInt(held + limited + retrying),
        limited: BigInt(limited),
        retrying: BigInt(retrying),
        dead: BigInt(dead.length),
        ...(oldestMs === undefined ? {} : { oldestAt: timestampFromMs(Date.now() - oldestMs) }),
      })),
      streams: this.pools.map(({ pool }) => ({ name: `pool-jobs-${pool}` })),
    };
  }

  #batches(name: string): MessageInitShape<typeof BatchSchema>[] {
    const { batches = [] } = this.pools.find((each) => each.pool === name) ?? {};
    return batches.map(({ id: batchId, total, succeeded, failed, openMs }) => ({
      ...{ batchId, succeeded, failed },
      ...(total === undefined ? {} : { total }),
      openedAt: timestampFromMs(Date.now() - openMs),
    }));
  }

  #dead(pool: string): string[] {
    return this.pools.find((each) => each.pool === pool)?.dead ?? [];
  }

  #take(pool: string, ids: readonly string[]) {
    const dead = this.#dead(pool);
    for (const id of ids) if (dead.includes(id)) dead.splice(dead.indexOf(id), 1);
    return ids.map((jobId) => ({ jobId }));
  }
}
