/**
 * The load of the durable lane in a mix: jobs are enqueued until the mix is over,
 * and each is looked for when all is at rest.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "../../client/client.js";
import { toPoolError } from "../../mesh/errors.js";
import { connectBus } from "../support/broker.js";
import { cleanUp } from "../support/clean-up.js";
import { eventually } from "../support/wait.js";
import type { Order } from "./rig/handler.js";
import { POOL } from "./rig/pool.js";
import type { Rig } from "./rig/rig.js";

/** What came of it. */
export interface LaneReport {
  readonly enqueued: number;
  readonly results: number;
  /** Those that ended without a result. */
  readonly errors: number;
  /** Starts of handlers beyond the first, of jobs that may run again. */
  readonly secondRuns: number;
}

/** So many jobs may be stored and not ended: a machine that is busy with other work gets through no more. */
const MOST_OPEN = 2_000;
const LANES = 4;
const MAX_ATTEMPTS = 3;
const BACKOFF = { baseMs: 50, capMs: 200 };
/** What nobody speaks of is delivered again after 30 s, milliseconds. */
const REST_LIMIT_MS = 150_000;
const LOOKS_AT_ONCE = 32;

export class LaneLoad {
  readonly #rig: Rig;
  readonly #client: Client;
  readonly #random: () => number;
  /** The sequences of the outcomes that the stream has told, by job. */
  readonly #told: Map<string, Set<string>>;
  readonly #idempotent = new Map<string, boolean>();

  /** Connects, and listens to what the stream of outcomes tells. */
  static async start(rig: Rig, random: () => number): Promise<LaneLoad> {
    const bus = await connectBus(rig.owner, rig.broker);
    const client = await Client.connect({ pool: POOL, servers: rig.brokers.map(({ url }) => url).join(",") });
    cleanUp(rig.owner, () => client.close());
    const told = new Map<string, Set<string>>();
    // A leader that follows one which was killed tells what that one had told: the same outcome, with the same sequence.
    bus.subscribe(`pool.${POOL}.ended.*`, ({ subject, headers }) => {
      const id = subject.slice(subject.lastIndexOf(".") + 1);
      const sequence = headers?.get("Nats-Sequence") ?? "";
      told.set(id, (told.get(id) ?? new Set()).add(sequence));
    });
    return new LaneLoad(rig, client, random, told);
  }

  private constructor(rig: Rig, client: Client, random: () => number, told: Map<string, Set<string>>) {
    this.#rig = rig;
    this.#client = client;
    this.#random = random;
    this.#told = told;
  }

  /** Enqueues until it is over. Who hears no receipt gives up that job: it may be stored, and is not counted. */
  async run(until: () => boolean): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!until()) {
        if (this.#idempotent.size - this.#told.size > MOST_OPEN) {
          await delay(100);
          continue;
        }
        const idempotent = this.#random() < 0.6;
        const options = { idempotent, maxAttempts: MAX_ATTEMPTS, backoff: BACKOFF, enqueueTimeoutMs: 10_000 };
        try {
          const { id } = await this.#client.enqueue(JSON.stringify(orderOf(this.#random(), idempotent)), options);
          this.#idempotent.set(id, idempotent);
          this.#rig.history.add({ kind: "enqueued", id, idempotent });
        } catch (thrown) {
          if (toPoolError(thrown).retryable) await delay(100);
          else throw thrown;
        }
        await delay(5 + this.#random() * 30);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  /** Waits until every job has ended, or for so long, and records where each is. */
  async rest(): Promise<LaneReport> {
    const open = new Set(this.#idempotent.keys());
    const report = { enqueued: open.size, results: 0, errors: 0 };
    const hasEnded = async (): Promise<boolean> => {
      await inTurn([...open], async (id) => {
        const as = await this.#find(id);
        if (as !== "result" && as !== "error") return;
        open.delete(id);
        report[as === "result" ? "results" : "errors"] += 1;
        this.#rig.history.add({ kind: "stored", id, as, outcomes: this.#told.get(id)?.size ?? 0 });
      });
      return open.size === 0;
    };
    await eventually(hasEnded, { limitMs: REST_LIMIT_MS, pollMs: 500 }).catch(() => undefined);
    for (const id of open) {
      const found = await this.#find(id);
      this.#rig.history.add({ kind: "stored", id, as: found ?? "live", outcomes: this.#told.get(id)?.size ?? 0 });
    }
    const starts = this.#rig.history.of("start").filter(({ id }) => this.#idempotent.get(id) === true);
    return { ...report, secondRuns: starts.length - new Set(starts.map(({ id }) => id)).size };
  }

  /** Undefined when nobody can say now. */
  async #find(id: string): Promise<"result" | "error" | "live" | "nothing" | undefined> {
    try {
      const outcome = await this.#client.outcome(id);
      return outcome === undefined ? "live" : outcome.ok ? "result" : "error";
    } catch (thrown) {
      return toPoolError(thrown).reason === "not_found" ? "nothing" : undefined;
    }
  }
}

/** A job that may run once does not fail by itself. */
function orderOf(dice: number, idempotent: boolean): Order {
  if (idempotent && dice < 0.05) return { do: "throw-error" };
  if (dice < 0.15) return { do: "wait", ms: 800, laterMs: 10 };
  return dice < 0.7 ? { do: "wait", ms: 20 } : { do: "return" };
}

async function inTurn<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  await Promise.all(
    Array.from({ length: LOOKS_AT_ONCE }, async () => {
      for (const one of rest) await work(one);
    }),
  );
}
