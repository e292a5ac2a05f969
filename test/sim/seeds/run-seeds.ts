/** Plays many seeds in child processes, one for each core. */
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { loaderOf, programFile } from "../../support/program-file.js";
import type { FromChild, ToChild } from "./seed-child.js";

/** Which seeds, and which plans they give. */
export interface SeedRange {
  readonly first: number;
  readonly count: number;
  /** No seed begins after this, milliseconds since the epoch. */
  readonly untilMs?: number | undefined;
  /** Kinds of faults that no plan has. */
  readonly without: readonly string[];
  /** Invariants that are not checked. */
  readonly unchecked: readonly string[];
  /** Plans of the durable lane; default false. */
  readonly lane?: boolean;
}

/** What came of it. */
export interface SeedSummary {
  readonly seeds: number;
  readonly tookMs: number;
  readonly perSecond: number;
  /** Seeds by the invariant that did not hold, in their order. */
  readonly failures: ReadonlyMap<string, readonly number[]>;
}

const CHILD = programFile("./seed-child", import.meta.url);
const MOST_CHILDREN = 2;
/** Seeds that a child gets at once. */
const BATCH = 25;

/** Plays them. Rejects when a child fails, with the seed at which it was. */
export async function runSeeds(range: SeedRange): Promise<SeedSummary> {
  const beganAtMs = performance.now();
  const failures = new Map<string, number[]>();
  let next = range.first;
  let seeds = 0;
  const end = range.first + range.count;
  const take = (): ToChild | undefined => {
    if (next >= end || (range.untilMs !== undefined && Date.now() >= range.untilMs)) return undefined;
    const first = next;
    next = Math.min(end, next + BATCH);
    return { first, count: next - first, without: range.without, lane: range.lane ?? false };
  };
  const isChecked = ({ invariant }: { readonly invariant: string }): boolean => !range.unchecked.includes(invariant);
  const onDone = (done: FromChild): void => {
    seeds += done.count;
    for (const { seed, invariant } of done.failures.filter(isChecked))
      failures.set(invariant, [...(failures.get(invariant) ?? []), seed]);
  };
  const children = Math.min(MOST_CHILDREN, availableParallelism());
  await Promise.all(Array.from({ length: children }, () => serveChild(take, onDone)));
  const tookMs = performance.now() - beganAtMs;
  for (const each of failures.values()) each.sort((a, b) => a - b);
  const sorted = new Map([...failures].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { seeds, tookMs, perSecond: (1_000 * seeds) / tookMs, failures: sorted };
}

/** Gives a child one batch after another, until there is none. */
function serveChild(take: () => ToChild | undefined, onDone: (done: FromChild) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let batch = take();
    if (batch === undefined) return resolve();
    const child = fork(CHILD, { execArgv: ["--max-semi-space-size=64", ...loaderOf(CHILD)] });
    child.on("message", (message: FromChild) => {
      onDone(message);
      batch = take();
      if (batch === undefined) child.disconnect();
      else child.send(batch);
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0 && batch === undefined) resolve();
      else reject(new Error(`a child that played seeds from ${batch?.first} ended with ${code}`));
    });
    child.send(batch);
  });
}
