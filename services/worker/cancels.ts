/** Cancels and revocations: `pool.P.cancel.J` reaches the handler's AbortSignal, and a job that comes later is not run. */
import type { Msg, MsgHdrs } from "nats";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { decodeRevocation, HeardCancels, meaningOf, type Revocation } from "../../mesh/wire/cancel-messages.js";
import { encodeReplyHeaders } from "../../mesh/wire/headers.js";
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
  readonly #heard = new HeardCancels();

  constructor(parts: CancelsParts) {
    this.#parts = parts;
  }

  /** Takes a cancel message. Only a worker that runs the job answers, and one that cannot read the message. */
  readonly receive = (msg: Msg): void => {
    const { subjects, worker } = this.#parts;
    const id = subjects.lastOf(msg.subject);
    if (!isName(id)) return;
    let revocation: Revocation;
    try {
      revocation = decodeRevocation(headersOf(msg));
    } catch (thrown) {
      return this.#answer(msg, controlErrorReply(worker, toPoolError(thrown)));
    }
    if (!this.#heard.answers(msg, revocation, () => this.#revoke(id, revocation))) return;
    this.#answer(msg, { headers: encodeReplyHeaders({ kind: "result", jobId: id, worker }) });
  };

  /** Whether it stopped a job here. */
  #revoke(id: string, said: Revocation): boolean {
    const { jobs, revoked, now } = this.#parts;
    const { upToAttempt = Number.POSITIVE_INFINITY, nonce = "" } = said;
    if (upToAttempt === 0) {
      revoked.takeBack(id, now());
      return false;
    }
    // A caller leaves its submission. Others may wait for the same job: its manager knows, and revokes the attempt when nobody does.
    if (nonce !== "" && said.upToAttempt === undefined) return false;
    const revoke: Revoke = { id, nonce, upToAttempt, ...meaningOf(said, now()) };
    revoked.add(revoke, now());
    return jobs.cancel(revoke, new PoolError("canceled", "the job was canceled", { maybeExecuted: true }));
  }

  #answer({ reply }: Msg, { payload, headers }: { payload?: Uint8Array; headers: MsgHdrs }): void {
    const { bus } = this.#parts;
    if (bus.mayAnswer(reply)) bus.publish(reply, payload, { headers });
  }
}
