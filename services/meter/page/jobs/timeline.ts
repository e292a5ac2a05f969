/** Where the time of a job went. Pure. */
import type { JobSample } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";

/** A job's way through time. */
export interface Timeline {
  /** In the order of time; shares add up to 1. */
  readonly parts: readonly { readonly kind: "waited" | "ran"; readonly ms: number; readonly share: number }[];
  /** What happened, with the time since the submission. */
  readonly events: readonly { readonly atMs: number; readonly text: string; readonly withWorker: boolean }[];
}

/** A part that is there can be seen. */
const SMALLEST_SHARE = 0.01;

/** The timeline of a job that has ended. */
export function timelineOf({ attempt, outcome, waitMs, totalMs }: JobSample): Timeline {
  const submitted = { atMs: 0, text: "submitted", withWorker: false };
  const how = outcome === "ok" ? "ended with a result" : `ended: ${outcome}`;
  if (attempt === 0) {
    const parts = [{ kind: "waited" as const, ms: totalMs, share: 1 }];
    return {
      parts,
      events: [submitted, { atMs: totalMs, text: `${how}; it was never sent to a worker`, withWorker: false }],
    };
  }
  const waited = Math.min(waitMs, totalMs);
  const share = totalMs > 0 ? waited / totalMs : 0;
  const shown = waited > 0 ? Math.min(1 - SMALLEST_SHARE, Math.max(SMALLEST_SHARE, share)) : 0;
  const parts = [
    { kind: "waited" as const, ms: waited, share: shown },
    { kind: "ran" as const, ms: totalMs - waited, share: 1 - shown },
  ].filter((part) => part.share > 0);
  const sent = attempt === 1 ? "sent to" : `sent as attempt ${attempt} to`;
  return {
    parts,
    events: [
      submitted,
      { atMs: waited, text: sent, withWorker: true },
      { atMs: totalMs, text: how, withWorker: false },
    ],
  };
}
