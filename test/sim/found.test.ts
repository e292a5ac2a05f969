/** What the simulator has found: each plan that is kept shows what it says, until it is mended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FoundPlan, foundPlans } from "./found-plans.js";
import { invariants } from "./invariants/invariants.js";
import { knownKinds } from "./known-kinds.js";
import { faultKinds } from "./plans/fault-kinds.js";
import { violationText } from "./report.js";
import { simulate } from "./simulate.js";

const found = foundPlans();

for (const [name, each] of found) {
  if (each.mended) test(`found and mended - ${name} does not happen any more`, () => expectPass(each));
  else test(`found - ${each.claim}`, () => expectViolation(each));
}

test("every fault that is left out of the default run has a found plan that is not mended", () => {
  for (const { fault, found: name } of knownKinds) {
    assert.ok(
      faultKinds.some(({ kind }) => kind === fault),
      `there is no fault ${fault}`,
    );
    assert.equal(found.get(name)?.mended, false, `found/${name}.json, which keeps ${fault} out`);
  }
});

/** The plan still fails as its file says. When this fails, the product is mended: say so in the file. */
async function expectViolation({ plan, invariant }: FoundPlan): Promise<void> {
  assert.ok(
    invariants.some(({ name }) => name === invariant),
    `there is no invariant ${invariant}`,
  );
  const run = await simulate(plan);
  const broken = run.violations.map((each) => each.invariant);
  assert.ok(
    broken.includes(invariant),
    `${invariant} holds now: set "mended" to true, and take its kind from known-kinds.ts`,
  );
}

/** The plan passes, every invariant of it. */
async function expectPass({ plan }: FoundPlan): Promise<void> {
  assert.equal(violationText(await simulate(plan)), "");
}
