/**
 * Jobs that were submitted to this manager and whose ids another one owns.
 *
 * They are submitted as a client submits them, so that whatever happens to their
 * owner, their callers hear one outcome. Several callers with the same id and
 * payload wait for one job.
 */
import { Client } from "../../../client/client.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Outcome, SubmitOptions } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { until } from "../../../mesh/link/runtime.js";
import type { Pool } from "../pool/pool.js";
import type { Pools } from "../pools.js";

type OnEnd = (outcome: Outcome) => void;

interface AwayJob {
  readonly payload: Uint8Array;
  /** Whose share of the parked queue it counts for. */
  readonly client: string;
  readonly waiting: Set<OnEnd>;
  /** It goes on when nobody waits for it. */
  detached: boolean;
  /** Resolves when its owner says that it has the job, or when it has ended; rejects with why nobody took it. */
  readonly taken: Promise<void>;
}

export class AwayJobs {
  readonly #bus: Bus;
  readonly #pools: Pools;
  readonly #manager: string;
  readonly #clients = new Map<string, Client>();
  readonly #jobs = new Map<string, AwayJob>();
  /** The grace is over. */
  #hasGivenUp = false;

  /** @param manager this manager's id */
  constructor(bus: Bus, pools: Pools, manager: string) {
    this.#bus = bus;
    this.#pools = pools;
    this.#manager = manager;
  }

  /** Whether a job with this id belongs to another manager. @param id undefined when its caller chose none */
  isAway(pool: Pool, id: string | undefined): id is string {
    if (id === undefined) return false;
    if (this.#jobs.has(keyOf(pool, id))) return true;
    if (pool.dispatcher.live(id) !== undefined) return false;
    const { peers, earlier } = this.#pools;
    if (peers.ownerOf(pool.name, id) !== this.#manager) return true;
    // Only a manager that takes submissions can ask the others for it.
    const canAsk = peers.owns || peers.otherOwners(pool.name).length > 0;
    return canAsk && earlier.mayBeElsewhere(pool.name) && !pool.knows(id);
  }

  /**
   * Submits a job; `onEnd` hears its outcome once, unless the signal fires before.
   *
   * @param detached the job goes on without a caller, and its outcome is kept
   * @throws PoolError `duplicate_job` when the id is live with another payload, `invalid_argument`, `bus_unavailable`
   */
  submit(pool: Pool, payload: Uint8Array, options: SubmitOptions, onEnd: OnEnd, detached: boolean): string {
    const { signal, ...rest } = options;
    const id = options.id as string;
    const job = this.#jobs.get(keyOf(pool, id)) ?? this.#start(pool, id, payload, rest);
    if (Buffer.compare(job.payload, payload) !== 0) {
      throw new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
    }
    // Who gives a signal wishes that it ends the job, detached or not.
    job.detached ||= detached && signal === undefined;
    this.#listen(pool, id, job, onEnd, signal);
    return id;
  }

  /** For which client a job is that was submitted here and is live at its owner; undefined for any other. */
  clientOf(pool: Pool, id: string): string | undefined {
    return this.#jobs.get(keyOf(pool, id))?.client;
  }

  /**
   * Resolves when the owner of a job that was submitted here has it, so that nobody else can have its id; at once for any other.
   *
   * @throws PoolError why nobody took it, such as `duplicate_job`
   */
  async whenTaken(pool: Pool, id: string): Promise<void> {
    await this.#jobs.get(keyOf(pool, id))?.taken;
  }

  /** One more waits for a job that is live at its owner; false when none of this id was submitted here. */
  listen(pool: Pool, id: string, onEnd: OnEnd, signal: AbortSignal): boolean {
    const job = this.#jobs.get(keyOf(pool, id));
    if (job === undefined) return false;
    this.#listen(pool, id, job, onEnd, signal);
    return true;
  }

  /** Cancels a job for all who wait for it here; nothing happens when none of this id was submitted here. */
  cancel(pool: Pool, id: string): void {
    if (this.#jobs.has(keyOf(pool, id)))
      void this.#clientOf(pool.name)
        .cancel(id)
        .catch(() => undefined);
  }

  /** Waits for their outcomes up to the grace, in milliseconds, and gives up the rest. */
  async stop(graceMs: number): Promise<void> {
    const { runtime } = this.#bus;
    await until(runtime, () => this.#jobs.size === 0, graceMs);
    this.#hasGivenUp = true;
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }

  #start(pool: Pool, id: string, payload: Uint8Array, options: SubmitOptions): AwayJob {
    let onTaken = (): void => {};
    let onRefused = (_: PoolError): void => {};
    const taken = new Promise<void>((resolve, reject) => {
      onTaken = resolve;
      onRefused = reject;
    });
    // Not everybody waits for it.
    taken.catch(() => {});
    const job: AwayJob = { payload, client: options.client ?? "", waiting: new Set(), detached: false, taken };
    const key = keyOf(pool, id);
    const onOutcome = (ended: Outcome): void => {
      const outcome = this.#hasGivenUp && !ended.ok ? { ...ended, error: stoppedBefore(ended.error) } : ended;
      this.#jobs.delete(key);
      if (outcome.ok || outcome.attempt > 0 || outcome.error.maybeExecuted) onTaken();
      else onRefused(outcome.error);
      if (job.detached) this.#keep(pool, payload, options, outcome);
      for (const onEnd of job.waiting) onEnd(outcome);
    };
    this.#clientOf(pool.name).detachSubmit(payload, { ...options, onOutcome, onTaken });
    this.#jobs.set(key, job);
    return job;
  }

  #keep(pool: Pool, payload: Uint8Array, options: SubmitOptions, outcome: Outcome): void {
    const { idempotent = false, priority = "normal", client = "" } = options;
    pool.outcomes.keep(outcome, { payload, nonce: "", idempotent, priority, client }, this.#bus.runtime.now());
  }

  #listen(pool: Pool, id: string, job: AwayJob, onEnd: OnEnd, signal: AbortSignal | undefined): void {
    const hear = (outcome: Outcome): void => {
      signal?.removeEventListener("abort", giveUp);
      onEnd(outcome);
    };
    const giveUp = (): void => {
      job.waiting.delete(hear);
      const error = new PoolError("canceled", "the caller gave up", { maybeExecuted: true });
      onEnd({ ok: false, id, error, worker: "", attempt: 0 });
      if (job.waiting.size === 0 && !job.detached) this.cancel(pool, id);
    };
    job.waiting.add(hear);
    signal?.addEventListener("abort", giveUp, { once: true });
  }

  #clientOf(pool: string): Client {
    let client = this.#clients.get(pool);
    if (client === undefined) {
      client = new Client({ pool, connection: this.#bus, prefix: this.#pools.subjects.prefix });
      // With a connection that is there already nothing is waited for.
      void client.start();
      this.#clients.set(pool, client);
    }
    return client;
  }
}

/** Its callers have not canceled it: this manager has stopped waiting for it. */
function stoppedBefore({ maybeExecuted }: PoolError): PoolError {
  return new PoolError("draining", "the manager stopped before the job ended", { maybeExecuted });
}

function keyOf({ name }: Pool, id: string): string {
  return `${name} ${id}`;
}
