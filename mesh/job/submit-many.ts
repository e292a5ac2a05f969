/** submitMany() for everything that takes jobs: payloads with one set of options for all. */
import {
  type IndexedOutcome,
  type Outcome,
  type Payload,
  type SubmitManyOptions,
  type SubmitOptions,
  toBytes,
} from "./job.js";
import { jobFlow } from "./job-flow.js";

/** What can submit one job. */
export interface PayloadStarter {
  /** Returns the job's id; `onOutcome` hears its end exactly once. May throw instead. */
  start(payload: Uint8Array, options: SubmitOptions, onOutcome: (outcome: Outcome) => void): string;
  cancel(id: string): void;
}

/** The outcomes of a stream of payloads. */
export function submitMany(
  starter: PayloadStarter,
  payloads: Iterable<Payload> | AsyncIterable<Payload>,
  options: SubmitManyOptions = {},
): AsyncIterable<IndexedOutcome> {
  const { ordered: _ordered, window: _window, signal: _signal, ...each } = options;
  return jobFlow<Payload>(
    {
      start: (payload, leftMs, onOutcome) => starter.start(toBytes(payload), { ...each, timeoutMs: leftMs }, onOutcome),
      cancel: (id) => starter.cancel(id),
    },
    payloads,
    options,
  );
}
