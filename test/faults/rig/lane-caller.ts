/** A caller of the durable lane: enqueues, sets limits, looks for every job at the end, and tells the history all of it. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Client, type ClientOptions } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import { toPoolError } from "../../../mesh/errors.js";
import { type Outcome, toBytes } from "../../../mesh/job/job.js";
import { Bus } from "../../../mesh/link/bus.js";
import { eventually } from "../../support/wait.js";
import type { History } from "../history.js";
import type { Order } from "./handler.js";
import { POOL } from "./pool.js";

/** What is enqueued. */
export interface Given {
  readonly order: Order;
  /** Default true. */
  readonly idempotent?: boolean;
  /** The key by which it shares a limit. */
  readonly key?: string;
  /** The pools of the jobs that follow it. */
  readonly follows?: readonly string[];
  /** Its handler throws at every attempt, so it becomes a dead letter; default false. */
  readonly fails?: boolean;
}

/** What came of a batch: what its completion job was told, and what its jobs came to. */
export interface BatchEnd {
  readonly told: { readonly total: number; readonly succeeded: number; readonly failed: number };
  readonly completion: string;
}

interface Open extends Given {
  readonly pool: string;
  readonly id: string;
}

/** What nobody speaks of is delivered again after 30 s, milliseconds. */
const REST_LIMIT_MS = 150_000;
const LOOKS_AT_ONCE = 16;
const ENQUEUE_TIMEOUT_MS = 15_000;
const BACKOFF = { baseMs: 50, capMs: 200 };
const MAX_ATTEMPTS = 10;

export class LaneCaller {
  readonly #history: History;
  readonly #servers: string;
  readonly #options: ClientOptions;
  readonly #told = new Map<string, number>();
  readonly #open = new Map<string, Open>();
  readonly #clients = new Map<string, Promise<Client>>();
  #bus: Bus | undefined;
  #lane: DurableLane | undefined;
  #results = 0;
  #givenUp = 0;
  #lastAttempt = 0;
  #wrong: unknown;

  constructor(history: History, servers: readonly string[], options: ClientOptions) {
    this.#history = history;
    this.#servers = servers.join(",");
    this.#options = options;
  }

  /** Results that were found so far. */
  get results(): number {
    return this.#results;
  }

  /** Jobs that may run once and became dead letters, since nobody could say whether they had run. */
  get givenUp(): number {
    return this.#givenUp;
  }

  /** The highest attempt that a result is of. */
  get lastAttempt(): number {
    return this.#lastAttempt;
  }

  async open(): Promise<void> {
    const bus = await Bus.connect({ servers: this.#servers, name: "lane-caller" });
    this.#bus = bus;
    bus.subscribe("pool.*.ended.*", ({ subject }) => {
      const id = subject.slice(subject.lastIndexOf(".") + 1);
      this.#told.set(id, (this.#told.get(id) ?? 0) + 1);
      this.#history.add({ kind: "told", id });
    });
    this.#lane = await DurableLane.open({ pool: POOL, connection: bus });
    await this.#client(POOL);
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await (await client).close();
    await this.#lane?.close();
    await this.#bus?.close();
  }

  /** Hears when something is published, such as what a stream publishes again. */
  async hears(subject: string, onHeard: (subject: string) => void): Promise<void> {
    this.#bus?.subscribe(subject, (msg) => onHeard(msg.subject));
    await this.#bus?.flush();
  }

  /** Jobs of a key may run so many at once. */
  async limit(key: string, running: number): Promise<void> {
    await this.#set({ target: `key:${key}`, running });
    this.#history.add({ kind: "limit", key, running });
  }

  /** Of a key so many may start within a time. */
  limitStarts(key: string, starts: number, perMs: number): Promise<void> {
    return this.#set({ target: `key:${key}`, starts, perMs });
  }

  /** Tries until a manager has set it. */
  async #set(limit: Limit): Promise<void> {
    for (;;) {
      try {
        return await this.#lane?.limits.set(limit);
      } catch (thrown) {
        if (!toPoolError(thrown).retryable) throw thrown;
        await delay(100);
      }
    }
  }

  /** Enqueues a job under its name, again and again until the stream has said that it is stored. */
  async enqueue(id: string, given: Given): Promise<void> {
    const { order, idempotent = true, key, follows = [] } = given;
    const options = {
      id,
      idempotent,
      maxAttempts: MAX_ATTEMPTS,
      backoff: BACKOFF,
      enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS,
      ...(key === undefined ? {} : { concurrencyKey: key }),
      ...(follows.length === 0 ? {} : { then: follows.map((pool) => ({ pool })) }),
    };
    const client = await this.#client(POOL);
    // Its runs may begin before the receipt comes.
    this.#add({ ...given, id, pool: POOL });
    for (;;) {
      try {
        return void (await client.enqueue(toBytes(JSON.stringify(order)), options));
      } catch (thrown) {
        if (!toPoolError(thrown).retryable) throw thrown;
        await delay(100);
      }
    }
  }

  /** Enqueues all of them, so many at a time. */
  async enqueueAll(prefix: string, count: number, given: (index: number) => Given, width = 8): Promise<void> {
    const rest = Array.from({ length: count }, (_, i) => i).values();
    const lane = async (): Promise<void> => {
      for (const i of rest) await this.enqueue(`${prefix}-${i}`, given(i));
    };
    await Promise.all(Array.from({ length: width }, lane));
  }

  /**
   * Enqueues jobs as a batch, whose completion job is one of the same pool, and says it again until all are stored.
   *
   * @returns waits for the completion job
   */
  async enqueueBatch(id: string, count: number, given: (index: number) => Given): Promise<() => Promise<BatchEnd>> {
    const client = await this.#client(POOL);
    const all = Array.from({ length: count }, (_, index) => given(index));
    for (const [index, each] of all.entries()) this.#add({ ...each, id: `${id}-${index}`, pool: POOL });
    const options = { id, onComplete: { pool: POOL }, maxAttempts: MAX_ATTEMPTS, backoff: BACKOFF };
    for (;;) {
      try {
        const batch = await client.enqueueBatch(
          all.map(({ order }) => toBytes(JSON.stringify(order))),
          { ...options, enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS },
        );
        const completion = batch.completion.id;
        this.#history.add({ kind: "enqueued", id: completion, idempotent: true });
        return async () => {
          const result = await batch.result({ timeoutMs: REST_LIMIT_MS });
          this.#history.add({
            kind: "stored",
            id: completion,
            as: "result",
            outcomes: this.#told.get(completion) ?? 0,
          });
          return { told: result.json<{ summary: BatchEnd["told"] }>().summary, completion };
        };
      } catch (thrown) {
        if (!toPoolError(thrown).retryable) throw thrown;
        await delay(100);
      }
    }
  }

  /** Waits until every job, and every one that follows it, has ended, and records where each is. */
  async rest(): Promise<void> {
    await eventually(() => this.#look(), { limitMs: REST_LIMIT_MS, pollMs: 300 }).catch(() => undefined);
    if (this.#wrong !== undefined) throw this.#wrong;
    for (const { pool, id } of this.#open.values()) {
      const found = await this.#find(pool, id);
      const as = found === "live" || found === "nothing" ? found : "live";
      this.#history.add({ kind: "stored", id, as, outcomes: this.#told.get(id) ?? 0 });
    }
  }

  #add(open: Open): void {
    const { id, idempotent = true, key } = open;
    this.#open.set(`${open.pool} ${id}`, open);
    this.#history.add({ kind: "enqueued", id, idempotent, ...(key === undefined ? {} : { key }) });
  }

  async #look(): Promise<boolean> {
    const rest = [...this.#open.values()].values();
    const lane = async (): Promise<void> => {
      for (const open of rest) {
        const found = await this.#find(open.pool, open.id);
        if (typeof found === "object") this.#end(open, found);
      }
    };
    const checked = async (): Promise<void> => {
      await lane().catch((thrown: unknown) => {
        this.#wrong ??= thrown;
      });
    };
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, checked));
    return this.#open.size === 0 || this.#wrong !== undefined;
  }

  #end(open: Open, outcome: Outcome): void {
    const { id, pool, order, follows = [] } = open;
    this.#open.delete(`${pool} ${id}`);
    const as = outcome.ok ? "result" : "error";
    this.#history.add({ kind: "stored", id, as, outcomes: this.#told.get(id) ?? 0 });
    if (!outcome.ok) {
      const { reason, message, maybeExecuted } = outcome.error;
      const isExpected = open.fails ? reason === "job_failed" : open.idempotent === false && maybeExecuted;
      assert.ok(isExpected, `${id} ended with ${reason}: ${message}`);
      this.#givenUp += 1;
      return;
    }
    assert.ok(!open.fails, `${id} has a result, and its handler throws`);
    this.#results += 1;
    const { result } = outcome;
    this.#lastAttempt = Math.max(this.#lastAttempt, result.attempt);
    assert.equal(result.json<{ echo?: string }>().echo, order.echo, `${id} came back with another payload`);
    const [next, ...others] = follows;
    if (next === undefined) return;
    assert.equal(result.next?.pool, next, `nothing follows ${id}`);
    this.#add({ ...open, order: order.next ?? { do: "return" }, pool: next, id: result.next.id, follows: others });
  }

  /** Undefined when nobody can say now. */
  async #find(pool: string, id: string): Promise<Outcome | "live" | "nothing" | undefined> {
    try {
      return (await (await this.#client(pool)).outcome(id)) ?? "live";
    } catch (thrown) {
      return toPoolError(thrown).reason === "not_found" ? "nothing" : undefined;
    }
  }

  #client(pool: string): Promise<Client> {
    const client = this.#clients.get(pool) ?? Client.connect({ servers: this.#servers, ...this.#options, pool });
    this.#clients.set(pool, client);
    return client;
  }
}
