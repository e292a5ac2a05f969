/**
 * What a meter answers of poolmesh.v1.DurableService: how lanes and batches stand, and dead letters, so
 * that the page has them from where it came.
 *
 * Decided here: a meter without the option `durable` knows no lane, and one without `control`
 * changes nothing. Lanes are read once a second at most, however many pages are open. Not decided
 * here: who may (mesh/auth), and what is read and changed (client/durable).
 */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { toBatchMessage } from "../../../client/durable/batches/rpc-batches.js";
import { DeadLetters } from "../../../client/durable/dead-letters.js";
import { changeDead, fromPageToken, listDead } from "../../../client/durable/rpc-dead.js";
import { toLanes } from "../../../client/durable/rpc-lanes.js";
import {
  type DeadLetter,
  type DurableService,
  type GetLanesResponse,
  GetLanesResponseSchema,
} from "../../../gen/poolmesh/v1/durable_pb.js";
import { callerOf } from "../../../mesh/auth/gate.js";
import { withErrorFor } from "../../../mesh/auth/shown.js";
import { listBatches } from "../../../mesh/durable/batches/read-batches.js";
import type { HeldBack } from "../../../mesh/durable/limits/held-back.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { StreamPublisher } from "../../../mesh/durable/publisher.js";
import { readLanes } from "../../../mesh/durable/shown/lanes-view.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { ControlLine } from "./control.js";

/** For so long lanes that were read count as new, in milliseconds. */
const FRESH_MS = 1_000;

/** What it needs. */
export interface MeterLaneParts {
  /** Whether the meter shows the lane at all. */
  readonly enabled: boolean;
  /** Whether it takes control requests. */
  readonly control: boolean;
  /** The pools that the meter hears; undefined for all. */
  readonly pools: readonly string[] | undefined;
  /** The connection, once there is one. */
  readonly line: () => ControlLine | undefined;
  /** Jobs of a pool's lane that managers hold back, as they tell. */
  readonly heldBack: (pool: string) => HeldBack;
}

type Methods = Pick<
  ServiceImpl<typeof DurableService>,
  "getLanes" | "listBatches" | "listDead" | "retryDead" | "purgeDead"
>;

/** The lane at one connection. */
interface Lane {
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
}

/** Shows the durable lane, and retries and purges dead letters. */
export class MeterLane {
  readonly #parts: MeterLaneParts;
  #lane: Lane | undefined;
  #read: { readonly atMs: number; readonly lanes: Promise<GetLanesResponse> } | undefined;

  constructor(parts: MeterLaneParts) {
    this.#parts = parts;
  }

  get enabled(): boolean {
    return this.#parts.enabled;
  }

  /** Each rejects with a PoolError. */
  get methods(): Methods {
    return {
      getLanes: ({ pool }) => (pool === "" ? this.#allLanes() : this.#lanes(checkName("pool", pool))),
      listBatches: async ({ pool, pageSize, pageToken, openOnly }, context) => {
        const { batches, next } = await listBatches(this.#open(), checkName("pool", pool), {
          ...(pageSize === 0 ? {} : { limit: pageSize }),
          after: fromPageToken(pageToken),
          onlyClient: callerOf(context).onlyOwner(pool),
          openOnly,
        });
        return { batches: batches.map(toBatchMessage), nextPageToken: next === undefined ? "" : String(next) };
      },
      listDead: (request, context) => {
        const told = (letter: DeadLetter): DeadLetter => withErrorFor(callerOf(context), request.pool, letter);
        return listDead(this.#dead(request.pool), request, this.#open().bus.runtime, context.signal, told);
      },
      retryDead: ({ selector }, { signal }) => {
        const dead = this.#changeable(selector?.pool);
        const retry = async (id: string): Promise<number> => (await dead.retry(id)).sequence;
        return changeDead(dead, selector, retry, this.#open().bus.runtime, signal).finally(() => this.#forget());
      },
      purgeDead: ({ selector }, { signal }) => {
        const dead = this.#changeable(selector?.pool);
        const purge = (id: string): Promise<number> => dead.purge(id).then(() => 0);
        return changeDead(dead, selector, purge, this.#open().bus.runtime, signal).finally(() => this.#forget());
      },
    };
  }

  stop(): void {
    this.#lane?.publisher.stop();
    this.#lane = undefined;
  }

  /** Who has changed something sees that it has. */
  #forget(): void {
    this.#read = undefined;
  }

  /** For all who ask within a second together. */
  #allLanes(): Promise<GetLanesResponse> {
    const nowMs = this.#open().bus.runtime.now();
    if (this.#read === undefined || nowMs - this.#read.atMs > FRESH_MS) {
      const { pools } = this.#parts;
      this.#read = { atMs: nowMs, lanes: pools === undefined ? this.#lanes(undefined) : this.#lanesOf(pools) };
    }
    return this.#read.lanes;
  }

  async #lanes(pool: string | undefined): Promise<GetLanesResponse> {
    const { store, names } = this.#open();
    return toLanes(await readLanes(store, names, pool), this.#parts.heldBack);
  }

  /** Of named pools, as far as they have a lane: the names of other streams are no business of this meter. */
  async #lanesOf(pools: readonly string[]): Promise<GetLanesResponse> {
    const all = create(GetLanesResponseSchema, {});
    for (const pool of pools) {
      const found = await this.#lanes(pool).catch(ignoreUnknown);
      all.lanes.push(...(found?.lanes ?? []));
      all.streams.push(...(found?.streams ?? []));
    }
    return all;
  }

  #dead(pool: string): DeadLetters {
    return new DeadLetters({ pool: checkName("pool", pool), ...this.#open() });
  }

  #changeable(pool: string | undefined): DeadLetters {
    if (!this.#parts.control) {
      throw new PoolError("permission_denied", "this meter is read-only: start it with --control");
    }
    return this.#dead(pool ?? "");
  }

  #open(): Lane {
    if (!this.enabled) {
      const message = "this meter shows no durable lane; start it with --durable";
      throw new PoolError("unknown_pool", message, { field: "pool", retryable: false });
    }
    const line = this.#parts.line();
    if (line === undefined) throw new PoolError("bus_unavailable", "not connected to the broker");
    if (this.#lane?.bus !== line.bus) {
      this.stop();
      const { bus, subjects } = line;
      const names = new DurableNames(subjects.prefix);
      this.#lane = { bus, names, store: new LaneStore(bus), publisher: new StreamPublisher(bus) };
    }
    return this.#lane as Lane;
  }
}

function ignoreUnknown(thrown: unknown): undefined {
  if (thrown instanceof PoolError && thrown.reason === "unknown_pool") return;
  throw thrown;
}
