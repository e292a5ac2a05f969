/** A child process that plays the seeds it is given. */
import { planOf } from "../plans/plan-of.js";
import { simulate } from "../simulate.js";

/** Seeds to play. */
export interface ToChild {
  readonly first: number;
  readonly count: number;
  readonly without: readonly string[];
  readonly lane: boolean;
}

/** What came of them. */
export interface FromChild {
  readonly count: number;
  readonly failures: readonly { readonly seed: number; readonly invariant: string }[];
}

process.on("message", (batch: ToChild) => void play(batch));

async function play({ first, count, without, lane }: ToChild): Promise<void> {
  const failures: { seed: number; invariant: string }[] = [];
  const leftOut = new Set(without);
  for (let seed = first; seed < first + count; seed += 1) {
    const { violations } = await simulate(planOf(seed, { without: leftOut, lane }));
    for (const invariant of new Set(violations.map((each) => each.invariant))) failures.push({ seed, invariant });
  }
  process.send?.({ count, failures } satisfies FromChild);
}
