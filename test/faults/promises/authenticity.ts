/** Who is no part of the mesh decides nothing. */
import assert from "node:assert/strict";
import { encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { connectBus } from "../../support/broker.js";
import { assertEnded } from "../rig/caller.js";
import { POOL } from "../rig/pool.js";
import type { Scenario } from "../rig/scenario.js";

const STREAM_ACK = '{"stream":"AUDIT","seq":7}';

const strangers: Scenario = {
  id: "X19",
  fault: "what a stream or a stranger answers in the place of a worker or a manager is no job's result",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 4 })]);
    const caller = await rig.client();
    await caller.submit({ do: "return" });
    // A stream over these subjects acknowledges each request, quicker than anybody answers it.
    const bus = await connectBus(rig.owner, { url: rig.nextUrl() });
    // A stranger says besides all that a worker says, in nobody's name.
    const kinds = ["result", "error", "busy", "accepted", "progress"] as const;
    for (const subject of [`pool.${POOL}.submit`, `pool.${POOL}.job`, `pool.${POOL}.job.*`]) {
      bus.subscribe(subject, ({ reply = "", headers }) => {
        bus.publish(reply, Buffer.from(STREAM_ACK));
        const jobId = headers?.get(HEADER.jobId) ?? "";
        const attempt = Number(headers?.get(HEADER.attempt)) || 1;
        for (const [n, kind] of kinds.entries()) {
          const worker = n % 2 === 0 ? {} : { worker: "nobody" };
          bus.publish(reply, Buffer.from("0"), { headers: encodeReplyHeaders({ kind, jobId, attempt, ...worker }) });
        }
      });
    }
    await bus.flush();
    const jobs = rig.scale(60, 600);
    const heard = await caller.load({ jobs, window: 4, order: { do: "wait", ms: 5 }, timeoutMs: 10_000 });
    assertEnded(heard, { ok: jobs });
    assert.equal(rig.history.of("start").length, jobs + 1, "each ran once");
    return `${jobs} jobs with their own results`;
  },
};

const malformed: Scenario = {
  id: "X22",
  fault: "a malformed attempt is answered invalid_argument, also during a standstill, and is no line in a log",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const [, worker] = await Promise.all([rig.manager("m1"), rig.worker("w1")]);
    const bus = await connectBus(rig.owner, rig.broker);
    const ask = async (subject: string, attempt: string): Promise<string> => {
      const { headers } = await import("nats");
      const said = headers();
      said.set("Pool-Attempt", attempt);
      const reply = await bus.nc.request(subject, "{}", { timeout: 10_000, headers: said });
      return reply.headers?.get("Pool-Error") ?? "";
    };
    const said: string[] = [];
    const subjects = [`pool.${POOL}.job.w1`, `pool.${POOL}.submit`, `pool.${POOL}.job`];
    for (const attempt of ["x", "0", "-1", "1.5", "99999999999"]) {
      for (const subject of subjects) said.push(await ask(subject, attempt));
    }
    worker.pause();
    const during = ask(`pool.${POOL}.job.w1`, "x");
    worker.resume();
    said.push(await during);
    assert.deepEqual([...new Set(said)], ["invalid_argument"]);
    const lines = worker.process.stdout.split("\n").filter((line) => /threw|"level":50/.test(line));
    assert.deepEqual(lines, []);
    return `${said.length} of ${said.length} answered invalid_argument`;
  },
};

/** All of them. */
export const authenticity: readonly Scenario[] = [strangers, malformed];
