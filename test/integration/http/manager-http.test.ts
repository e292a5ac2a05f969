/** The manager's HTTP door: forms of payloads, streams of jobs, and callers that leave. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { ManagerService, type SubmitManyRequestSchema } from "../../../gen/poolmesh/v1/manager_pb.js";
import { fromConnectError, fromErrorDetail, jobFactsOf } from "../../../mesh/wire/connect-errors.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { heldJob } from "../../support/core/held-job.js";
import { EMPTY_INPUT, rpcTransports } from "../../support/doors/doors.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { gate, within } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const doors = rpcTransports(mesh.manager.url);
const clientOf = (name: string) => createClient(ManagerService, doors[name]!);
await mesh.addWorker<number, number>({ pool: "adder", id: "adder-1", slots: 4, run: ({ payload }) => payload + 1 });
await mesh.addWorker<string, string>({
  pool: "picky",
  codec: "text",
  run: ({ payload }) => {
    if (payload === '"raw"') return "{";
    if (payload === '"proto"') return '{"a":[{"__proto__":1}]}';
    if (payload === '"huge"') return '{"a":[1e400]}';
    throw new Error(`no ${payload}`);
  },
});

type Job = MessageInitShape<typeof SubmitManyRequestSchema>;

async function postJson(method: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function* each(jobs: Iterable<Job>): AsyncGenerator<Job> {
  yield* jobs;
}

const emptyJob = (pool: string) => ({ pool, input: EMPTY_INPUT });
const numberJob = (pool: string, n: number) => ({ pool, input: { case: "text", value: String(n) } }) as const;

test("plain HTTP and JSON are enough, and the output comes in the form of the input", async () => {
  assert.deepEqual((await postJson("Submit", { pool: "adder", json: 41 })).body.json, 42);
  assert.deepEqual((await postJson("Submit", { pool: "adder", text: "1" })).body.text, "2");
  const payload = Buffer.from("7").toString("base64");
  const { body } = await postJson("Submit", { pool: "adder", payload });
  assert.equal(Buffer.from(String(body.payload), "base64").toString(), "8");
  assert.equal(body.worker, "adder-1");
  assert.equal(body.attempt, 1);
});

test("an output that has no such form comes as bytes", async () => {
  const { body } = await postJson("Submit", { pool: "picky", json: "raw" });
  assert.equal(Buffer.from(String(body.payload), "base64").toString(), "{");
});

test("a member called __proto__ is not lost in silence: refused by field, and in a result it comes as bytes", async () => {
  const url = `${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`;
  const headers = { "content-type": "application/json" };
  for (const json of ['{"__proto__":{"a":1}}', '{"a":[{"__proto__":null}]}', '{"\\u005f_proto__":1}']) {
    const answer = await fetch(url, { method: "POST", headers, body: `{"pool":"picky","json":${json}}` });
    assert.equal(answer.status, 400, json);
    assert.match(((await answer.json()) as { message: string }).message, /^json: a member called __proto__/);
  }
  const { body } = await postJson("Submit", { pool: "picky", json: "proto" });
  assert.equal(Buffer.from(String(body.payload), "base64").toString(), '{"a":[{"__proto__":1}]}');
});

test("a number beyond a double is refused by field, and in a result it comes as bytes", async () => {
  const url = `${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`;
  for (const json of ["1e400", '{"a":[-1e999]}']) {
    const body = `{"pool":"adder","json":${json}}`;
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.equal(answer.status, 400);
    assert.match(((await answer.json()) as { message: string }).message, /^json: a number is beyond a double/);
  }
  const empty = { pool: "adder", input: { case: "json", value: create(ValueSchema) } } as const;
  await assert.rejects(mesh.client.submit(empty), { code: Code.InvalidArgument });
  const { body } = await postJson("Submit", { pool: "picky", json: "huge" });
  assert.equal(Buffer.from(String(body.payload), "base64").toString(), '{"a":[1e400]}');
});

test("an error in JSON has a status, a reason and no stack", async () => {
  const { status, body } = await postJson("Submit", { pool: "picky", text: "way" });
  assert.equal(status, 500);
  assert.equal(body.code, "unknown");
  assert.equal(body.message, "job_failed: no way");
  assert.equal((body.details as { type: string }[])[0]?.type, "poolmesh.v1.ErrorDetail");
});

for (const name of Object.keys(doors)) {
  test(`${name} - a job's result comes back`, async () => {
    const { output } = await clientOf(name).submit(numberJob("adder", 41));
    assert.deepEqual(output, { case: "text", value: "42" });
  });

  test(`${name} - what is refused names its field`, async () => {
    const client = clientOf(name);
    const refused: [Parameters<typeof client.submit>[0], string][] = [
      [{ pool: "" }, "pool"],
      [{ pool: "a.*" }, "pool"],
      [{ pool: "a\r\nPUB x 0\r\n" }, "pool"],
      [{ pool: "adder", jobId: "a b" }, "job"],
      [{ pool: "adder", timeoutMs: -1n }, "timeoutMs"],
      [{ pool: "adder", timeoutMs: 9_999_999_999n }, "timeoutMs"],
    ];
    for (const [request, field] of refused) {
      const error = await rpcErrorOf(client.submit({ ...emptyJob(""), ...request }));
      assert.equal(error.reason, "invalid_argument", error.message);
      assert.equal(error.field, field);
    }
  });

  test(`${name} - the call's own deadline is the job's`, async (t) => {
    const held = heldJob();
    const pool = `held-${name.replace(/\W/g, "-")}`;
    await mesh.addWorker({ pool, run: held.run }, t);
    const work = rpcErrorOf(clientOf(name).submit(emptyJob(pool), { timeoutMs: 2_000 }));
    await within(held.started, { what: "the job runs" });
    assert.equal((await work).reason, "deadline_exceeded");
    await within(held.aborted, { what: "the handler hears it" });
  });

  test(`${name} - a caller that leaves cancels its job`, async (t) => {
    const held = heldJob();
    const pool = `left-${name.replace(/\W/g, "-")}`;
    await mesh.addWorker({ pool, run: held.run }, t);
    const leave = new AbortController();
    const work = rpcErrorOf(clientOf(name).submit(emptyJob(pool), { signal: leave.signal }));
    await within(held.started, { what: "the job runs" });
    leave.abort();
    assert.equal((await work).reason, "canceled");
    await within(held.aborted, { what: "the handler hears it" });
    await mesh.untilCapacity(pool, 1, 0);
  });
}

for (const name of ["Connect over HTTP/2", "gRPC"]) {
  test(`${name} - SubmitMany answers every job by its ref, errors among them`, async () => {
    const jobs = Array.from({ length: 200 }, (_, i) => ({
      ref: BigInt(i),
      job: numberJob(i % 50 === 7 ? "picky" : i % 50 === 8 ? "a.b" : "adder", i),
    }));
    const answers = new Map<bigint, string>();
    for await (const { ref, outcome } of clientOf(name).submitMany(each(jobs))) {
      assert.ok(!answers.has(ref), `one answer for ${ref}`);
      if (outcome.case === "result") answers.set(ref, String(outcome.value.output.value));
      else if (outcome.case === "error") answers.set(ref, fromErrorDetail(outcome.value).reason);
    }
    assert.equal(answers.size, 200);
    for (const [ref, answer] of answers) {
      const wanted = ref % 50n === 7n ? "job_failed" : ref % 50n === 8n ? "invalid_argument" : String(ref + 1n);
      assert.equal(answer, wanted, `ref ${ref}`);
    }
  });

  test(`${name} - SubmitMany answers a job before the next one is asked`, async () => {
    let answered = gate();
    async function* ask(): AsyncGenerator<Job> {
      for (let ref = 0; ref < 5; ref += 1) {
        yield { ref: BigInt(ref), job: numberJob("adder", ref) };
        await answered.promise;
      }
    }
    const refs: bigint[] = [];
    for await (const { ref } of clientOf(name).submitMany(ask())) {
      refs.push(ref);
      const { open } = answered;
      answered = gate();
      open();
    }
    assert.deepEqual(refs, [0n, 1n, 2n, 3n, 4n]);
  });

  test(`${name} - a job of SubmitMany has its own deadline, also one that is longer than the default`, async (t) => {
    const pool = `long-${name.replace(/\W/g, "-")}`;
    await mesh.addWorker({ pool, slots: 9, codec: "text", run: ({ timeLeftMs }) => String(timeLeftMs) }, t);
    const jobs = [90_000n, 5_000n, 0n].map((timeoutMs, i) => ({
      ref: BigInt(i),
      job: { ...emptyJob(pool), timeoutMs },
    }));
    const left: number[] = [];
    for await (const { ref, outcome } of clientOf(name).submitMany(each(jobs))) {
      const { output } = outcome.case === "result" ? outcome.value : assert.fail(JSON.stringify(outcome.value));
      left[Number(ref)] = Number(output.case === "payload" ? Buffer.from(output.value).toString() : output.value);
    }
    const [long = 0, short = 0, usual = 0] = left;
    // The time left travels in whole milliseconds, rounded up.
    assert.ok(long > 60_000 && long <= 90_001 && short <= 5_001 && usual > 5_001 && usual <= 30_001, String(left));
  });

  test(`${name} - a caller that leaves SubmitMany cancels what is under way`, async (t) => {
    const held = heldJob();
    const pool = `many-${name.replace(/\W/g, "-")}`;
    await mesh.addWorker({ pool, run: held.run }, t);
    const leave = new AbortController();
    const jobs = [{ ref: 1n, job: emptyJob(pool) }];
    const work = rpcErrorOf(
      (async () => {
        for await (const _ of clientOf(name).submitMany(each(jobs), { signal: leave.signal }));
      })(),
    );
    await within(held.started, { what: "the job runs" });
    leave.abort();
    assert.equal((await work).reason, "canceled");
    await within(held.aborted, { what: "the handler hears it" });
    await mesh.untilCapacity(pool, 1, 0);
  });
}

test("a failed job's error names the job, its worker, attempt and times", async () => {
  const job = { pool: "picky", jobId: "named-failure", input: { case: "text", value: "x" } } as const;
  const error = await clientOf("gRPC")
    .submit(job)
    .then(
      () => assert.fail("it ran"),
      (thrown: unknown) => fromConnectError(thrown),
    );
  const facts = jobFactsOf(error);
  assert.deepEqual([facts?.jobId, facts?.attempt], ["named-failure", 1]);
  assert.ok(facts !== undefined && facts.worker !== "" && facts.totalMs > 0 && facts.waitMs <= facts.totalMs);
});
