/** Which control verbs a worker's state allows, what they do, and how they are carried out. */
import type { StateWord, WorkerRow } from "../../../../browser/worker-row.js";
import { WorkerOp } from "../../../../gen/poolmesh/v1/meter_pb.js";
import type { ConfirmedAction } from "./confirm-dialog.js";
import type { Session } from "./session.js";

/** The words on the buttons. */
export type ControlVerb = "Drain" | "Pause" | "Resume";

/** What the reader may ask of a worker. */
export type ControlAsk = (verb: ControlVerb, row: WorkerRow) => void;

/** The verbs that this state allows. */
export function verbsFor(state: StateWord): readonly ControlVerb[] {
  if (state === "ready" || state === "starting") return ["Pause", "Drain"];
  if (state === "paused") return ["Resume", "Drain"];
  return [];
}

const OPS: Readonly<Record<ControlVerb, WorkerOp>> = {
  Drain: WorkerOp.DRAIN,
  Pause: WorkerOp.PAUSE,
  Resume: WorkerOp.RESUME,
};

/** What will happen, in a sentence for the confirmation. */
const VERB_MEANING: Readonly<Record<ControlVerb, string>> = {
  Drain: "It takes nothing new, finishes the jobs it runs, then leaves the pool and its process ends.",
  Pause: "It takes nothing new until it is resumed. Running jobs go on.",
  Resume: "It takes jobs again.",
};

/** A verb on a worker, to be confirmed. */
export function controlAction(session: Session, verb: ControlVerb, row: WorkerRow): ConfirmedAction {
  const { pool = "", worker = "" } = row.seen.view.heartbeat ?? {};
  return {
    title: `${verb} ${row.worker}?`,
    meaning: VERB_MEANING[verb],
    verb,
    carryOut: async (options) => {
      await session.client.controlWorker({ pool, worker, op: OPS[verb] }, options);
    },
  };
}
