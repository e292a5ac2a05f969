/**
 * Runs the fault suite and prints a table: id, fault, outcome, invariants, time.
 *
 * `npm run test:faults -- [--quick] [--only F01,F27] [--write docs/faults.md]`;
 * exits with 1 when a row fails. With --write the table goes into the document
 * too, when every row is well.
 */
import { parseArgs } from "node:util";
import { writeBlock } from "./doc-block.js";
import { cleanUpNow, ownOwner } from "./rig/owner.js";
import { brokersOf, runScenario, type Scenario, titleOf } from "./rig/scenario.js";
import { SCENARIOS } from "./scenarios.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    write: { type: "string" },
  },
});
/** The rows so far, as the document has them. */
const rows = ["| fault | what came of it | invariants checked | time |", "| --- | --- | --- | --- |"];
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
  const cells = [title, outcome, checked, time].map((cell) => cell.replace(/\s+/g, " ").replace(/\|/g, "\\|"));
  rows.push(`| ${cells.join(" | ")} |`);
  console.log(`| ${[verdict, ...cells].join(" | ")} |`);
}

async function main(): Promise<number> {
  const begunAt = performance.now();
  const chosen = SCENARIOS.filter(({ id }) => only.size === 0 || only.has(id));
  let failed = 0;
  console.log("| verdict | fault | outcome | invariants checked | time |\n|---|---|---|---|---|");
  for (const scenario of chosen) {
    for (const brokers of brokersOf(scenario, values.quick)) if (!(await runRow(scenario, brokers))) failed += 1;
  }
  if (values.write !== undefined && failed === 0) await writeBlock(values.write, "rows", rows.join("\n"));
  console.log(`\n${failed} failed, ${((performance.now() - begunAt) / 1_000).toFixed(0)} s`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
}

process.exitCode = await main();
