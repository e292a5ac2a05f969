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
const VALUES = ["insecure", "everything"];
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
  readonly metadata: { readonly name: string };
  readonly spec: unknown;
}

function helm(t: TestContext, ...args: string[]): Promise<Exit> {
  return run(t, toolPath("helm"), ["template", "mesh", CHART, "--kube-version", "1.34.0", ...args]);
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
