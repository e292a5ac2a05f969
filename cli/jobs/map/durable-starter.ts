/**
 * Starts the jobs of a run in the durable lane: each is stored before it runs.
 *
 * A job's id is the run's name, its input's place, and a part of the hash of its
 * payload. So the same command finds what an earlier one has stored, running or
 * ended, and runs only the rest; and an input that has changed is another job.
 */
import { createHash } from "node:crypto";
import type { Client } from "../../../client/client.js";
import type { EnqueueOptions } from "../../../client/durable/enqueue-options.js";
import { toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { delay, systemRuntime } from "../../../mesh/link/runtime.js";
import type { MapInput } from "./map-input.js";
import type { MapStarter } from "./patient-starter.js";

const RETRY_MS = 250;
const HASH_LENGTH = 10;

/** How the jobs of a run are stored. */
export interface DurableRun {
  /** The run's name. */
  readonly name: string;
  /** Inputs that are left out: places count from there. */
  readonly skip: number;
  readonly options: Pick<EnqueueOptions, "timeoutMs" | "priority" | "client">;
}

export class DurableStarter implements MapStarter {
  readonly #client: Pick<Client, "enqueue">;
  readonly #run: DurableRun;
  readonly #ids = new WeakMap<MapInput, string>();
  /** Ends the wait for each job that is under way. */
  readonly #live = new Map<string, AbortController>();
  #nextPlace: number;

  constructor(client: Pick<Client, "enqueue">, run: DurableRun) {
    this.#client = client;
    this.#run = run;
    this.#nextPlace = run.skip;
  }

  get underWay(): number {
    return this.#live.size;
  }

  start(input: MapInput, _leftMs: number, onOutcome: (outcome: Outcome) => void): string {
    const id = this.#ids.get(input) ?? this.#idOf(input);
    this.#ids.set(input, id);
    const waiting = new AbortController();
    this.#live.set(id, waiting);
    const begunAtMs = performance.now();
    void this.#outcome(id, input, waiting.signal).then((outcome) => {
      this.#live.delete(id);
      input.tookMs = performance.now() - begunAtMs;
      onOutcome(outcome);
    });
    return id;
  }

  /** Nobody waits for it any more; once stored it goes on. */
  cancel(id: string): void {
    this.#live.get(id)?.abort();
  }

  async #outcome(id: string, { payload }: MapInput, signal: AbortSignal): Promise<Outcome> {
    for (;;) {
      try {
        const receipt = await this.#client.enqueue(payload, { ...this.#run.options, id });
        return { ok: true, id, result: await receipt.result({ signal }) };
      } catch (thrown) {
        const error = toPoolError(thrown);
        if (error.reason !== "bus_unavailable" || signal.aborted) {
          return { ok: false, id, error, worker: "", attempt: 0 };
        }
      }
      await delay(systemRuntime, RETRY_MS);
    }
  }

  #idOf({ payload }: MapInput): string {
    const hash = createHash("sha256").update(payload).digest("hex").slice(0, HASH_LENGTH);
    const place = this.#nextPlace;
    this.#nextPlace += 1;
    return `${this.#run.name}-${place}-${hash}`;
  }
}
