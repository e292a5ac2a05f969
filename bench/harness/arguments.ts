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

/** @throws Error that says what is wrong */
export function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: "string", default: "" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      "no-write": { type: "boolean", default: false },
    },
  });
  const rows = values.rows === "" ? [] : values.rows.split(",").map((text) => wholeNumber("--rows", text));
  const rounds = values.rounds === undefined ? undefined : wholeNumber("--rounds", values.rounds);
  return {
    rows,
    rounds: rounds ?? (values.quick ? 1 : DEFAULT_ROUNDS),
    quick: values.quick,
    write: !values.quick && !values["no-write"],
  };
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${flag}: use whole numbers from 1, not "${text}"`);
  return value;
}
