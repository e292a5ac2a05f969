/** What a meter shows of the pool, asked for and streamed. */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type GetCapacityResponse, MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { PoolCapacity, WorkerView } from "../../../gen/poolmesh/v1/view_pb.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { eventually } from "../../support/wait.js";
import { type History, machineNow } from "../history.js";

/** The interval of every worker's heartbeats in the scenarios, in milliseconds. */
const INTERVAL_MS = 1_000;
/** A stream whose figures have not changed for this long is at rest, in milliseconds. */
const REST_MS = 300;

let streams = 0;

/** One stream of capacities at a subscriber. */
export class CapacityStream {
  readonly name: string;
  messages = 0;
  slots = 0;
  busy = 0;
  stale = false;
  staleAgeMs = 0;
  /** When its figures changed last, by the machine's clock. */
  changedAt = 0;
  /** Why it ended; undefined while it runs. */
  end: unknown;
  readonly #abort = new AbortController();
  #left = false;

  constructor(client: Client<typeof MeterService>, pool: string, history: History) {
    streams += 1;
    this.name = `stream-${streams}`;
    void this.#read(client, pool, history);
  }

  /** Leaves; what comes after that is not recorded. */
  cancel(): void {
    this.#left = true;
    this.#abort.abort();
  }

  async #read(client: Client<typeof MeterService>, pool: string, history: History): Promise<void> {
    try {
      for await (const message of client.watchCapacity({ pool }, { signal: this.#abort.signal })) {
        if (this.#left) break;
        const { slots = 0, busyAll: busy = 0 } = message.total ?? {};
        const { stale = false, staleAgeMs = 0 } = message.freshness ?? {};
        if (slots !== this.slots || busy !== this.busy) this.changedAt = machineNow();
        Object.assign(this, { slots, busy, stale, staleAgeMs });
        this.messages += 1;
        const { snapshot, version } = message;
        history.add({ kind: "stream", stream: this.name, snapshot, version: Number(version), slots, busy });
      }
      this.end = "ended";
    } catch (error) {
      this.end = error;
    }
  }
}

/** A meter as its users see it. */
export class MeterView {
  readonly client: Client<typeof MeterService>;
  readonly #pool: string;
  readonly #history: History;

  constructor(url: string, pool: string, history: History, httpVersion: "1.1" | "2" = "1.1") {
    this.client = createClient(MeterService, createConnectTransport({ baseUrl: url, httpVersion }));
    this.#pool = pool;
    this.#history = history;
  }

  /** What it says now. Before it has heard of the pool: nothing. */
  async now(): Promise<GetCapacityResponse> {
    return this.client.getCapacity({ pool: "" });
  }

  /** The pool's line. */
  async capacity(): Promise<PoolCapacity | undefined> {
    return (await this.now()).pools.find(({ pool }) => pool === this.#pool);
  }

  /** One worker's row. */
  async worker(id: string): Promise<WorkerView | undefined> {
    const { workers } = await this.client.listWorkers({ pool: this.#pool });
    return workers.find(({ heartbeat }) => heartbeat?.worker === id);
  }

  /** Records how long after `sinceMs` it shows this, any number of busy slots if none is named, or what it shows instead after five intervals. */
  async shows(truth: { readonly slots: number; readonly busy?: number }, sinceMs = machineNow()): Promise<void> {
    let seen = { slots: 0, busy: 0 };
    const look = async (): Promise<boolean> => {
      const { slots = 0, busyAll = 0 } = (await this.capacity()) ?? {};
      seen = { slots, busy: busyAll };
      return slots === truth.slots && (truth.busy === undefined || busyAll === truth.busy);
    };
    await eventually(look, { limitMs: 5 * INTERVAL_MS, pollMs: 25 }).catch(() => undefined);
    const afterMs = machineNow() - sinceMs;
    const wanted = { busy: seen.busy, ...truth };
    this.#history.add({ kind: "meter", seen, wanted, afterMs, intervalMs: INTERVAL_MS });
  }

  /** Opens a stream; it is canceled when `owner` ends. */
  watch(owner: Owner): CapacityStream {
    const stream = new CapacityStream(this.client, this.#pool, this.#history);
    cleanUp(owner, () => stream.cancel());
    return stream;
  }

  /** Records what a stream's last message must say, lets it come to rest, and ends it. */
  async mustEndOn(stream: CapacityStream, truth: { readonly slots: number; readonly busy: number }): Promise<void> {
    const isTrue = () => stream.slots === truth.slots && stream.busy === truth.busy;
    const rests = () => isTrue() && machineNow() - stream.changedAt > REST_MS;
    await eventually(rests, { limitMs: 5 * INTERVAL_MS }).catch(() => undefined);
    stream.cancel();
    this.#history.add({ kind: "truth", stream: stream.name, ...truth });
  }
}
