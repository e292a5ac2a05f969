/** Jobs as spans and metrics of OpenTelemetry: the real SDK sends them by OTLP to a receiver. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { context, metrics, propagation, type Span, trace } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { Client, Manager } from "../../../index.js";
import { encodeJobHeaders } from "../../../mesh/wire/headers.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { programFile } from "../../support/program-file.js";
import { OtlpReceiver, type ReceivedSpan } from "../../support/trace/otlp-receiver.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const receiver = new OtlpReceiver();
await receiver.start();
cleanUp(WHOLE_FILE, () => receiver.stop());
const processor = new BatchSpanProcessor(new OTLPTraceExporter({ url: `${receiver.url}/v1/traces` }));
const tracers = new NodeTracerProvider({ spanProcessors: [processor] });
tracers.register();
const reader = new PeriodicExportingMetricReader({
  exporter: new OTLPMetricExporter({ url: `${receiver.url}/v1/metrics` }),
  exportIntervalMillis: 3_600_000,
});
const meters = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(meters);
cleanUp(WHOLE_FILE, async () => {
  await Promise.all([tracers.shutdown(), meters.shutdown()]);
  for (const api of [trace, metrics, context, propagation]) api.disable();
});

const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
const handlerFile = programFile("../../support/handlers/traced", import.meta.url);
const ISOLATIONS = ["inline", "thread", "process"] as const;
for (const isolation of ISOLATIONS) {
  await mesh.addWorker({ pool: isolation, id: `w-${isolation}`, slots: 2, handlerFile, isolation });
  await mesh.untilCapacity(isolation, 2);
}

interface Seen {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly traceparent?: string;
}

/** The spans of one job, once all of them were received. */
async function spansOf(job: string): Promise<Record<"submit" | "dispatch" | "run", ReceivedSpan>> {
  await eventually(async () => {
    await tracers.forceFlush();
    return receiver.find("run", job) !== undefined && receiver.find("dispatch", job) !== undefined;
  });
  const [submit, dispatch, run] = ["submit", "dispatch", "run"].map((operation) => receiver.find(operation, job));
  return { submit: submit as ReceivedSpan, dispatch: dispatch as ReceivedSpan, run: run as ReceivedSpan };
}

function withRoot<T>(name: string, work: (root: Span) => Promise<T>): Promise<T> {
  return trace.getTracer("test").startActiveSpan(name, async (root) => work(root).finally(() => root.end()));
}

for (const isolation of ISOLATIONS) {
  test(`one trace leads from the caller's span by submit and dispatch to run, which is active in the handler: ${isolation}`, async (t) => {
    const client = await Client.connect({ pool: isolation, servers: mesh.natsUrl });
    t.after(() => client.close());
    const id = `traced-${isolation}`;
    const [seen, root] = await withRoot("checkout", async (span) => {
      const result = await client.submit(JSON.stringify("good"), { id });
      return [result.json<Seen>(), span.spanContext()] as const;
    });
    const { submit, dispatch, run } = await spansOf(id);
    for (const span of [submit, dispatch, run]) assert.equal(span.traceId, root.traceId, span.name);
    assert.equal(submit.parentSpanId, root.spanId);
    assert.equal(dispatch.parentSpanId, submit.spanId);
    assert.equal(run.parentSpanId, dispatch.spanId);
    assert.deepEqual(run.links, [dispatch.spanId]);
    assert.deepEqual([submit.kind, dispatch.kind, run.kind], [4, 1, 5], "producer, internal, consumer");
    assert.deepEqual([seen.traceId, seen.spanId], [root.traceId, run.spanId], "active after an await");
    assert.equal(seen.traceparent, `00-${root.traceId}-${run.spanId}-01`);
    for (const [operation, span] of Object.entries({ submit, dispatch, run })) {
      const { attributes } = span;
      assert.equal(span.name, `${operation} ${isolation}`);
      assert.equal(attributes["messaging.system"], "poolmesh");
      assert.equal(attributes["messaging.operation.name"], operation);
      assert.equal(attributes["messaging.destination.name"], isolation);
      assert.equal(attributes["messaging.message.body.size"], 6);
    }
    assert.equal(run.attributes["poolmesh.worker"], `w-${isolation}`);
  });
}

test("a failed job is an error in all three spans, with its reason", async (t) => {
  const client = await Client.connect({ pool: "inline", servers: mesh.natsUrl });
  t.after(() => client.close());
  await assert.rejects(client.submit(JSON.stringify("bad"), { id: "traced-bad" }), { reason: "job_failed" });
  for (const span of Object.values(await spansOf("traced-bad"))) {
    assert.deepEqual([span.status, span.attributes["error.type"]], [2, "job_failed"], span.name);
  }
});

test("the dispatch span has an event for what happens to its job: offered, parked, assigned, accepted", async (t) => {
  const manager = await Manager.connect({ pool: "slow", servers: mesh.natsUrl, graceMs: 0 });
  t.after(() => manager.close());
  let finish = (): void => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await mesh.addWorker({ pool: "slow", id: "w-slow", run: () => held }, t);
  await eventually(() => manager.capacity.slots === 1);
  // Ids that nobody chose: another manager may own one that was.
  const first = manager.submit("1");
  await eventually(() => manager.capacity.busy === 1);
  const second = manager.submit("2");
  await eventually(() => manager.capacity.parked === 1);
  finish();
  const [one, two] = await Promise.all([first, second]);
  const events = (await spansOf(one.id)).dispatch.events;
  assert.deepEqual([events[0], events.includes("accepted")], ["offered", true], events.join());
  const { submit, dispatch } = await spansOf(two.id);
  const [parkedAt, assignedAt] = ["parked", "assigned"].map((word) => dispatch.events.indexOf(word)) as [
    number,
    number,
  ];
  assert.ok(parkedAt >= 0 && assignedAt > parkedAt, dispatch.events.join());
  assert.equal(dispatch.parentSpanId, submit.spanId, "an embedded manager makes both");
});

test("a bare client's traceparent goes on: over NATS, over HTTP in its header, and in the request", async (t) => {
  const bus = await connectBus(t, mesh.broker);
  const parent = (n: number) => [`${n}`.repeat(32), `${n}`.repeat(16)] as const;
  const post = (headers: Record<string, string>, body: object) =>
    fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ pool: "inline", json: "good", ...body }),
    }).then((answer) => answer.json() as Promise<{ json: Seen }>);
  const of = (n: number): string => `00-${parent(n)[0]}-${parent(n)[1]}-01`;
  const ways: ((n: number, jobId: string) => Promise<unknown>)[] = [
    (n, jobId) =>
      bus.nc.request("pool.inline.submit", '"good"', {
        timeout: 20_000,
        headers: encodeJobHeaders({ jobId, traceparent: of(n) }),
      }),
    (n, jobId) => post({ traceparent: of(n) }, { jobId }),
    (n, jobId) => post({}, { jobId, traceparent: of(n) }),
    (n, jobId) => post({ traceparent: of(9) }, { jobId, traceparent: of(n) }),
    (n, jobId) => post({ traceparent: "garbage" }, { jobId, traceparent: of(n) }),
  ];
  for (const [i, way] of ways.entries()) {
    await way(i + 1, `bare-${i}`);
    const { dispatch, run } = await spansOf(`bare-${i}`);
    assert.deepEqual([dispatch.traceId, dispatch.parentSpanId], parent(i + 1), String(i));
    assert.deepEqual([run.traceId, run.parentSpanId], [dispatch.traceId, dispatch.spanId]);
  }
});

test("durations of waiting and running are histograms by pool and outcome, in seconds", async () => {
  await meters.forceFlush();
  const found = [...receiver.points.values()].filter(({ attributes }) => attributes["poolmesh.pool"] === "inline");
  for (const name of ["poolmesh.job.wait.duration", "poolmesh.job.run.duration", "poolmesh.job.duration"]) {
    const ok = found.find((each) => each.name === name && each.attributes["poolmesh.outcome"] === "ok");
    const failed = found.find((each) => each.name === name && each.attributes["poolmesh.outcome"] === "job_failed");
    assert.deepEqual([ok?.unit, failed?.count], ["s", 1], name);
    assert.ok((ok?.count ?? 0) >= 6, `${name} ${ok?.count}`);
    assert.equal(ok?.bounds[0], 0.001);
  }
});

test("a scraper that accepts OpenMetrics sees the trace of a job beside its bucket, and another gets the same figures", async () => {
  const client = await Client.connect({ pool: "inline", servers: mesh.natsUrl });
  await client.submit(JSON.stringify("good"), { id: "traced-exemplar" }).finally(() => client.close());
  const { dispatch } = await spansOf("traced-exemplar");
  const scrape = async (accept: string): Promise<string> =>
    (await fetch(`${mesh.manager.url}/metrics`, { headers: { accept } })).text();
  const open = await scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
  for (const kind of ["wait", "run", "total"]) {
    const series = `poolmesh_manager_job_${kind}_seconds_bucket{pool="inline",outcome="ok",le="`;
    const named = open.split("\n").filter((line) => line.includes(`# {trace_id="${dispatch.traceId}"}`));
    assert.equal(named.filter((line) => line.startsWith(series)).length, 1, `${kind}\n${open}`);
  }
  assert.match(open, /^# TYPE poolmesh_manager_jobs_submitted counter$/m);
  assert.ok(open.endsWith("\n# EOF\n"));
  const plain = await scrape("text/plain");
  assert.doesNotMatch(plain, /trace_id|# EOF/);
  assert.match(plain, /^# TYPE poolmesh_manager_jobs_submitted_total counter$/m);
});
