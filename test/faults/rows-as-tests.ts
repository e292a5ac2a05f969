/**
 * Rows of the fault suite as tests, with small loads.
 *
 * FAULTS=full runs the full loads; `npm run test:faults` prints the table instead.
 */
import { test } from "node:test";
import { brokersOf, runScenario, type Scenario, titleOf } from "./rig/scenario.js";
import { SCENARIOS } from "./scenarios.js";

/** Declares one test for each of these rows and each number of brokers it runs on. */
export function rowsAsTests(belongs: (scenario: Scenario) => boolean): void {
  const quick = process.env.FAULTS !== "full";
  for (const scenario of SCENARIOS.filter(belongs)) {
    for (const brokers of brokersOf(scenario, quick)) {
      test(titleOf(scenario, brokers), { timeout: 180_000 }, async (t) => {
        const { outcome } = await runScenario(scenario, { owner: t, brokers, quick });
        t.diagnostic(outcome);
      });
    }
  }
}
