/** Whatever a handler throws, returns or encodes ends its own job and nothing else, wherever it runs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isReason } from "../../../mesh/errors.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { ENCODED, RETURNED, THROWN } from "../../support/handlers/odd-values.js";
import { leakGuard } from "../../support/leak-guard.js";
import { programFile } from "../../support/program-file.js";
import { startWorker } from "../../support/started-worker.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const handlerFile = programFile("../../support/handlers/odd-values", import.meta.url);

type Table = Readonly<Record<string, readonly [() => unknown, RegExp]>>;
const ORDERS: readonly (readonly [how: string, table: Table])[] = [
  ["throw", THROWN],
  ["reject", THROWN],
  ["return", RETURNED],
  ["encode", ENCODED],
];

for (const isolation of ["inline", "thread", "process"] as const) {
  describe(`handler odd values: ${isolation}`, () => {
    test("each ends its own job with one outcome of the catalogue, and the jobs beside it with a result", async (t) => {
      const { caller, worker } = await startWorker(t, broker, { handlerFile, isolation, slots: 2 });
      const seen: string[] = [];
      for (const [how, table] of ORDERS) {
        for (const [what, [, expected]] of Object.entries(table)) {
          const jobId = `j${seen.length}`;
          const sent = caller.send(JSON.stringify({ do: how, what }), { jobId });
          const beside = caller.send(JSON.stringify({ do: "beside", what }), { jobId: `${jobId}b` });
          const reply = await sent.outcome();
          assert.match(reply.text, expected, `${how} ${what}`);
          if (reply.kind === "error") assert.ok(isReason(reply.error?.reason ?? ""), `${how} ${what}`);
          assert.equal((await beside.outcome()).kind, "result", `beside ${how} ${what}`);
          await caller.bus.flush();
          assert.equal(sent.outcomes().length, 1, `${how} ${what}`);
          seen.push(what);
        }
      }
      assert.equal(worker.busy, 0);
      assert.ok(seen.length > 70);
    });

    test("progress that cannot be encoded is an exception in the handler, and nothing is sent", async (t) => {
      const { caller } = await startWorker(t, broker, { handlerFile, isolation });
      let jobs = 0;
      for (const what of Object.keys(ENCODED)) {
        jobs += 1;
        const sent = caller.send(JSON.stringify({ do: "progress", what }), { jobId: `p${jobs}` });
        const fits = what === "bytes with a length of their own";
        assert.equal((await sent.outcome()).text, fits ? '"hi"' : '"refused"', what);
        assert.equal(sent.replies.filter((each) => each.kind === "progress").length, fits ? 1 : 0, what);
      }
    });
  });
}
