/** A scenario: one sentence of docs/protocol.md, and what is done to check it. */
import type { Kit } from "./kit.js";
import type { Level } from "./level.js";

/** One check of a worker. */
export interface Scenario {
  /** As in the document's tables, such as "one-answer". */
  readonly name: string;
  /** Workers of this level and above claim it. */
  readonly level: Level;
  /** The sentence of docs/protocol.md that is checked, word for word. */
  readonly sentence: string;
  /** Resolves when the sentence holds. @throws Failed, NotTried */
  run(kit: Kit): Promise<void>;
}

/** Scenarios about one subject, under its heading in the document. */
export interface ScenarioGroup {
  readonly title: string;
  readonly scenarios: readonly Scenario[];
}
