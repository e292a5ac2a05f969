/**
 * One job at a client, from submit to outcome.
 *
 * States: asking → taken → ended. While asking, no manager has said that it has
 * the job; once taken, its manager is known and watched.
 */

import type { PoolError } from "../mesh/errors.js";
import { JobResult, type Outcome } from "../mesh/job/job.js";
import type { InboxEntry } from "../mesh/link/inbox.js";
import { readErrorHeaders } from "../mesh/wire/error-headers.js";
import { decodeReplyHeaders, HEADER, type JobHeaders } from "../mesh/wire/headers.js";
import { isNoResponders, type Reply } from "../mesh/wire/reply.js";
import { headersOf, wireHeaders } from "../mesh/wire/wire-headers.js";

/** What a job needs of its client. */
export interface ClientJobOwner {
  /** Monotonic milliseconds. */
  now(): number;
  /** No manager listens: the client decides whether to ask again. */
  onNoManager(job: ClientJob): void;
  /** A manager has it; said once or again. */
  onTaken(job: ClientJob, manager: string): void;
  /** Its manager had it and does not know it any more. */
  onForgotten(job: ClientJob): void;
  onEnd(job: ClientJob, outcome: Outcome): void;
}

export class ClientJob implements InboxEntry {
  state: "asking" | "taken" | "ended" = "asking";
  token = "";
  manager = "";
  deadlineTick = 0;
  /** When it was sent to a manager last, by the client's clock. */
  sentAt = 0;
  /** An outage may have swallowed the answer to it: some manager may have it. */
  inDoubt = false;
  /** It has not left, or nobody was there: no manager can have it. */
  unsent = true;
  /** Managers that it was given to and that are gone. */
  managersBefore = 0;
  #startedAt: number | undefined;

  constructor(
    readonly owner: ClientJobOwner,
    readonly headers: JobHeaders & { readonly jobId: string },
    readonly payload: Uint8Array,
    readonly submittedAt: number,
    readonly deadlineAt: number,
    readonly onOutcome: (outcome: Outcome) => void,
    readonly onProgress: ((payload: Uint8Array) => void) | undefined,
  ) {}

  get id(): string {
    return this.headers.jobId;
  }

  onReply(msg: Reply): void {
    if (this.state === "ended") return;
    if (isNoResponders(msg)) return this.owner.onNoManager(this);
    const headers = headersOf(msg);
    const reply = decodeReplyHeaders(headers);
    const manager = headers?.get(HEADER.manager) ?? "";
    if (reply.kind === "accepted" || reply.kind === "progress") {
      if (reply.worker !== undefined) this.#startedAt ??= this.owner.now();
      this.owner.onTaken(this, manager);
      if (reply.kind === "progress") this.onProgress?.(msg.data);
      return;
    }
    if (reply.kind === "error") {
      const error = readErrorHeaders(headers ?? wireHeaders());
      if (error.reason === "not_found" && error.field === "job") return this.owner.onForgotten(this);
      return this.fail(error, reply.worker, reply.attempt);
    }
    const now = this.owner.now();
    const waitMs = (this.#startedAt ?? now) - this.submittedAt;
    const payload = msg.data;
    const result = new JobResult(
      this.id,
      payload,
      reply.worker ?? "",
      reply.attempt ?? 1,
      waitMs,
      now - this.submittedAt,
    );
    this.owner.onEnd(this, { ok: true, id: this.id, result });
  }

  fail(error: PoolError, worker = "", attempt = 0): void {
    const waited = this.#startedAt === undefined ? {} : { waitMs: this.#startedAt - this.submittedAt };
    this.owner.onEnd(this, { ok: false, id: this.id, error, worker, attempt, ...waited });
  }
}
