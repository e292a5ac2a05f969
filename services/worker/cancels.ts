/** Cancels and revocations: `pool.P.cancel.J` reaches the handler's AbortSignal, and a job that comes later is not run. */
import type { Msg, MsgHdrs } from "nats";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { decodeRevocation, encodeReplyHeaders } from "../../mesh/wire/headers.js";
import { isName, type Subjects } from "../../mesh/wire/subjects.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";
import type { Revoked } from "./jobs/intake.js";
import type { Revoke } from "./jobs/running-job.js";
import type { RunningJobs } from "./jobs/running-jobs.js";
import { controlErrorReply } from "./replies.js";

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

  /** Takes a cancel message. Only a worker that runs the job answers, and one that cannot read the message. */
  readonly receive = (msg: Msg): void => {
    const { subjects, worker, jobs, revoked, now } = this.#parts;
    const id = subjects.lastOf(msg.subject);
    if (!isName(id)) return;
    let revoke: Revoke;
    try {
      const { upToAttempt = Number.POSITIVE_INFINITY, nonce = "" } = decodeRevocation(headersOf(msg));
      revoke = { id, nonce, upToAttempt };
    } catch (thrown) {
      return this.#answer(msg, controlErrorReply(worker, toPoolError(thrown)));
    }
    if (revoke.upToAttempt === 0) return revoked.takeBack(id);
    revoked.add(revoke, now());
    const error = new PoolError("canceled", "the job was canceled", { maybeExecuted: true });
    if (!jobs.cancel(revoke, error)) return;
    this.#answer(msg, { headers: encodeReplyHeaders({ kind: "result", jobId: id, worker }) });
  };

  #answer({ reply }: Msg, { payload, headers }: { payload?: Uint8Array; headers: MsgHdrs }): void {
    const { bus } = this.#parts;
    if (bus.mayAnswer(reply)) bus.publish(reply, payload, { headers });
  }
}
