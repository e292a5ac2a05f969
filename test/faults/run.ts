/**
 * Runs the fault suite and prints a table: id, fault, outcome, invariants, time.
 *
 * `node --import tsx test/faults/run.ts [--quick] [--only F01,F27]`; exits with 1
 * when a row fails.
 */
import { parseArgs } from "node:util";
import { cleanUpNow, ownOwner } from "./owner.js";
import { runScenario, type Scenario, titleOf } from "./scenario.js";
import { SCENARIOS } from "./scenarios.js";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, only: { type: "string", default: "" } },
});
const only = new Set(values.only.split(",").filter((id) => id !== ""));

async function runRow(scenario: Scenario, brokers: 0 | 1 | 3): Promise<boolean> {
  const owner = ownOwner();
  try {
    const { outcome, checked, elapsedMs } = await runScenario(scenario, { owner, brokers, quick: values.quick });
    print("ok", titleOf(scenario, brokers), outcome, checked.join(" "), elapsedMs);
    return true;
  } catch (error) {
    print("FAILED", titleOf(scenario, brokers), error instanceof Error ? error.message : String(error), "", 0);
    return false;
  } finally {
    await cleanUpNow(owner);
  }
}

function print(verdict: string, title: string, outcome: string, checked: string, elapsedMs: number): void {
  const time = elapsedMs === 0 ? "" : `${(elapsedMs / 1_000).toFixed(1)} s`;
  console.log(`| ${[verdict, title, outcome, checked, time].join(" | ")} |`);
}

async function main(): Promise<number> {
  const begunAt = performance.now();
  const chosen = SCENARIOS.filter(({ id }) => only.size === 0 || only.has(id));
  let failed = 0;
  console.log("| verdict | fault | outcome | invariants checked | time |\n|---|---|---|---|---|");
  for (const scenario of chosen) {
    for (const brokers of scenario.brokers) if (!(await runRow(scenario, brokers))) failed += 1;
  }
  console.log(`\n${failed} failed, ${((performance.now() - begunAt) / 1_000).toFixed(0)} s`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
}

process.exitCode = await main();
