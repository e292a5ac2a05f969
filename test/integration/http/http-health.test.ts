import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { before, test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { type HealthSource, ServingStatus } from "../../../mesh/http/health.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer, errorOf, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

let ready: true | string = true;
leakGuard();

const { server } = echoServer({ isReady: () => ready });
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

const SERVICE = "poolmesh.v1.ManagerService";

for (const name of ["Connect, HTTP/1.1, JSON", "gRPC, HTTP/2"]) {
  test(`${name} - health follows readiness, for the server and its services`, async () => {
    const client = createClient(Health, TRANSPORTS[name]!(server.url));
    for (const service of ["", SERVICE]) {
      assert.equal((await client.check({ service })).status, ServingStatus.SERVING);
      ready = "no broker";
      assert.equal((await client.check({ service })).status, ServingStatus.NOT_SERVING);
      ready = true;
    }
    assert.equal((await errorOf(client.check({ service: "nope" }))).code, Code.NotFound);
  });
}

test("a reason for not being ready is shown at /readyz", async () => {
  ready = "no broker";
  const answer = await fetch(`${server.url}/readyz`);
  ready = true;
  assert.equal(answer.status, 503);
  assert.equal(await answer.text(), "no broker\n");
});

test("a watcher hears the status at once, and then changes only", async () => {
  const client = createClient(Health, TRANSPORTS["gRPC, HTTP/2"]!(server.url));
  const leave = new AbortController();
  const heard: ServingStatus[] = [];
  const watch = errorOf(
    (async () => {
      for await (const { status } of client.watch({ service: SERVICE }, { signal: leave.signal })) heard.push(status);
    })(),
  );
  await eventually(() => heard.length === 1, { what: "the first status" });
  ready = "no broker";
  await eventually(() => heard.length === 2, { what: "a change" });
  ready = true;
  await eventually(() => heard.length === 3, { what: "a change back" });
  leave.abort();
  await watch;
  assert.deepEqual(heard, [ServingStatus.SERVING, ServingStatus.NOT_SERVING, ServingStatus.SERVING]);
  await eventually(() => server.streams === 0, { what: "no stream" });
});

test("a watcher of an unknown name hears so and is not cut off; a source of its own says when to look", async () => {
  const statuses = new Map<string, ServingStatus>();
  const listeners = new Set<() => void>();
  const health: HealthSource = {
    check: (name) => statuses.get(name),
    watch: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const { server: own } = echoServer({ health });
  await own.start();
  const leave = new AbortController();
  const stream = createClient(Health, TRANSPORTS["Connect, HTTP/2"]!(own.url)).watch(
    { service: "pool/adder" },
    { signal: leave.signal },
  );
  const reader = stream[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value?.status, ServingStatus.SERVICE_UNKNOWN);
  statuses.set("pool/adder", ServingStatus.SERVING);
  for (const listener of listeners) listener();
  assert.equal((await reader.next()).value?.status, ServingStatus.SERVING);
  leave.abort();
  await errorOf(reader.next());
  await eventually(() => listeners.size === 0, { what: "no listener" });
  await own.stop();
});

test("reflection lists the services, in both versions", async () => {
  async function* ask() {
    yield { messageRequest: { case: "listServices", value: "" } as const };
  }
  for (const service of [ServerReflection, ServerReflectionAlpha]) {
    const client = createClient(service, TRANSPORTS["gRPC, HTTP/2"]!(server.url));
    const names: string[] = [];
    for await (const { messageResponse } of client.serverReflectionInfo(ask())) {
      if (messageResponse.case === "listServicesResponse")
        names.push(...messageResponse.value.service.map((s) => s.name));
    }
    assert.ok(
      names.includes(SERVICE) && names.includes("grpc.health.v1.Health") && names.includes("solpipe.WorkerStatus"),
    );
  }
});

function buf(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(packageRoot(), "node_modules", ".bin", "buf"), [
      "curl",
      "--http2-prior-knowledge",
      ...args,
    ]);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.once("error", reject).once("close", () => resolve(text));
  });
}

test("buf curl finds methods and calls them without a schema, by each protocol", async () => {
  assert.match(await buf("--list-methods", server.url), /poolmesh\.v1\.ManagerService\/Submit/);
  for (const protocol of ["connect", "grpc", "grpcweb"]) {
    const text = await buf("--protocol", protocol, "-d", '{"text":"hi"}', `${server.url}/${SERVICE}/Submit`);
    assert.match(text, /"text": "hi"/, protocol);
  }
});
