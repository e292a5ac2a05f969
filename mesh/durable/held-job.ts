/** What a manager says of a stored job that it knows: the answer on `pool.P.lookup`. Pure. */
import { parseJson } from "../job/codec.js";

/** A job at its manager. */
export interface HeldJob {
  /** "limited": held until its limits let it run. "retrying": given back after a failure, and not yet due. */
  readonly state: "held" | "limited" | "running" | "retrying";
  /** The delivery; 1 for the first. */
  readonly attempt: number;
  /** Who runs it; "" when nobody does. */
  readonly worker: string;
}

const STATES: readonly string[] = ["held", "limited", "running", "retrying"];

export function encodeHeldJob(job: HeldJob): Uint8Array {
  return Buffer.from(JSON.stringify(job));
}

/** Undefined for what is no such answer. */
export function decodeHeldJob(payload: Uint8Array): HeldJob | undefined {
  try {
    const said = parseJson(Buffer.from(payload).toString()) as Partial<HeldJob>;
    const isOne =
      STATES.includes(said.state ?? "") && typeof said.attempt === "number" && typeof said.worker === "string";
    return isOne ? ({ state: said.state, attempt: said.attempt, worker: said.worker } as HeldJob) : undefined;
  } catch {
    return undefined;
  }
}
