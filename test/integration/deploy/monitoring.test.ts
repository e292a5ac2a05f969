/** Dashboard and alerts ask for what manager and meter really have: each metric, label and value, as scraped from a mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { CATALOGUE, PermanentError } from "../../../mesh/errors.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { alerts, dashboard, samplesOf } from "../../support/deploy/monitoring.js";
import { readQuery } from "../../support/deploy/promql.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const POOL = "watched";
/** Labels that Prometheus itself adds. */
const OF_PROMETHEUS = ["job", "instance", "namespace"];

const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true, pools: [POOL] } });
const labels = await scrapeAll();

test("every metric that a panel or an alert asks for is scraped, with the labels that it matches and groups by", () => {
  for (const { place, expr } of everyQuery()) {
    const { selectors, groupings } = readQuery(expr);
    assert.ok(selectors.length > 0, `${place} asks for a metric`);
    for (const { metric, matched } of selectors) {
      for (const label of matched.keys()) assert.ok(hasLabel(metric, label), `${place}: ${metric} has no ${label}`);
      assert.ok(metric === "up" || labels.has(metric), `${place}: there is no ${metric}`);
    }
    for (const grouping of groupings) {
      for (const metric of grouping.metrics) {
        for (const label of grouping.labels) assert.ok(hasLabel(metric, label), `${place}: ${metric} has no ${label}`);
      }
    }
  }
});

test("every value that a panel or an alert compares a label with is one that the label takes", () => {
  const outcomes = new Set<string>(["ok", ...Object.keys(CATALOGUE)]);
  for (const { place, expr } of everyQuery()) {
    for (const { metric, matched } of readQuery(expr).selectors) {
      for (const [label, value] of matched) {
        if (value === undefined || OF_PROMETHEUS.includes(label)) continue;
        const isKnown = labels.get(metric)?.get(label)?.has(value) || (label === "outcome" && outcomes.has(value));
        assert.ok(isKnown, `${place}: ${metric} has no ${label}="${value}"`);
      }
    }
  }
  for (const [, pattern = ""] of JSON.stringify(alerts()).matchAll(/outcome=~\\"([^"]*)\\"/g)) {
    for (const reason of pattern.split("|")) assert.ok(outcomes.has(reason), reason);
  }
});

test("every metric of manager and meter is on the dashboard", () => {
  const shown = new Set(
    dashboardQueries().flatMap(({ expr }) => readQuery(expr).selectors.map(({ metric }) => metric)),
  );
  assert.deepEqual(
    [...labels.keys()].filter((name) => !shown.has(name) && name !== "process_start_time_seconds"),
    [],
  );
});

test("what a legend or an alert's text names is a label of its result", () => {
  for (const { place, expr, texts } of everyQuery()) {
    const { selectors, groupings } = readQuery(expr);
    const grouped = new Set(groupings.flatMap((grouping) => grouping.labels));
    const has = (label: string): boolean =>
      grouped.size > 0 ? grouped.has(label) : selectors.every(({ metric }) => hasLabel(metric, label));
    for (const [, label = ""] of texts.join(" ").matchAll(/\{\{\s*(?:\$labels\.)?([a-z]\w*)\s*\}\}/g)) {
      assert.ok(has(label), `${place}: no ${label}`);
    }
  }
});

interface Asked {
  readonly place: string;
  readonly expr: string;
  /** Texts that name labels of the result. */
  readonly texts: readonly string[];
}

function dashboardQueries(): Asked[] {
  return dashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ place: `panel ${title}`, expr, texts: [legendFormat] })),
  );
}

function everyQuery(): Asked[] {
  const ofAlerts = alerts().map(({ alert, expr, annotations }) => ({
    place: `alert ${alert}`,
    expr,
    texts: Object.values(annotations),
  }));
  return [...dashboardQueries(), ...ofAlerts];
}

function hasLabel(metric: string, label: string): boolean {
  return OF_PROMETHEUS.includes(label) || labels.get(metric)?.has(label) === true;
}

/** Lets everything happen that a metric tells of, and scrapes: metric → label → values. */
async function scrapeAll(): Promise<Map<string, Map<string, Set<string>>>> {
  const run = ({ payload }: { payload: unknown }): unknown => {
    if (payload === "rejected") throw new PermanentError("never");
    return payload;
  };
  await mesh.addWorker({ pool: POOL, slots: 2, run });
  await mesh.untilCapacity(POOL, 2);
  const client = await Client.connect(POOL, { servers: mesh.natsUrl });
  cleanUp(WHOLE_FILE, () => client.close());
  await (await client.enqueue('"ok"')).result({ timeoutMs: 10_000 });
  await client.enqueue('"rejected"');
  const bus = await connectBus(WHOLE_FILE, mesh.broker);
  const stream = JSON.stringify({ name: "COVERS", subjects: ["pool.*.job"], storage: "memory" });
  await bus.nc.request("$JS.API.STREAM.CREATE.COVERS", stream, { timeout: 5_000 });
  return eventually(async () => {
    await client.submit('"ok"');
    const found = tableOf((await Promise.all([scrape(mesh.manager.url), scrape(mesh.meter.url)])).join("\n"));
    const isWhole = found.has("poolmesh_manager_covering_stream") && found.has("poolmesh_meter_probes_total");
    return isWhole && found.has("poolmesh_manager_durable_oldest_job_seconds") ? found : undefined;
  });
}

function tableOf(text: string): Map<string, Map<string, Set<string>>> {
  const table = new Map<string, Map<string, Set<string>>>();
  for (const sample of samplesOf(text)) {
    const ofMetric = table.get(sample.name) ?? new Map<string, Set<string>>();
    table.set(sample.name, ofMetric);
    for (const [label, value] of Object.entries(sample.labels)) {
      ofMetric.set(label, (ofMetric.get(label) ?? new Set()).add(value));
    }
  }
  return table;
}

async function scrape(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}
