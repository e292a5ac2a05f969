/**
 * The fault suite as tests: one for each row, with small loads.
 *
 * FAULTS=full runs the full loads; `npm run test:faults` prints the table instead.
 */
import { test } from "node:test";
import { leakGuard } from "../support/leak-guard.js";
import { runScenario, titleOf } from "./scenario.js";
import { SCENARIOS } from "./scenarios.js";

leakGuard();

for (const scenario of SCENARIOS) {
  for (const brokers of scenario.brokers) {
    test(titleOf(scenario, brokers), { timeout: 180_000 }, async (t) => {
      const { outcome } = await runScenario(scenario, { owner: t, brokers, quick: process.env.FAULTS !== "full" });
      t.diagnostic(outcome);
    });
  }
}
