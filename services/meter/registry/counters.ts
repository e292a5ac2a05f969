/** Counters of the meter: a number for each kind of thing that happened. Pure. */
import { GARBAGE_KINDS, type GarbageKind } from "../../../mesh/wire/heartbeat-codec.js";
import { VERDICTS, type Verdict } from "./registry.js";

/** Whether a heartbeat was taken, or why it was dropped. */
export type Fate = Verdict | GarbageKind;

/** How a probe ended. */
const PROBE_ENDS = ["answered", "no_responders", "no_answer"] as const;
export type ProbeEnd = (typeof PROBE_ENDS)[number];

/** Counts by kind, since the start. */
export class Tally {
  readonly workerBeats = zeros<Fate>([...VERDICTS, ...GARBAGE_KINDS]);
  readonly managerBeats = zeros<Fate>([...VERDICTS, ...GARBAGE_KINDS]);
  readonly probes = zeros<ProbeEnd>(PROBE_ENDS);
}

/** Adds one. */
export function countOne<K>(counts: Map<K, number>, kind: K): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

function zeros<K>(kinds: readonly K[]): Map<K, number> {
  return new Map(kinds.map((kind) => [kind, 0]));
}
