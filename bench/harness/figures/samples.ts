/** Collects what each round measures, arm by arm and condition by condition. */
import type { Series } from "./comparison.js";
import { figure } from "./stats.js";

export class Samples {
  readonly #rounds = new Map<string, number[]>();

  add(arm: string, condition: string, value: number): void {
    const key = keyOf(arm, condition);
    const rounds = this.#rounds.get(key) ?? [];
    rounds.push(value);
    this.#rounds.set(key, rounds);
  }

  /** The series of these arms, null where nothing was measured; an arm that was not measured at all is left out. */
  series(arms: readonly string[], conditions: readonly string[]): Series[] {
    const all = arms.map((arm) => ({
      arm,
      figures: conditions.map((condition) => {
        const rounds = this.#rounds.get(keyOf(arm, condition));
        return rounds === undefined ? null : figure(rounds);
      }),
    }));
    return all.filter(({ figures }) => figures.some((each) => each !== null));
  }
}

function keyOf(arm: string, condition: string): string {
  return `${arm}\n${condition}`;
}
