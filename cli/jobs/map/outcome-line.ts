/** One outcome as a line of NDJSON. Pure. */
import type { FlowOutcome } from "../../../mesh/job/job-flow.js";
import { jsonLine } from "../../output/json-text.js";
import { errorFields, inputFields, type ResultForm, resultFields, roundMs } from "../../output/result-fields.js";
import type { MapInput } from "./map-input.js";

/** With its line end. `index` counts the inputs from 0, those skipped included. */
export function outcomeLine(outcome: FlowOutcome<MapInput>, index: number, form: ResultForm): string {
  const { path, payload, tookMs } = outcome.input;
  const { worker, attempt, waitMs } = outcome.ok ? outcome.result : outcome;
  const waited = waitMs === undefined ? {} : { waitMs: roundMs(waitMs) };
  const input = path === undefined ? inputFields(payload) : { input: path };
  const ended = outcome.ok ? resultFields(outcome.result.payload, form) : { error: errorFields(outcome.error) };
  const facts = { worker, attempts: attempt, ...waited, ms: roundMs(tookMs ?? 0) };
  return `${jsonLine({ index, ...input, ...ended, ...facts })}\n`;
}
