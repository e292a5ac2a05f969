/** The alert rules are right to Prometheus's own tool, and fire when they should. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RULE_TESTS_FILE, RULES_FILE } from "../../support/deploy/monitoring.js";
import { leakGuard } from "../../support/leak-guard.js";
import { run } from "../../support/process.js";
import { toolPath, without } from "../../support/tools.js";

leakGuard();

test("promtool takes the rules, and every alert fires on its series and stays silent before", {
  skip: without("promtool"),
}, async (t) => {
  for (const args of [
    ["check", "config", "deploy/prometheus/prometheus.yml"],
    ["check", "rules", RULES_FILE],
    ["test", "rules", RULE_TESTS_FILE],
  ]) {
    const { code, stdout, stderr } = await run(t, toolPath("promtool"), args);
    assert.equal(code, 0, stdout + stderr);
  }
});
