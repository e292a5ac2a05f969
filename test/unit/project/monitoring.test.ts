/** The dashboard can be shown, and every alert has its severity, its texts and a test that makes it fire. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { alerts, dashboard, type Panel, RULE_TESTS_FILE } from "../../support/deploy/monitoring.js";

const GRID_WIDTH = 24;
const { panels, templating } = dashboard();
const charts = panels.filter(({ type }) => type !== "row");

test("the dashboard's panels have a place of their own, an id, a unit, a description and the chosen data source", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, "ids differ");
  for (const [index, panel] of panels.entries()) {
    assert.ok(panel.gridPos.x + panel.gridPos.w <= GRID_WIDTH, panel.title);
    for (const other of panels.slice(0, index)) assert.ok(!overlap(panel, other), `${panel.title} on ${other.title}`);
  }
  for (const { title, description, fieldConfig, targets = [] } of charts) {
    assert.ok(description?.endsWith("."), title);
    assert.ok(fieldConfig?.defaults.unit, title);
    assert.ok(targets.length > 0, title);
    for (const { datasource } of targets) assert.deepEqual(datasource, { type: "prometheus", uid: `\${datasource}` });
  }
});

test("a panel uses no variable that the dashboard does not have", () => {
  const known = new Set([...templating.list.map(({ name }) => name), "__rate_interval", "__all"]);
  for (const [, name = ""] of JSON.stringify(dashboard()).matchAll(/\$\{?(\w+)/g)) assert.ok(known.has(name), name);
});

test("every alert has a severity, a summary and a description, and a name of its own", () => {
  assert.equal(new Set(alerts().map(({ alert }) => alert)).size, alerts().length);
  for (const { alert, labels, annotations } of alerts()) {
    assert.match(alert, /^Poolmesh[A-Z]/);
    assert.match(labels.severity, /^(warning|critical)$/, alert);
    assert.ok(annotations.summary && annotations.description, alert);
  }
});

test("docs/operations.md says of every alert what it means and what to do, and of no other", () => {
  const rows = [...readFileSync("docs/operations.md", "utf8").matchAll(/^\| `(Poolmesh\w+)` \| [^|]+ \| [^|]+ \|$/gm)];
  assert.deepEqual(
    rows.map(([, name]) => name),
    alerts().map(({ alert }) => alert),
  );
});

test("every alert has a test of the rules in which it fires", () => {
  const { tests } = parse(readFileSync(RULE_TESTS_FILE, "utf8")) as { tests: RuleTest[] };
  const fired = tests.flatMap(({ alert_rule_test }) =>
    alert_rule_test.flatMap(({ alertname, exp_alerts }) => (exp_alerts.length > 0 ? [alertname] : [])),
  );
  assert.deepEqual(
    alerts().flatMap(({ alert }) => (fired.includes(alert) ? [] : [alert])),
    [],
  );
});

interface RuleTest {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
