/** A fault scenario: one row of the list of faults, and how it is run and judged. */
import type { Owner } from "../../support/clean-up.js";
import type { InvariantId } from "../invariants/rule.js";
import { checkHistory } from "../invariants.js";
import { Rig } from "./rig.js";

/** One row. */
export interface Scenario {
  /** Such as "F01". */
  readonly id: string;
  readonly fault: string;
  /** Numbers of brokers to run it on, each in a world of its own; 0 starts none. */
  readonly brokers: readonly (0 | 1 | 3)[];
  /** Managers have the durable lane; default false. */
  readonly lane?: boolean;
  /** Those of the quick form; default all. None: the row is played by hand, in the whole form. */
  readonly quickBrokers?: readonly (0 | 1 | 3)[];
  /** Does it, and says what came of it. Throws when that is not what must happen. */
  run(rig: Rig): Promise<string>;
}

/** What came of a row. */
export interface Result {
  readonly outcome: string;
  readonly checked: readonly InvariantId[];
  readonly elapsedMs: number;
}

/**
 * Runs one row and checks the invariants over its history.
 *
 * @throws Error with every invariant that is broken
 */
export async function runScenario(
  scenario: Scenario,
  options: { readonly owner: Owner; readonly brokers: 0 | 1 | 3; readonly quick: boolean },
): Promise<Result> {
  const begunAt = performance.now();
  const rig = await Rig.start(options.owner, { ...options, lane: scenario.lane ?? false });
  const outcome = await scenario.run(rig);
  await rig.rest();
  await rig.end();
  const { violations, checked } = checkHistory(rig.history.read());
  if (violations.length > 0) {
    const lines = violations.slice(0, 20).map(({ invariant, what }) => `${invariant}: ${what}`);
    throw new Error(`${violations.length} broken: ${lines.join("; ")}`);
  }
  return { outcome, checked, elapsedMs: performance.now() - begunAt };
}

/** Numbers of brokers that a row runs on. */
export function brokersOf({ brokers, quickBrokers }: Scenario, quick: boolean): readonly (0 | 1 | 3)[] {
  return quick ? (quickBrokers ?? brokers) : brokers;
}

/** The title of a row on a number of brokers. */
export function titleOf({ id, fault }: Scenario, brokers: number): string {
  return brokers === 3 ? `${id} - ${fault} (three brokers)` : `${id} - ${fault}`;
}
