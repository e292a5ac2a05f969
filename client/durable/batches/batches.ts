/** The batches of one pool, for operators. A manager is asked: it reads their stream. */
import type { BatchStatus } from "../../../mesh/durable/batches/batch-status.js";
import type { BatchPage, BatchPageOptions } from "../../../mesh/durable/batches/read-batches.js";
import type { DurableNames } from "../../../mesh/durable/names.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Inbox } from "../../../mesh/link/inbox.js";
import { askBatch, askBatches } from "./ask-batches.js";

/** What it works with. */
export interface BatchesParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly names: DurableNames;
}

export class Batches {
  readonly #parts: BatchesParts;
  #inbox: Inbox | undefined;

  constructor(parts: BatchesParts) {
    this.#parts = parts;
  }

  /** How a batch stands. @throws PoolError `not_found`, `unknown_pool`, `bus_unavailable` */
  get(id: string): Promise<BatchStatus> {
    return askBatch(this.#asking, id);
  }

  /** A page, those that changed longest ago first. @throws PoolError `invalid_argument`, `unknown_pool`, `bus_unavailable` */
  list(options: BatchPageOptions = {}): Promise<BatchPage> {
    return askBatches(this.#asking, options);
  }

  stop(): void {
    this.#inbox?.stop();
  }

  get #asking(): BatchesParts & { readonly inbox: Inbox } {
    this.#inbox ??= new Inbox(this.#parts.bus);
    return { ...this.#parts, inbox: this.#inbox };
  }
}
