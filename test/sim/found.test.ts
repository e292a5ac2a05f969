/** What the simulator has found: each plan that is kept shows what it says, until it is mended. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { invariants } from "./invariants/invariants.js";
import { knownInvariants, knownKinds } from "./known-kinds.js";
import type { Plan } from "./plan.js";
import { faultKinds } from "./plans/fault-kinds.js";
import { type FoundPlan, foundPlans } from "./plans/found-plans.js";
import { violationText } from "./report.js";
import { simulate } from "./simulate.js";

/** How many courses of chance a found plan is played with. */
const COURSES = 12;

const found = foundPlans();

for (const [name, each] of found) {
  if (each.mended) test(`found and mended - ${name} does not happen any more`, () => expectPass(each));
  else test(`found - ${each.claim}`, () => expectViolation(each));
}

test("what the default run leaves out has a found plan that is not mended", () => {
  const names = new Set([...faultKinds.map(({ kind }) => kind), ...invariants.map(({ name }) => name)]);
  for (const known of knownKinds) {
    const leftOut = "fault" in known ? known.fault : known.invariant;
    assert.ok(names.has(leftOut), `there is no ${leftOut}`);
    assert.equal(found.get(known.found)?.mended, false, `found/${known.found}.json, which keeps ${leftOut} out`);
  }
});

test("every found plan that is not mended keeps something out of the default run", () => {
  const keeping = new Set(knownKinds.map((each) => each.found));
  const idle = [...found].filter(([name, { mended }]) => !mended && !keeping.has(name)).map(([name]) => name);
  assert.deepEqual(idle, []);
});

/**
 * The plan still fails as its file says, with one of several courses of chance:
 * a change elsewhere may shift which one. When this fails, the product is
 * mended: say so in the file.
 */
async function expectViolation({ plan, invariant }: FoundPlan): Promise<void> {
  assert.ok(
    invariants.some(({ name }) => name === invariant),
    `there is no invariant ${invariant}`,
  );
  for (const each of withOtherChance(plan)) {
    const { violations } = await simulate(each);
    if (violations.some((violation) => violation.invariant === invariant)) return;
  }
  assert.fail(`${invariant} holds now: set "mended" to true, and take its kind from known-kinds.ts`);
}

/** The plan passes, every invariant of it, whatever chance does. */
async function expectPass({ plan }: FoundPlan): Promise<void> {
  for (const each of withOtherChance(plan)) {
    const run = await simulate(each);
    const unchecked = new Set(knownInvariants());
    const violations = run.violations.filter(({ invariant }) => !unchecked.has(invariant));
    assert.equal(violationText({ ...run, violations }), "", `with the seed ${each.seed}`);
  }
}

/** The same steps; the seed of a plan decides what the network draws while it is played. */
function withOtherChance(plan: Plan): Plan[] {
  return Array.from({ length: COURSES }, (_, i) => ({ ...plan, seed: plan.seed + i }));
}

test("docs/simulation.md names every invariant with its promise", () => {
  const text = readFileSync(new URL("../../docs/simulation.md", import.meta.url), "utf8");
  for (const { name, promise } of invariants)
    assert.ok(text.includes(`| \`${name}\` | ${promise} |`), `${name}: ${promise}`);
});
