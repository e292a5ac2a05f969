/**
 * Jobs that are enqueued through a manager: a message on `pool.P.enqueue` is
 * stored, and its receipt is the reply.
 *
 * It is for clients that do not make an id of their own, such as the `nats`
 * command. The reply of a stream itself would do for anybody else.
 */
import type { Msg } from "nats";
import { ENQUEUE_TIMEOUT_MS, type EnqueueParts, enqueue } from "../../../mesh/durable/enqueue.js";
import { decodeDurableJob } from "../../../mesh/durable/job.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/job/codec.js";
import { DEFAULT_TIMEOUT_MS } from "../../../mesh/job/job.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import { errorText, writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeJobHeaders, encodeReplyHeaders } from "../../../mesh/wire/headers.js";
import { isAnswerable, QUEUE_MANAGERS } from "../../../mesh/wire/subjects.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";

/** What it works with. */
export interface EnqueueDoorParts extends EnqueueParts {
  /** Opens the lane of a pool, if it has none yet. @throws PoolError */
  readonly open: (pool: string) => Promise<void>;
}

/** Jobs that are being stored at once. */
const MAX_UNDER_WAY = 1_024;

export class EnqueueDoor {
  readonly #parts: EnqueueDoorParts;
  readonly #subscriptions: Subscription[] = [];
  #underWay = 0;

  constructor(parts: EnqueueDoorParts) {
    this.#parts = parts;
  }

  /** @param pools those that the manager serves; undefined for all */
  start(pools: readonly string[] | undefined): void {
    const { bus, names } = this.#parts;
    for (const pool of pools ?? [undefined]) {
      const subject = names.everyEnqueue(pool);
      this.#subscriptions.push(bus.subscribe(subject, (msg) => void this.#onMessage(msg), QUEUE_MANAGERS));
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions) void subscription.drain();
  }

  async #onMessage(msg: Msg): Promise<void> {
    if (this.#underWay >= MAX_UNDER_WAY) {
      return this.#refuse(msg, new PoolError("pool_full", "too many jobs are being stored", { retryAfterMs: 1_000 }));
    }
    this.#underWay += 1;
    try {
      const stored = await this.#store(msg);
      this.#answer(msg, json.encode(stored), encodeReplyHeaders({ kind: "result", jobId: stored.id }));
    } catch (thrown) {
      this.#refuse(msg, toPoolError(thrown));
    } finally {
      this.#underWay -= 1;
    }
  }

  async #store(msg: Msg): ReturnType<typeof enqueue> {
    const { bus, names, open } = this.#parts;
    const pool = names.poolOf(msg.subject);
    const headers = headersOf(msg);
    const { jobId, priority = "normal" } = decodeJobHeaders(headers);
    const job = decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, bus.inboxPrefix);
    const payload = msg.data.slice();
    await open(pool);
    return enqueue(this.#parts, {
      pool,
      id: jobId ?? bus.runtime.newId(),
      isNamed: jobId !== undefined,
      level: priority,
      payload,
      job: { ...job, enqueuedAt: bus.runtime.wallNow() },
      limitMs: ENQUEUE_TIMEOUT_MS,
    });
  }

  #refuse(msg: Msg, error: PoolError): void {
    const headers = encodeReplyHeaders({ kind: "error" });
    writeErrorHeaders(headers, error);
    this.#answer(msg, errorText(error), headers);
  }

  #answer({ reply }: Msg, payload: Uint8Array, headers: ReturnType<typeof encodeReplyHeaders>): void {
    const { bus } = this.#parts;
    if (isAnswerable(reply, bus.inboxPrefix)) bus.publish(reply, payload, { headers });
  }
}
