/** What a command of control asks, and of whom. */
import type { ControlQuestion } from "../../mesh/link/ask-control.js";
import type { ControlVerb, WorkerSelector } from "../../mesh/wire/worker-selection.js";

/** Whom a command is for: workers of one pool, or of all. */
export interface Selection extends WorkerSelector {
  readonly pool?: string;
}

/** One of the four commands. */
export interface ControlCommand {
  readonly verb: ControlVerb;
  readonly request: ControlQuestion["request"];
  /** How long each worker has to answer, in milliseconds. */
  readonly limitMs: number;
}
