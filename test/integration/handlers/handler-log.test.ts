/** A failed job can be understood: one line in the worker's log, and a reason, a message and a code at the caller. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { Client } from "../../../client/client.js";
import { ErrorDetailSchema } from "../../../gen/poolmesh/v1/error_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { connectBus } from "../../support/broker.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { JobCaller } from "../../support/core/job-caller.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type LogLine, readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh();
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

const FAILING = `
function inner() { throw Object.assign(new Error("the card is declined"), { code: "card.declined" }); }
export function run(job) {
  if (job.payload === "wait") return new Promise((_, no) => job.signal.addEventListener("abort", () => no(new Error("aborted"))));
  if (job.payload === "gone") throw Object.assign(new Error("no such user"), { name: "PermanentError", code: "user.gone" });
  if (job.payload === "bad code") throw Object.assign(new Error("no"), { code: "no code\\r\\n" });
  try { inner(); } catch (cause) {
    throw Object.assign(new Error("cannot pay", { cause }), { code: "payment" });
  }
}`;

/** Imports, in several ways, what cannot be compiled. */
const IMPORTING = `
export async function run(job) {
  if (job.payload === "literal") return import("./late.mjs");
  if (job.payload === "linked") return import("./deep/link.mjs");
  const name = "seven";
  if (job.payload === "template") return import(\`./steps/\${name}.mjs\`);
  if (job.payload === "one of two") return import([FOLDER, "far", "one.mjs"].join("/"));
  const computed = ["far", "off", "elsewhere.mjs"].join("/");
  if (job.payload === "computed") return import(FOLDER + "/" + computed);
  await import(FOLDER + "/" + computed).catch((cause) => { throw new Error("cannot load the step", { cause }); });
}`;

for (const isolation of ["inline", "thread", "process"] as const) {
  describe(`handler log: ${isolation}`, () => {
    test("a failed job is one line with stack, cause, job, attempt, trace and pool", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const handlerFile = folder.write("handler.mjs", FAILING);
      const { caller, pool } = await startWorker(t, mesh.broker, { handlerFile, isolation, log });
      await caller.send('"pay"', { jobId: "j1", attempt: 2, traceparent }).outcome();
      const line = named("job failed")[0] as LogLine;
      const { stack, cause, level, job, attempt, traceId, reason, code, error } = line;
      assert.deepEqual(
        { level, pool: line.pool, worker: line.worker, job, attempt, traceId, reason, code, error },
        {
          ...{ level: "warn", pool, worker: "w1", job: "j1", attempt: 2, traceId: TRACE_ID },
          ...{ reason: "job_failed", code: "payment", error: "cannot pay (cause: the card is declined)" },
        },
      );
      assert.match(String(stack), /^Error: cannot pay\n +at .*handler\.mjs:\d+:\d+/);
      assert.match(String(cause), /^Error: the card is declined\n +at inner .*handler\.mjs:\d+:\d+/);
      await caller.send('"gone"', { jobId: "j2" }).outcome();
      await caller.send("{", { jobId: "j3" }).outcome();
      const rest = named("job failed").slice(1);
      assert.deepEqual(
        rest.map((each) => [each.level, each.job, each.reason, each.code]),
        [
          ["info", "j2", "job_rejected", "user.gone"],
          ["info", "j3", "invalid_argument", undefined],
        ],
      );
    });

    test("a syntax error of what a running job imports says its file and line, to the log and to the caller", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const broken = (line: number, name: string): string => `${"\n".repeat(line - 1)}export const ${name} = 2;`;
      folder.write("late.mjs", broken(3, "if"));
      folder.write("deep/below.mjs", broken(5, "for"));
      folder.write("deep/link.mjs", 'import "./below.mjs";');
      folder.write("steps/seven.mjs", broken(7, "while"));
      folder.write("far/off/elsewhere.mjs", broken(9, "this"));
      for (const name of ["one", "two"]) folder.write(`far/${name}.mjs`, broken(1, "new"));
      const handlerFile = folder.write("handler.mjs", IMPORTING);
      const { caller } = await startWorker(t, mesh.broker, { handlerFile, isolation, log });
      const places: [how: string, place: string | undefined][] = [
        ["literal", "late.mjs:3"],
        ["literal", "late.mjs:3"],
        ["linked", "below.mjs:5"],
        ["template", "seven.mjs:7"],
        ["computed", "elsewhere.mjs:9"],
        ["wrapped", "elsewhere.mjs:9"],
        ["one of two", undefined],
      ];
      for (const [i, [how, place]] of places.entries()) {
        const reply = await caller.send(JSON.stringify(how), { jobId: `j${i}`, timeoutMs: 60_000 }).outcome();
        const told = place === undefined ? "$" : ` \\(at ${place}\\)`;
        assert.match(reply.text, new RegExp(`^job_failed: .*Unexpected token '\\w+'${told}`), how);
        assert.equal(reply.text.includes(folder.path), false, "no path leaves the worker");
        const { stack, cause } = named("job failed").at(-1) as LogLine;
        if (place !== undefined) assert.match(`${stack}\n${cause}`, new RegExp(`${folder.path}/.*${place}\n`), how);
      }
    });

    test("a job that was aborted is logged for the reason of the abort", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const { caller, worker } = await startWorker(t, mesh.broker, {
        handlerFile: folder.write("handler.mjs", FAILING),
        isolation,
        log,
      });
      await caller.send('"wait"', { jobId: "late", timeoutMs: 100 }).outcome();
      await eventually(() => worker.busy === 0);
      const canceled = caller.send('"wait"', { jobId: "canceled" });
      await canceled.first("accepted");
      caller.cancel("canceled");
      await canceled.outcome();
      const lines = await eventually(() => named("job failed").length === 2 && named("job failed"));
      assert.deepEqual(
        lines.map((each) => [each.level, each.job, each.reason, each.stack]),
        [
          ["warn", "late", "deadline_exceeded", undefined],
          ["info", "canceled", "canceled", undefined],
        ],
      );
    });

    test("the caller hears reason, message and the handler's code by every way", async (t) => {
      const folder = new HandlerFolder(t);
      const pool = `codes-${isolation}`;
      await mesh.addWorker({ pool, handlerFile: folder.write("handler.mjs", FAILING), isolation }, t);
      await mesh.untilCapacity(pool, 1);
      const bus = await connectBus(t, mesh.broker);
      const client = new Client({ pool, connection: bus });
      t.after(() => client.stop());
      await client.start();
      const byClient = await client.submit('"pay"').catch((error: unknown) => error);
      assert.ok(byClient instanceof PoolError);
      assert.deepEqual([byClient.reason, byClient.jobCode], ["job_failed", "payment"]);
      const payload = new TextEncoder().encode('"gone"');
      const byConnect = await mesh.client
        .submit({ pool, input: { case: "payload", value: payload } })
        .catch((error: unknown) => error);
      const [detail] = ConnectError.from(byConnect).findDetails(ErrorDetailSchema);
      assert.deepEqual([detail?.reason, detail?.code, detail?.message], ["job_rejected", "user.gone", "no such user"]);
      const reply = await new JobCaller(bus, pool).send('"bad code"', { jobId: "x" }).outcome();
      assert.deepEqual([reply.error?.reason, reply.error?.jobCode], ["job_failed", undefined]);
    });
  });
}

test("handler log - a job whose handler outlives its deadline, and one whose result is too large, have one line each", async (t) => {
  const { log, named } = readableLog();
  const { caller } = await startWorker<Uint8Array, Uint8Array>(t, mesh.broker, {
    slots: 2,
    log,
    codec: "bytes",
    run: ({ payload, signal }) =>
      payload.length === 0
        ? new Uint8Array(2_000_000)
        : new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Uint8Array()))),
  });
  await Promise.all([
    caller.send("long", { jobId: "long", timeoutMs: 100 }).outcome(),
    caller.send("", { jobId: "large" }).outcome(),
  ]);
  const reasons = named("job failed").map(({ job, reason }) => `${job} ${reason}`);
  assert.deepEqual(reasons.sort(), ["large payload_too_large", "long deadline_exceeded"]);
});
