/** What a run gave, together with what earlier ones did. Pure. */
import type { RowResult } from "../figures/comparison.js";
import type { Machine } from "../figures/machine.js";

/** Everything that a run gave. */
export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly rows: readonly RowResult[];
}

/** A run together with the rows of earlier ones that it did not measure. */
export function withEarlier(run: Results, earlier: Results | undefined): Results {
  if (earlier === undefined) return run;
  const { machine, rounds, rows } = earlier;
  const { date, loadBefore, processor } = machine;
  const measured = { date, rounds, loadBefore, processor };
  const kept = rows.filter(({ row }) => !run.rows.some((each) => each.row === row));
  const all = [...run.rows, ...kept.map((row) => ({ measured, ...row }))];
  return { ...run, rows: all.sort((a, b) => a.row - b.row) };
}
