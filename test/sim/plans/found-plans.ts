/**
 * Plans that once failed, kept as files in found/.
 *
 * One that is not mended has to fail still, so that the file is known to show
 * what it says; one that is mended has to pass.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plan } from "../plan.js";

/** A plan that is kept. */
export interface FoundPlan {
  /** What goes wrong, or went wrong, in one sentence. */
  readonly claim: string;
  /** The invariant that does not hold, or did not. */
  readonly invariant: string;
  readonly mended: boolean;
  /** The seed of the plan before it was shrunk. */
  readonly seed: number;
  readonly plan: Plan;
}

const FOLDER = fileURLToPath(new URL("../found/", import.meta.url));
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** All that are kept, by their names. */
export function foundPlans(): Map<string, FoundPlan> {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(".json"));
  return new Map(files.sort().map((file) => [file.replace(/\.json$/, ""), readFound(file)]));
}

/** Keeps one; its name is a claim in words joined by hyphens. @throws Error for another name */
export function keepFound(name: string, found: FoundPlan): void {
  if (!NAME.test(name)) throw new Error(`a name is words joined by hyphens, not ${JSON.stringify(name)}`);
  writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify(found, undefined, 2)}\n`);
}

function readFound(file: string): FoundPlan {
  return JSON.parse(readFileSync(FOLDER + file, "utf8")) as FoundPlan;
}
