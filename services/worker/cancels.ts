/** Cancels and revocations: `pool.P.cancel.J` reaches the handler's AbortSignal, and a job that comes later is not run. */
import type { Msg } from "nats";
import { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { isName } from "../../mesh/names.js";
import { encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { isAnswerable, type Subjects } from "../../mesh/wire/subjects.js";
import type { Revoked } from "./jobs/revoked.js";
import type { RunningJobs } from "./jobs/running-jobs.js";

export interface CancelsParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly worker: string;
  readonly jobs: RunningJobs;
  readonly revoked: Revoked;
  readonly now: () => number;
}

export class Cancels {
  readonly #parts: CancelsParts;

  constructor(parts: CancelsParts) {
    this.#parts = parts;
  }

  /** Takes a cancel message; what is malformed is ignored, and only who has the job running answers. */
  readonly receive = (msg: Msg): void => {
    const { bus, subjects, worker, jobs, revoked, now } = this.#parts;
    const id = subjects.lastOf(msg.subject);
    const upToAttempt = readAttempt(msg.headers?.get(HEADER.attempt) ?? "");
    if (!isName(id) || upToAttempt === undefined) return;
    revoked.add(id, upToAttempt, now());
    const error = new PoolError("canceled", "the job was canceled", { maybeExecuted: true });
    const found = jobs.cancel(id, upToAttempt, error);
    if (!found || !isAnswerable(msg.reply, bus.inboxPrefix)) return;
    bus.publish(msg.reply, undefined, { headers: encodeReplyHeaders({ kind: "result", jobId: id, worker }) });
  };
}

/** Attempts up to this one are meant; Infinity without the header, undefined when it is malformed. */
function readAttempt(text: string): number | undefined {
  if (text === "") return Number.POSITIVE_INFINITY;
  return /^\d{1,7}$/.test(text) ? Number(text) : undefined;
}
