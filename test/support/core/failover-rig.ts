/** A client's failover on a number for a clock: what it asks of its link is a line of a log. */
import assert from "node:assert/strict";
import { Failover } from "../../../client/failover.js";
import type { FailoverPorts } from "../../../client/failover-ports.js";
import { Submission } from "../../../client/submission.js";
import type { PoolError } from "../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";

const EMPTY = new Uint8Array(0);

export class FailoverRig implements FailoverPorts {
  nowMs = 0;
  connected = true;
  /** What left before this time has reached the broker. */
  arrivedMs = Number.POSITIVE_INFINITY;
  readonly log: string[] = [];
  readonly watched = new Set<string>();
  readonly failover = new Failover(this);
  readonly outcomes = new Map<string, Outcome>();
  refusal: PoolError | undefined;

  give({ id, managersBefore }: Submission): boolean | PoolError {
    if (this.refusal !== undefined) return this.refusal;
    if (this.connected) this.log.push(managersBefore === 0 ? `give ${id}` : `give ${id} again`);
    return this.connected;
  }

  askAgain({ id, manager }: Submission): boolean {
    this.log.push(`ask ${manager} for ${id}`);
    return true;
  }

  hasArrived(sentAtMs: number): boolean {
    return sentAtMs < this.arrivedMs;
  }

  callRoll(): void {
    this.log.push("call roll");
  }

  askAll(submissions: readonly Submission[]): void {
    this.log.push(`ask all for ${submissions.map(({ id }) => id).join(" ")}`);
  }

  revoke({ id }: Submission, upToAttempt: number): void {
    this.log.push(`revoke ${id} to ${upToAttempt}`);
  }

  abandon({ id }: Submission): void {
    this.log.push(`abandon ${id}`);
  }

  watch(manager: string, watched: boolean): void {
    if (watched) this.watched.add(manager);
    else this.watched.delete(manager);
  }

  forget(): void {}

  submit(id: string, more: { idempotent?: boolean; wait?: boolean; timeoutMs?: number } = {}): Submission {
    const { timeoutMs = 30_000, ...headers } = more;
    const onOutcome = (outcome: Outcome): void => {
      assert.equal(this.outcomes.has(id), false, `${id} has one outcome`);
      this.outcomes.set(id, outcome);
    };
    const submission = new Submission(
      { jobId: id, ...headers },
      EMPTY,
      this.nowMs,
      this.nowMs + timeoutMs,
      onOutcome,
      undefined,
    );
    this.failover.submitted(submission, this.nowMs);
    return submission;
  }

  /** Time passes in ticks; what was logged meanwhile is returned. */
  pass(ms: number): string[] {
    const from = this.log.length;
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 20;
      this.failover.tick(this.nowMs, this.connected);
    }
    return this.log.slice(from);
  }

  end(submission: Submission): void {
    const result = new JobResult(submission.id, EMPTY, "w", 1, 0, 0);
    this.failover.ended(submission, { ok: true, id: submission.id, result });
  }

  failure(id: string): PoolError {
    const outcome = this.outcomes.get(id);
    if (outcome === undefined || outcome.ok) throw new Error(`${id} has no error`);
    return outcome.error;
  }
}
