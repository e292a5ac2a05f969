/**
 * Kinds of faults that the product does not withstand yet, and promises that it
 * does not keep yet. The default run leaves them out; `--all` includes them. Each has a plan in found/ that shows
 * it. Who mends one takes its line away.
 */

/** A kind of fault, or an invariant, that is left out, and a found plan that shows why. */
export type KnownKind = { readonly found: string } & (
  | {
      /** A kind of plans/fault-kinds.ts. */
      readonly fault: string;
    }
  | {
      /** An invariant of invariants/, that many kinds of faults break. */
      readonly invariant: string;
    }
);

/** All of them. A kind stands once for each found plan that keeps it out. */
export const knownKinds: readonly KnownKind[] = [
  { fault: "id-reused", found: "reused-id-hears-an-old-result" },
  { fault: "id-reused", found: "reused-id-of-a-canceled-job-is-ignored" },
  { fault: "id-reused", found: "deadline-of-one-caller-cancels-another" },
  { fault: "id-twice", found: "id-at-two-managers-runs-twice" },
  { fault: "long-hold", found: "held-link-runs-a-job-twice" },
  { fault: "long-hold", found: "held-link-starts-an-expired-job" },
  { fault: "long-hold", found: "held-link-of-a-manager-condemns-workers" },
  { fault: "long-hold", found: "held-link-makes-a-revoked-attempt-the-outcome" },
  { fault: "long-delay", found: "delayed-link-runs-a-job-twice" },
  { fault: "long-delay", found: "delayed-link-starts-an-expired-job" },
  { fault: "slow-link", found: "large-job-on-a-slow-link-runs-twice" },
  { fault: "slow-link", found: "slow-link-starts-an-expired-job" },
  { fault: "link-down", found: "worker-that-reconnects-loses-its-jobs" },
  { fault: "link-down", found: "manager-that-reconnects-loses-its-jobs" },
  { fault: "link-down", found: "revoked-attempt-becomes-the-outcome" },
  { invariant: "nothing-awaited-at-rest", found: "lost-probe-keeps-its-place" },
  { fault: "link-cut", found: "lost-acceptance-runs-a-job-twice" },
  { fault: "lame-duck-of-one", found: "lame-duck-loses-running-jobs" },
  { fault: "lame-duck-of-one", found: "lame-duck-loses-jobs-of-a-live-manager" },
  { fault: "long-broker-pause", found: "paused-broker-starts-expired-jobs" },
  { fault: "long-broker-pause", found: "paused-broker-condemns-live-workers" },
  { fault: "long-broker-pause", found: "offers-out-fall-below-zero" },
  { fault: "long-manager-pause", found: "paused-manager-starts-an-expired-job" },
  { fault: "long-manager-pause", found: "malformed-attempt-is-not-answered-after-a-pause" },
  { fault: "long-manager-block", found: "blocked-manager-starts-an-expired-job" },
  { fault: "worker-clock", found: "wall-clock-of-a-worker-expires-jobs" },
  { fault: "manager-clock", found: "wall-clock-of-a-manager-expires-jobs" },
  { fault: "clock-step", found: "clock-that-is-set-expires-jobs" },
  { fault: "stream", found: "stream-acknowledgement-is-a-result" },
  { fault: "unknown-reply-kind", found: "unknown-reply-kind-is-a-result" },
  { fault: "foreign-worker", found: "listed-before-accepted-counts-a-slot-twice" },
];

/** Names of faults that the default run leaves out. */
export function knownFaults(): string[] {
  return knownKinds.flatMap((each) => ("fault" in each ? [each.fault] : []));
}

/** Names of invariants that the default run does not check. */
export function knownInvariants(): string[] {
  return knownKinds.flatMap((each) => ("invariant" in each ? [each.invariant] : []));
}
