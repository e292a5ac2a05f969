/** Which control verbs a worker's state allows, and what they do. Pure. */
import type { StateWord } from "../../../../browser/worker-row.js";

/** The words on the buttons. */
export type ControlVerb = "Drain" | "Pause" | "Resume";

/** The verbs that this state allows. */
export function verbsFor(state: StateWord): readonly ControlVerb[] {
  if (state === "ready" || state === "starting") return ["Pause", "Drain"];
  if (state === "paused") return ["Resume", "Drain"];
  return [];
}

/** What will happen, in a sentence for the confirmation. */
export const VERB_MEANING: Readonly<Record<ControlVerb, string>> = {
  Drain: "It takes nothing new, finishes the jobs it runs, then leaves the pool and its process ends.",
  Pause: "It takes nothing new until it is resumed. Running jobs go on.",
  Resume: "It takes jobs again.",
};
