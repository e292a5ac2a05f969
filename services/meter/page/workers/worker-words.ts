/** Words about a worker that the table and the worker's own view share. Pure. */
import { duration } from "../../../../browser/format.js";
import type { WorkerRow } from "../../../../browser/worker-row.js";
import type { PageState } from "../page-state.js";
import { farBehind } from "./versions.js";

/** Why a version stands out. */
export const oldText = "more than a minor version behind others";

/** By how much a worker's clock is off. */
export function clockText({ marks, clockOffsetMs }: WorkerRow): { readonly isOff: boolean; readonly text: string } {
  const isOff = marks.includes("clock off");
  if (!isOff && Math.abs(clockOffsetMs) < 1) return { isOff, text: "as the meter's" };
  const side = clockOffsetMs > 0 ? "ahead of" : "behind";
  return { isOff, text: `${duration(Math.abs(clockOffsetMs))} ${side} the meter's` };
}

/** The versions that are too far behind, among all workers that are there. */
export function farVersions({ workers }: PageState): ReadonlySet<string> {
  const known = workers?.workers;
  if (known === undefined) return NONE;
  let far = seen.get(known);
  if (far === undefined) {
    far = farBehind([...known.values()].map(({ view }) => view.heartbeat?.version ?? ""));
    seen.set(known, far);
  }
  return far;
}

const NONE: ReadonlySet<string> = new Set();
const seen = new WeakMap<object, ReadonlySet<string>>();
