/**
 * Tells those who enqueued jobs how they ended.
 *
 * Decided here: small results for one client that end in one turn leave in one message, if the client reads such; all
 * else leaves alone. A notice may be lost: nobody keeps it, since its outcome can be read.
 */
import { type Encoded, waitedMs } from "../../../../mesh/durable/outcome.js";
import type { Stored } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Outcome } from "../../../../mesh/job/job.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import { Batcher } from "../../../../mesh/link/delivery.js";
import {
  type BundleEntry,
  encodeAnswersHeaders,
  encodeBundle,
  MAX_BUNDLED_BYTES,
  MAX_BUNDLED_WAIT_MS,
  mostBytes,
  resultEntry,
} from "../../../../mesh/wire/payloads.js";
import { bundleSubject, splitReply } from "../../../../mesh/wire/wire-headers.js";
import type { Delivery } from "../held.js";

/** What it works with. */
export interface EndNoticesParts {
  readonly bus: Bus;
  /** This manager's id. */
  readonly manager: string;
  readonly encode: (delivery: Delivery, outcome: Outcome) => Encoded;
}

/** What waits for the end of the turn. */
interface Soon {
  readonly delivery: Delivery;
  readonly outcome: Outcome;
  readonly entry: BundleEntry;
}

const TOKEN = /^[A-Za-z0-9_]{1,200}$/;

export class EndNotices {
  readonly #parts: EndNoticesParts;
  /** By inbox and worker. */
  readonly #batcher: Batcher<Soon>;

  constructor(parts: EndNoticesParts) {
    this.#parts = parts;
    this.#batcher = new Batcher<Soon>(parts.bus, {
      bytesOf: ({ entry }) => mostBytes(entry),
      alone: (_place, { delivery, outcome }) => this.#sendAlone(delivery, outcome),
      together: (place, all) => this.#sendTogether(place, all),
    });
  }

  /** An outcome that this manager has stored, or that is not kept. */
  tell(delivery: Delivery, outcome: Outcome): void {
    const notify = notifyOf(delivery);
    if (notify === "") return;
    const [inbox, token] = splitReply(notify);
    const entry = toEntry(delivery, outcome, token, this.#parts.bus.runtime.wallNow());
    if (entry === undefined) return this.#sendAlone(delivery, outcome);
    const worker = outcome.ok ? outcome.result.worker : "";
    this.#batcher.add(`${inbox} ${worker}`, { delivery, outcome, entry });
  }

  /** An outcome that was stored before. */
  tellStored(delivery: Delivery, { headers, payload }: Stored): void {
    const notify = notifyOf(delivery);
    if (notify !== "" && headers !== undefined) this.#parts.bus.publish(notify, payload, { headers: headers as never });
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    this.#batcher.flush();
  }

  #sendAlone(delivery: Delivery, outcome: Outcome): void {
    const notify = notifyOf(delivery);
    const { headers, payload } = delivery.end ?? this.#parts.encode(delivery, outcome);
    this.#parts.bus.publish(notify, payload, { headers });
  }

  #sendTogether(place: string, all: readonly Soon[]): void {
    const [inbox, worker] = place.split(" ") as [string, string];
    const headers = encodeAnswersHeaders(all.length, "result", this.#parts.manager, worker);
    this.#parts.bus.publish(bundleSubject(inbox), encodeBundle(all.map(({ entry }) => entry)), { headers });
  }
}

/** Who is told; "" for nobody. */
function notifyOf({ job }: Delivery): string {
  return job instanceof PoolError ? "" : (job.notify ?? "");
}

/** What is told as one of several; undefined for what has no room among them, or for who reads no such message. */
function toEntry(
  { id, attempt, job }: Delivery,
  outcome: Outcome,
  token: string,
  endedAt: number,
): BundleEntry | undefined {
  if (!outcome.ok || job instanceof PoolError || !job.notifyTogether || job.then.length > 0) return undefined;
  const { payload } = outcome.result;
  if (payload.length > MAX_BUNDLED_BYTES || !TOKEN.test(token)) return undefined;
  const waitMs = waitedMs(outcome.result, job.enqueuedAt ?? endedAt, endedAt);
  return waitMs > MAX_BUNDLED_WAIT_MS ? undefined : resultEntry({ token, id, attempt, payload }, waitMs);
}
