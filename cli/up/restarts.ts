/**
 * Answers `pool.P.restart.W` for the workers that `up` supervises: drains the
 * worker, starts it again, and answers when the manager sees it as READY.
 *
 * No job is lost: a drain takes nothing new and ends when the worker is empty.
 */
import type { Msg } from "nats";
import { type PoolError, toPoolError } from "../../mesh/errors.js";
import { askControl } from "../../mesh/link/ask-control.js";
import type { Subscription } from "../../mesh/link/subscription.js";
import { writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders } from "../../mesh/wire/headers.js";
import type { Link } from "../link.js";
import type { Supervised } from "./supervised.js";

/** How long a worker may take to finish what it runs, in milliseconds. */
export const DRAIN_LIMIT_MS = 600_000;

export class Restarts {
  readonly #link: Link;
  readonly #pool: string;
  readonly #workers: ReadonlyMap<string, Supervised>;
  readonly #awaitReady: (id: string) => Promise<void>;
  readonly #underWay = new Map<string, Promise<void>>();
  #subscriptions: Subscription[] = [];

  constructor(
    link: Link,
    pool: string,
    workers: ReadonlyMap<string, Supervised>,
    awaitReady: (id: string) => Promise<void>,
  ) {
    this.#link = link;
    this.#pool = pool;
    this.#workers = workers;
    this.#awaitReady = awaitReady;
  }

  open(): void {
    const { bus, subjects } = this.#link;
    this.#subscriptions = [...this.#workers].map(([id, worker]) => {
      void worker.closed.then(() => this.#leave(id));
      return bus.subscribe(subjects.restart(this.#pool, id), (msg) => void this.#onRequest(id, worker, msg));
    });
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
    this.#link.inbox.stop();
  }

  /** A worker that has left is nobody's to restart. */
  #leave(id: string): void {
    const subject = this.#link.subjects.restart(this.#pool, id);
    for (const each of this.#subscriptions) if (each.subject === subject) each.unsubscribe();
  }

  async #onRequest(id: string, worker: Supervised, msg: Msg): Promise<void> {
    try {
      await this.#restartOnce(id, worker);
      this.#answer(msg, id, "result");
    } catch (error) {
      this.#answer(msg, id, "error", toPoolError(error));
    }
  }

  /** Two requests for one worker at a time are one restart. */
  #restartOnce(id: string, worker: Supervised): Promise<void> {
    const known = this.#underWay.get(id);
    if (known !== undefined) return known;
    const restart = this.#restart(id, worker).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, restart);
    return restart;
  }

  async #restart(id: string, worker: Supervised): Promise<void> {
    const { bus } = this.#link;
    const drain = { case: "drain", value: { wait: true } } as const;
    await worker.replace(async () => {
      await askControl(bus, this.#link, { pool: this.#pool, worker: id, request: drain, limitMs: DRAIN_LIMIT_MS });
    });
    await this.#awaitReady(id);
  }

  #answer(msg: Msg, worker: string, kind: "result" | "error", error?: PoolError): void {
    const { bus } = this.#link;
    if (!bus.mayAnswer(msg.reply)) return;
    const headers = encodeReplyHeaders({ kind, worker });
    if (error !== undefined) writeErrorHeaders(headers, error);
    bus.publish(msg.reply, undefined, { headers });
  }
}
