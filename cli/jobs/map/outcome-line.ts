/** One outcome as a line of NDJSON. Pure. */
import type { FlowOutcome } from "../../../mesh/job/job-flow.js";
import { errorFields, type ResultForm, resultFields, roundMs } from "../../output/result-fields.js";
import type { MapInput } from "./map-input.js";

/** With its line end. `index` counts the inputs from 0, those skipped included. */
export function outcomeLine(outcome: FlowOutcome<MapInput>, index: number, form: ResultForm): string {
  const { label, tookMs } = outcome.input;
  const { worker, attempt } = outcome.ok ? outcome.result : outcome;
  const ended = outcome.ok ? resultFields(outcome.result.payload, form) : { error: errorFields(outcome.error) };
  const line = { index, input: label, ...ended, worker, attempts: attempt, ms: roundMs(tookMs ?? 0) };
  return `${JSON.stringify(line)}\n`;
}
