/** Bad input on every door: refused with our reason and the field, nothing echoed, nothing changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, type Client as RpcClient } from "@connectrpc/connect";
import { headers as natsHeaders } from "nats";
import { Client } from "../../../client/client.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import type { PoolError, Reason } from "../../../mesh/errors.js";
import { fromConnectError, fromErrorDetail } from "../../../mesh/wire/connect-errors.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { BAD_NAMES, BAD_TIMEOUT_TEXTS, BAD_TIMEOUTS } from "../../support/doors/bad-input.js";
import { EMPTY_INPUT, poolErrorOf, rpcTransports } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";

const POOL = "inputs";
const EMPTY = new Uint8Array();
type Rpc = RpcClient<typeof ManagerService>;
type Headers = readonly (readonly [string, string])[];

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
let ran = 0;
await mesh.addWorker({ pool: POOL, id: "w1", run: () => (ran += 1) });
await mesh.untilCapacity(POOL, 1);
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const manager = await Manager.connect({ pool: POOL, servers: mesh.natsUrl });
cleanUp(WHOLE_FILE, () => manager.close());
const client = await Client.connect({ pool: POOL, servers: mesh.natsUrl });
cleanUp(WHOLE_FILE, () => client.close());
const rpcs = Object.entries(rpcTransports(mesh.manager.url)).map(
  ([name, transport]) => [name, createClient(ManagerService, transport)] as const,
);
const before = await state();
cleanUp(WHOLE_FILE, async () => assert.deepEqual(await state(), before, "nothing changed"));

/** What must be the same after all refusals as before. */
async function state(): Promise<unknown> {
  await bus.flush();
  const { workers } = await mesh.client.listWorkers({ pool: POOL });
  const text = await (await fetch(`${mesh.manager.url}/metrics`)).text();
  const jobs = text.split("\n").filter((line) => /^poolmesh_manager_(jobs|submitted|parked)\S*\{/.test(line));
  return {
    ran,
    jobs,
    workers: workers.map(({ heartbeat }) => [heartbeat?.worker, heartbeat?.state, heartbeat?.slots]),
  };
}

function check(error: PoolError, reason: Reason, field: string | undefined, raw = ""): void {
  assert.deepEqual([error.reason, error.field], [reason, field], error.message);
  assert.match(error.message, /^[\x20-\x7e…]{1,512}$/);
  if (raw.length > 2) assert.ok(!error.message.includes(raw), `echoed: ${error.message}`);
}

/** The typed error of a call, or of the one outcome of a stream. */
async function rpcError(work: Promise<unknown>): Promise<PoolError> {
  return poolErrorOf(work.catch((error: unknown) => Promise.reject(fromConnectError(error))));
}

async function streamError(rpc: Rpc, job: Parameters<Rpc["submit"]>[0]): Promise<PoolError> {
  const one = (async function* () {
    yield { ref: 1n, job };
  })();
  const errors: PoolError[] = [];
  for await (const { outcome } of rpc.submitMany(one)) {
    if (outcome.case === "error") errors.push(fromErrorDetail(outcome.value));
  }
  assert.equal(errors.length, 1);
  return errors[0] as PoolError;
}

/** The error that answers a NATS request. */
async function natsError(subject: string, headers: Headers = [], payload: Uint8Array = EMPTY): Promise<PoolError> {
  const all = natsHeaders();
  for (const [name, value] of headers) all.append(name, value);
  const options = { timeout: 5_000, ...(headers.length === 0 ? {} : { headers: all }) };
  const reply = await bus.nc.request(subject, payload, options);
  assert.ok(reply.headers?.get("Pool-Error"), "the reply is an error");
  assert.equal(reply.string().split(":")[0], reply.headers?.get("Pool-Error"), "the body begins with the reason");
  return readErrorHeaders(reply.headers as NonNullable<typeof reply.headers>);
}

for (const [what, name] of Object.entries(BAD_NAMES)) {
  test(`library: a name with ${what} is refused before any I/O`, async () => {
    const refused: [string, () => unknown][] = [
      ["pool", () => new Manager({ pool: name })],
      ["pool", () => new Client({ pool: name })],
      ["pool", () => new Worker({ pool: name, run: () => 1 })],
      ["worker", () => new Worker({ pool: POOL, id: name, run: () => 1 })],
      ["job", () => manager.detachSubmit("1", { id: name })],
      ["job", () => client.detachSubmit("1", { id: name })],
    ];
    for (const [field, make] of refused) {
      check(await poolErrorOf((async () => make())()), "invalid_argument", field, name);
    }
    for (const work of [manager.cancel(name), client.cancel(name)]) {
      check(await poolErrorOf(work), "invalid_argument", "job", name);
    }
  });

  test(`RPC: a name with ${what} is invalid_argument and names its field`, async () => {
    for (const [, rpc] of rpcs) {
      const selector = { pool: name, worker: "w1" };
      const calls: [string, () => Promise<unknown>][] = [
        ["pool", () => rpc.submit({ pool: name, input: EMPTY_INPUT })],
        ["pool", () => rpc.detachSubmit({ job: { pool: name, input: EMPTY_INPUT } })],
        ["pool", () => rpc.getOutcome({ pool: name, jobId: "j" })],
        ["job", () => rpc.getOutcome({ pool: POOL, jobId: name })],
        ["pool", () => rpc.cancel({ pool: name, jobId: "j" })],
        ["job", () => rpc.cancel({ pool: POOL, jobId: name })],
        ["pool", () => rpc.drainWorker({ selector })],
        ["pool", () => rpc.pauseWorker({ selector })],
        ["pool", () => rpc.resumeWorker({ selector })],
        ["pool", () => rpc.resizeWorker({ selector, slots: 1 })],
      ];
      if (name !== "") {
        calls.push(
          ["job", () => rpc.submit({ pool: POOL, jobId: name, input: EMPTY_INPUT })],
          ["pool", () => rpc.listWorkers({ pool: name })],
        );
        calls.push(["worker", () => rpc.drainWorker({ selector: { pool: POOL, worker: name } })]);
      }
      for (const [field, call] of calls) check(await rpcError(call()), "invalid_argument", field, name);
    }
  });
}

test("SubmitMany: a bad name is the outcome of its job, and the stream goes on", async () => {
  for (const [name, rpc] of rpcs.filter(([each]) => each === "gRPC" || each === "Connect over HTTP/2")) {
    check(await streamError(rpc, { pool: "a b" }), "invalid_argument", "pool");
    check(await streamError(rpc, { pool: POOL, jobId: "*", input: EMPTY_INPUT }), "invalid_argument", "job");
    check(await streamError(rpc, undefined as never), "invalid_argument", "job");
    assert.ok(name);
  }
});

test("NATS: a pool that breaks the name rule is answered invalid_argument", async () => {
  for (const name of ["ä", "$JS", "-a", "a".repeat(64), "a\u200bb", "a\u0007b"]) {
    check(await natsError(`pool.${name}.submit`), "invalid_argument", "pool", name);
  }
});

test("NATS: a malformed header is invalid_argument that names it", async () => {
  const refused: [string, string, string][] = [
    ...["a.b", "*", "a b", "ä", "a".repeat(64)].map((id) => ["Pool-Job-Id", id, "job"] as [string, string, string]),
    ...BAD_TIMEOUT_TEXTS.filter((text) => text.trim() === text).map(
      (text) => ["Pool-Timeout-Ms", text, "Pool-Timeout-Ms"] as [string, string, string],
    ),
    ["Pool-Attempt", "0", "Pool-Attempt"],
    ["Pool-Expires-At", "-5", "Pool-Expires-At"],
    ["Pool-Priority", "urgent", "priority"],
    ["Pool-Client", "a b", "client"],
    ["Pool-Client", "c".repeat(129), "client"],
    ["traceparent", "t".repeat(513), "traceparent"],
    ["tracestate", "é", "tracestate"],
  ];
  for (const [header, value, field] of refused) {
    check(await natsError(`pool.${POOL}.submit`, [[header, value]]), "invalid_argument", field, value);
    const plain = header !== "traceparent" && header !== "tracestate";
    if (plain) check(await natsError(`pool.${POOL}.job`, [[header, value]]), "invalid_argument", field, value);
  }
});

test("NATS: more than 64 headers, or 16 KiB of them, are invalid_argument", async () => {
  const many: Headers = Array.from({ length: 65 }, (_, i) => [`X-${i}`, "1"] as const);
  const large: Headers = [["X-Large", "x".repeat(16 * 1024)]];
  for (const headers of [many, large]) {
    check(await natsError(`pool.${POOL}.submit`, headers), "invalid_argument", "headers");
    check(await natsError(`pool.${POOL}.job`, headers), "invalid_argument", "headers");
  }
});

test("a timeout that is none is invalid_argument on every door", async () => {
  for (const timeoutMs of BAD_TIMEOUTS) {
    check(await poolErrorOf(manager.submit("1", { timeoutMs })), "invalid_argument", "timeoutMs");
    check(await poolErrorOf(client.submit("1", { timeoutMs })), "invalid_argument", "timeoutMs");
  }
  for (const [, rpc] of rpcs) {
    for (const timeoutMs of [-1n, 2n ** 31n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      check(await rpcError(rpc.submit({ pool: POOL, timeoutMs, input: EMPTY_INPUT })), "invalid_argument", "timeoutMs");
    }
  }
});

test("RPC: priority, client and trace context that are not acceptable name their field", async () => {
  const refused: [string, Parameters<Rpc["submit"]>[0]][] = [
    ["client", { client: "a\r\nPUB x 0\r\n" }],
    ["client", { client: "c".repeat(129) }],
    ["traceparent", { traceparent: "00\r\nPool-Attempt: 9" }],
    ["traceparent", { traceparent: "t".repeat(513) }],
    ["tracestate", { tracestate: "é" }],
  ];
  for (const [name, rpc] of rpcs) {
    for (const [field, request] of refused) {
      check(await rpcError(rpc.submit({ ...request, pool: POOL, input: EMPTY_INPUT })), "invalid_argument", field);
      check(
        await rpcError(rpc.detachSubmit({ job: { ...request, pool: POOL, input: EMPTY_INPUT } })),
        "invalid_argument",
        field,
      );
    }
    if (name !== "Connect JSON") {
      check(
        await rpcError(rpc.submit({ pool: POOL, priority: 99 as never, input: EMPTY_INPUT })),
        "invalid_argument",
        "priority",
      );
    }
    check(await rpcError(rpc.detachSubmit({})), "invalid_argument", "job");
    check(await rpcError(rpc.drainWorker({})), "invalid_argument", "selector");
  }
});

test("RPC: what is not there is not_found, a pool that nobody serves unknown_pool", async () => {
  for (const [, rpc] of rpcs) {
    check(await rpcError(rpc.cancel({ pool: POOL, jobId: "nobody" })), "not_found", "job");
    check(await rpcError(rpc.getOutcome({ pool: POOL, jobId: "nobody" })), "not_found", "job");
    check(await rpcError(rpc.getOutcome({ pool: "nowhere", jobId: "nobody" })), "not_found", "job");
    check(await rpcError(rpc.drainWorker({ selector: { pool: POOL, worker: "nobody" } })), "not_found", "worker");
    check(await rpcError(rpc.listWorkers({ pool: "nowhere" })), "unknown_pool", "pool");
  }
});

test("RPC: a worker cannot be resized to no slots or too many", async () => {
  for (const [, rpc] of rpcs) {
    for (const slots of [0, 65_536, 2 ** 32 - 1]) {
      const call = rpc.resizeWorker({ selector: { pool: POOL, worker: "w1" }, slots });
      check(await rpcError(call), "invalid_argument", "slots");
    }
  }
});
