/** The command line of the benchmark. Pure. */
import { parseArgs } from "node:util";
import type { Extent } from "./run.js";

/** What was asked for. */
export interface Arguments extends Extent {
  /** Numbers of the rows; empty for all. */
  readonly rows: readonly number[];
  /** Whether docs and results are written. */
  readonly write: boolean;
}

const DEFAULT_ROUNDS = 5;

export const HELP = `Measures Poolmesh beside its peers, in one run on this machine.

Usage: npm run bench -- [options]

  --rows N,…      only these rows; nothing is written then
  --update        with --rows: writes these rows in the place of their last ones
  --rounds N      rounds of each comparison; default ${DEFAULT_ROUNDS}
  --quick         some seconds: shows that every arm works, the figures mean nothing
  --no-write      leave docs/benchmarks.md, its charts, bench/results and the README as they are
  -h, --help      this

Rows: 1 throughput, 2 latency, 3 waiting, 4 Connect and gRPC, 5 freshness of the meter, 6 death and cancel, 7 cost,
8 computing, 9 many jobs in one go, 10 wakes, 11 stored jobs. All of them take about an hour, and a machine that does nothing else.`;

/**
 * @param rowCount how many rows there are
 * @throws Error that says what is wrong
 */
export function readArguments(args: readonly string[], rowCount: number): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: "string", default: "" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      "no-write": { type: "boolean", default: false },
      update: { type: "boolean", default: false },
    },
  });
  const rows = values.rows === "" ? [] : values.rows.split(",").map((text) => wholeNumber("--rows", text, rowCount));
  const rounds = values.rounds === undefined ? undefined : wholeNumber("--rounds", values.rounds);
  return {
    rows,
    rounds: rounds ?? (values.quick ? 1 : DEFAULT_ROUNDS),
    quick: values.quick,
    // figures of one row that stand beside each other come from one run
    write: !values.quick && !values["no-write"] && (rows.length === 0 || values.update),
  };
}

function wholeNumber(flag: string, text: string, most = 1_000): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${flag}: use whole numbers from 1 to ${most}, not "${text}"`);
}
