/** What Helm makes of the chart: services that start, that have time to drain, and that are not open by accident. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { alerts } from "../../support/deploy/monitoring.js";
import { requireStart } from "../../support/deploy/program-config.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Exit, run } from "../../support/process.js";
import { toolPath, unlessFound } from "../../support/tools.js";

leakGuard();
const CHART = "deploy/helm/poolmesh";
const VALUES = ["insecure", "everything", "odd"];
const skip = unlessFound("helm");

for (const values of VALUES) {
  test(`${values}: every program takes its arguments and environment, and pods have time to drain`, {
    skip,
  }, async (t) => {
    const { pods, documents } = await render(t, "-f", `${CHART}/ci/${values}.yaml`);
    assert.ok(pods.length >= 2);
    for (const { name, spec } of pods) {
      const [container] = spec.containers;
      assert.ok(container, name);
      const env = Object.fromEntries(
        container.env.map(({ name: variable, value }) => [variable, value?.replace(/\$\(\w+\)/, "set") ?? "set"]),
      );
      const isWorker = container.args[0] === "worker";
      const handler: Record<string, string> =
        isWorker && !container.args.includes("--handler") ? { POOLMESH_HANDLER: "h.ts" } : {};
      requireStart({ args: container.args, env: { ...env, ...handler } });
      const drainSeconds = Number(env.POOLMESH_GRACE_MS ?? 0) / 1_000 + (container.lifecycle === undefined ? 0 : 5);
      assert.ok(spec.terminationGracePeriodSeconds > drainSeconds, name);
      // Kubernetes would add variables such as POOLMESH_MANAGER_PORT, which a program does not know and refuses.
      assert.equal(spec.enableServiceLinks, false, name);
    }
    assert.equal(documents.filter(({ kind }) => kind === "PodDisruptionBudget").length, pods.length);
  });
}

test("without a certificate and a policy nothing is rendered, unless it is to be insecure", { skip }, async (t) => {
  const refused = await helm(t);
  assert.match(refused.stderr, /tls\.secret: name a Secret .* or set insecure: true/);
  const half = await helm(t, "--set", "tls.secret=certificate");
  assert.match(half.stderr, /policy\.secret: name a Secret .* or set insecure: true/);
  assert.deepEqual([refused.stdout, half.stdout], ["", ""]);
});

test("meters show the durable lane where managers run it, and only there", { skip }, async (t) => {
  for (const durable of [true, false]) {
    const { pods } = await render(t, "-f", `${CHART}/ci/insecure.yaml`, "--set", `manager.durable=${durable}`);
    const shown = pods.flatMap(({ spec }) => {
      const [container] = spec.containers;
      const variable = container?.env.find(({ name }) => name === "POOLMESH_DURABLE");
      return container?.args[0] === "worker" ? [] : [`${container?.args[0]} ${variable?.value}`];
    });
    const value = durable ? "true" : undefined;
    assert.deepEqual(shown.sort(), [`manager ${value}`, `meter ${value}`]);
  }
});

test("a value that the chart does not have is refused, and so is a worker without an image", { skip }, async (t) => {
  const mistyped = await helm(t, "--set", "insecure=true,manger.replicas=3");
  assert.match(mistyped.stderr, /additional properties 'manger' not allowed/);
  const worker = await helm(t, "--set", "insecure=true,workers.adder.slots=4");
  assert.match(worker.stderr, /missing property 'image'/);
});

test("zero replicas are none, and zero times are zero", { skip }, async (t) => {
  const { documents } = await render(t, "-f", `${CHART}/ci/odd.yaml`);
  const of = (kind: string) => documents.filter((each) => each.kind === kind);
  const replicas = of("Deployment").map(({ metadata, spec }) => [
    metadata.name.replace("mesh-poolmesh-", ""),
    (spec as { replicas?: number }).replicas,
  ]);
  assert.deepEqual(Object.fromEntries(replicas), {
    manager: 0,
    meter: 1,
    "worker-0": 0,
    // KEDA says.
    "worker-a-name-of-22-character": undefined,
  });
  assert.deepEqual(
    of("ScaledObject").map(({ spec }) => (spec as { cooldownPeriod: number }).cooldownPeriod),
    [0],
  );
});

test("every name is one that Kubernetes takes, whatever the release is called", { skip }, async (t) => {
  for (const release of ["mesh", "123", "1e3", "7poolmesh", "my.release", `x${"y".repeat(52)}`]) {
    const { documents } = await render(t, release, "-f", `${CHART}/ci/odd.yaml`);
    for (const { kind, metadata } of documents) {
      assert.match(metadata.name, /^[a-z]([a-z0-9-]{0,61}[a-z0-9])$/, `${release}: ${kind}`);
      assert.deepEqual(
        Object.values(metadata.labels).filter((label) => typeof label !== "string" || label.length > 63),
        [],
        `${release}: ${kind} ${metadata.name}`,
      );
    }
  }
});

test("what the chart sets itself is not set twice, and nobody opens a mesh by an empty list", { skip }, async (t) => {
  const insecure = ["-f", `${CHART}/ci/insecure.yaml`];
  const worker = "workers.adder.image=adder";
  for (const [value, complaint] of [
    ["manager.env.POOLMESH_GRACE_MS=60000", /manager\.env\.POOLMESH_GRACE_MS: the chart sets this variable itself/],
    [`${worker},workers.adder.env.POOLMESH_ID=w1`, /workers\.adder\.env\.POOLMESH_ID: the chart sets/],
    [`${worker},workers.adder.args={--grace-ms,60000}`, /workers\/adder\/args\/0/],
    ["networkPolicy.enabled=true,networkPolicy.from={}", /networkPolicy\/from/],
  ] as const) {
    const refused = await helm(t, ...insecure, "--set", value);
    assert.match(refused.stderr, complaint, value);
  }
});

test("a pod that is not ready holds up no drain, from the Kubernetes on that knows how to say so", {
  skip,
}, async (t) => {
  for (const [version, policy] of [
    ["1.34.0", "AlwaysAllow"],
    ["1.26.0", undefined],
  ] as const) {
    const { documents } = await render(t, "-f", `${CHART}/ci/odd.yaml`, "--kube-version", version);
    const budgets = documents.filter(({ kind }) => kind === "PodDisruptionBudget");
    assert.equal(budgets.length, 4);
    for (const { spec } of budgets) {
      assert.equal((spec as { unhealthyPodEvictionPolicy?: string }).unhealthyPodEvictionPolicy, policy);
    }
  }
});

test("monitors name the jobs that alerts ask for, and the rules are those of deploy/prometheus", {
  skip,
}, async (t) => {
  const { documents } = await render(t, "-f", `${CHART}/ci/everything.yaml`);
  const jobs = documents.flatMap(({ kind, spec }) =>
    kind === "ServiceMonitor" ? (spec as Monitor).endpoints[0]?.relabelings[0]?.replacement : [],
  );
  assert.deepEqual(jobs, ["poolmesh-manager", "poolmesh-meter"]);
  const rule = documents.find(({ kind }) => kind === "PrometheusRule")?.spec as { groups: { rules: unknown[] }[] };
  assert.deepEqual(
    rule.groups.flatMap(({ rules }) => rules),
    alerts(),
  );
});

interface Monitor {
  readonly endpoints: readonly { readonly relabelings: readonly { readonly replacement: string }[] }[];
}

interface Pod {
  readonly enableServiceLinks: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string; readonly value?: string }[];
    readonly lifecycle?: object;
  }[];
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, unknown>> };
  readonly spec: unknown;
}

/** Of a release called "mesh", unless the first argument is the name of another. */
function helm(t: TestContext, ...args: string[]): Promise<Exit> {
  const release = args[0]?.startsWith("-") === false ? args.shift() : "mesh";
  return run(t, toolPath("helm"), ["template", release ?? "mesh", CHART, "--kube-version", "1.34.0", ...args]);
}

async function render(
  t: TestContext,
  ...args: string[]
): Promise<{ documents: Rendered[]; pods: { name: string; spec: Pod }[] }> {
  const { code, stdout, stderr } = await helm(t, ...args);
  assert.equal(code, 0, stderr);
  const documents = parseAllDocuments(stdout).flatMap((each) => (each.toJS() as Rendered | null) ?? []);
  const deployments = documents.filter(({ kind }) => kind === "Deployment");
  const pods = deployments.map(({ metadata, spec }) => ({
    name: metadata.name,
    spec: (spec as { template: { spec: Pod } }).template.spec,
  }));
  return { documents, pods };
}
