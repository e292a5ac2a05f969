/** Programs in other languages, and KEDA's scaler, over TLS with a token and with a client certificate. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExternalScaler } from "../../../gen/externalscaler/externalscaler_pb.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { examplePython, goProgram } from "../../support/docs/example-programs.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { run } from "../../support/process.js";
import { toolPath, without } from "../../support/tools.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
const { ca, server, client: pair, folder } = certificates;
const tokenFile = join(folder, "ci.token");
writeFileSync(tokenFile, `${files.token("ci", "submitter", ["adder"])}\n`, { mode: 0o600 });
files.write([{ who: "cert:client", role: "submitter", pools: ["adder"] }]);
const edge = {
  tlsCertFile: server.cert,
  tlsKeyFile: server.key,
  tlsClientCaFile: ca,
  policyFile: files.file,
  controlToken: undefined as unknown as string,
};
const mesh = await startMesh(WHOLE_FILE, { manager: edge, meter: edge });
await mesh.addWorker<number, number>({ pool: "adder", run: ({ payload }) => payload + 1 });

for (const [language, makeArgs] of Object.entries({
  Go: async (flags: string[], pool: string) => [await goProgram(WHOLE_FILE, "submit"), ...flags, pool, "41"],
  Python: async (flags: string[], pool: string) => {
    const dashed = flags.map((each) => (each.startsWith("-") ? `-${each}` : each));
    return [await examplePython(WHOLE_FILE), "examples/python/submit.py", ...dashed, pool, "41"];
  },
})) {
  const skip = without(language === "Go" ? "go" : "python3");
  test(`a ${language} program submits over TLS with a token, and with a certificate`, { skip }, async (t) => {
    const submit = async (flags: string[], pool = "adder") => {
      const [command = "", ...args] = await makeArgs(["-addr", mesh.managerAddress, "-ca", ca, ...flags], pool);
      return run(t, command, args);
    };
    for (const flags of [
      ["-token-file", tokenFile],
      ["-cert", pair.cert, "-key", pair.key],
    ]) {
      const { code, stdout, stderr } = await submit(flags);
      assert.deepEqual([code, stdout, stderr], [0, "42\n", ""]);
    }
    const elsewhere = await submit(["-token-file", tokenFile], "other");
    assert.match(elsewhere.stderr, /^permission_denied: token:ci may not submit jobs in pool other/);
    assert.match((await submit([])).stderr, /^unauthenticated: authorization: send a bearer token/);
  });
}

test("a Python program without grpc submits over https with a token", { skip: without("python3") }, async (t) => {
  const url = mesh.manager.url;
  const args = ["examples/python/submit_http.py", "--url", url, "--ca", ca, "--token-file", tokenFile, "adder", "41"];
  const { code, stdout, stderr } = await run(t, toolPath("python3"), ["-I", ...args]);
  assert.deepEqual([code, stdout, stderr], [0, "42\n", ""]);
});

test("Go and Python programs hear capacity over TLS with a certificate", {
  skip: without("go", "python3"),
}, async (t) => {
  const words = [
    "addr",
    mesh.meterAddress,
    "ca",
    ca,
    "cert",
    pair.cert,
    "key",
    pair.key,
    "pool",
    "adder",
    "count",
    "1",
  ];
  const flags = (dash: string): string[] => words.map((each, i) => (i % 2 === 0 ? dash + each : each));
  const byGo = await run(t, await goProgram(t, "capacity"), flags("-"));
  assert.match(byGo.stdout, /^capacity [01]\.\d{3}\n$/, byGo.stderr);
  const python = await examplePython(t);
  const byPython = await run(t, python, ["examples/python/capacity.py", ...flags("--")]);
  assert.match(byPython.stdout, /^capacity [01]\.\d{3}\n$/, byPython.stderr);
});

test("KEDA's scaler is served over mutual TLS, and to nobody without a certificate", async () => {
  const shown = { ca: readFileSync(ca), cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const ref = { scalerMetadata: { pool: "adder" } };
  const scaler = (nodeOptions: object) =>
    createClient(ExternalScaler, createGrpcTransport({ baseUrl: mesh.meter.url, nodeOptions }));
  await eventually(async () => {
    const { metricSpecs } = await scaler(shown).getMetricSpec(ref);
    return metricSpecs[0]?.metricName === "poolmesh-adder";
  });
  assert.equal((await errorOf(scaler({ ca: shown.ca }).isActive(ref))).code, Code.Unauthenticated);
});
