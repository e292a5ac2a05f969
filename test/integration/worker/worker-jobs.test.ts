/** A worker's answers to jobs: results, refusals, acceptance, expiry, duplicates. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { headers as natsHeaders } from "nats";
import { PermanentError } from "../../../mesh/errors.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { encodeBundle, encodeJobsHeaders } from "../../../mesh/wire/payloads.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
describe("worker jobs", () => {
  test("a plain job without a header gets one reply, the result", async (t) => {
    const { caller } = await startWorker<number, number>(t, broker, { run: (job) => job.payload + 1 });
    const sent = caller.sendPlain("41");
    const reply = await sent.outcome();
    assert.equal(reply.text, "42");
    await caller.bus.flush();
    assert.equal(sent.replies.length, 1);
  });

  test("a plain job whose sender uses an id again with another payload hears its own result, with the same payload the one before", async (t) => {
    let runs = 0;
    const run = (job: { readonly payload: number }): number => {
      runs += 1;
      return job.payload + 1;
    };
    const { caller } = await startWorker<number, number>(t, broker, { run });
    const heard: string[] = [];
    for (const payload of ["41", "41", "1", "1"]) {
      const sent = caller.send(payload, { jobId: "same", offer: false });
      heard.push((await sent.outcome()).text);
    }
    assert.deepEqual([heard, runs], [["42", "42", "2", "2"], 2]);
  });

  test("a bundle with a malformed header starts none of its jobs: each is answered invalid_argument", async (t) => {
    let runs = 0;
    const { caller, pool } = await startWorker(t, broker, { run: () => (runs += 1) });
    const heard: string[] = [];
    const inbox = `${caller.bus.inboxRoot}.bundled.`;
    caller.bus.subscribe(`${inbox}*`, ({ subject, headers }) =>
      heard.push(`${subject.slice(inbox.length)} ${headers?.get(HEADER.error)} ${headers?.get(HEADER.field)}`),
    );
    const jobs = ["a", "b"].map((id) => {
      const about = { token: id, id, nonce: "", attempt: 1, timeoutMs: 5_000, traceparent: undefined };
      return { ...about, tracestate: undefined, payload: Buffer.from("1") };
    });
    const none = { sentAt: undefined, clockMs: undefined, startWithinMs: undefined };
    const headers = encodeJobsHeaders(2, none);
    headers.append(HEADER.startWithinMs, "soon");
    const subject = caller.subjects.jobFor(pool, "w1");
    caller.bus.publish(subject, encodeBundle(jobs), { headers, reply: `${inbox}a` });
    await eventually(() => heard.length === 2);
    const refusal = `invalid_argument ${HEADER.startWithinMs}`;
    assert.deepEqual([heard, runs], [[`a ${refusal}`, `b ${refusal}`], 0]);
  });

  test("a result names job, attempt, worker and the slots that are free after it", async (t) => {
    const { caller } = await startWorker(t, broker, { run: () => "done", slots: 3 });
    const reply = await caller.send("", { jobId: "j1", attempt: 4 }).outcome();
    const { kind, jobId, attempt, worker, free } = reply;
    assert.deepEqual(
      { kind, jobId, attempt, worker, free },
      { kind: "result", jobId: "j1", attempt: 4, worker: "w1", free: 3 },
    );
  });

  test("the handler sees id, attempt, pool, worker, payload, bytes, deadline and trace context", async (t) => {
    const { caller, pool } = await startWorker(t, broker, {
      run: (job) => {
        const { id, attempt, worker, payload, timeLeftMs, traceparent, tracestate } = job;
        const deadlineInMs = job.deadlineMs - Date.now();
        const bytes = job.bytes.length;
        return {
          id,
          attempt,
          pool: job.pool,
          worker,
          payload,
          bytes,
          timeLeftMs,
          traceparent,
          tracestate,
          deadlineInMs,
        };
      },
    });
    const headers = { jobId: "seen", attempt: 2, timeoutMs: 5_000, traceparent: "00-aa-bb-01", tracestate: "k=v" };
    const seen = JSON.parse((await caller.send('{"a":1}', headers).outcome()).text);
    assert.ok(seen.timeLeftMs > 1_000 && seen.timeLeftMs <= 5_000);
    assert.ok(seen.deadlineInMs > 1_000 && seen.deadlineInMs <= 5_001);
    const { id, attempt, worker, payload, bytes, traceparent, tracestate } = seen;
    assert.deepEqual(
      { id, attempt, pool: seen.pool, worker, payload, bytes, traceparent, tracestate },
      {
        id: "seen",
        attempt: 2,
        pool,
        worker: "w1",
        payload: { a: 1 },
        bytes: 7,
        traceparent: "00-aa-bb-01",
        tracestate: "k=v",
      },
    );
  });

  test("an offer that finds no free slot is answered busy at once, and a plain job pool_full", async (t) => {
    const held = gate();
    const { caller } = await startWorker(t, broker, { run: () => held.promise });
    const first = caller.send("1", { jobId: "first" });
    await first.first("accepted");
    assert.equal((await caller.send("2", { jobId: "second" }).first("busy")).free, 0);
    const plain = await caller.sendPlain("3").outcome();
    assert.equal(plain.error?.reason, "pool_full");
    assert.match(plain.error?.message ?? "", /submit to pool\.pool-\d+-\d+\.submit/);
    held.open();
    assert.equal((await first.outcome()).kind, "result");
  });

  test("a long job is said to be accepted, once, with its slot counted as taken", async (t) => {
    const held = gate();
    const { caller } = await startWorker(t, broker, { run: () => held.promise, slots: 2 });
    const sent = caller.send("", { jobId: "long" });
    assert.equal((await sent.first("accepted")).free, 1);
    held.open();
    assert.equal((await sent.outcome()).free, 2);
    assert.equal(sent.replies.filter((each) => each.kind === "accepted").length, 1);
  });

  test("progress comes in order before the result, through the codec, and only to who understands it", async (t) => {
    const { caller } = await startWorker(t, broker, {
      run: (job) => {
        job.progress({ step: 1 });
        job.progress({ step: 2 });
        return "done";
      },
    });
    const sent = caller.send("", { jobId: "p" });
    await sent.outcome();
    const kinds = sent.replies.filter((each) => each.kind !== "accepted");
    assert.deepEqual(
      kinds.map((each) => [each.kind, each.text]),
      [
        ["progress", '{"step":1}'],
        ["progress", '{"step":2}'],
        ["result", '"done"'],
      ],
    );
    const plain = caller.sendPlain("");
    await plain.outcome();
    assert.equal(plain.replies.length, 1);
  });

  test("whatever a handler throws is one error, without path or stack", async (t) => {
    const thrown: Record<string, () => unknown> = {
      error: () => {
        throw new Error("bad input in /home/someone/app/file.ts:12:3");
      },
      rejection: () => Promise.reject(new Error("later")),
      string: () => {
        throw "text";
      },
      nothing: () => {
        throw null;
      },
      permanent: () => {
        throw new PermanentError("never");
      },
      thenable: () => ({
        then: (_: unknown, reject: (e: Error) => void) => {
          reject(new Error("first"));
          throw new Error("after settling");
        },
      }),
      unencodable: () => 1n,
    };
    const { caller } = await startWorker<string, unknown>(t, broker, { run: (job) => thrown[job.payload]?.() });
    const seen: Record<string, string> = {};
    for (const name of Object.keys(thrown)) {
      const sent = caller.send(JSON.stringify(name), { jobId: name });
      seen[name] = (await sent.outcome()).text;
      await caller.bus.flush();
      assert.equal(sent.outcomes().length, 1);
    }
    assert.deepEqual(seen, {
      error: "job_failed: bad input in …",
      rejection: "job_failed: later",
      string: 'job_failed: the handler threw "text"',
      nothing: "job_failed: the handler threw null",
      permanent: "job_rejected: never",
      thenable: "job_failed: first",
      unencodable: "job_failed: result: a BigInt has no JSON form: make it a string",
    });
  });

  test("a payload that the codec refuses is invalid_argument and does not reach the handler", async (t) => {
    let ran = 0;
    const { caller } = await startWorker(t, broker, { run: () => (ran += 1) });
    const reply = await caller.send("{", { jobId: "x" }).outcome();
    assert.deepEqual([reply.error?.reason, reply.error?.field, ran], ["invalid_argument", "payload", 0]);
  });

  test("a malformed header is invalid_argument that names it", async (t) => {
    const { caller, pool } = await startWorker(t, broker, { run: () => 1 });
    const headers = natsHeaders();
    headers.append(HEADER.timeoutMs, "soon");
    const reply = await caller.bus.nc.request(caller.subjects.job(pool), "", { timeout: 5_000, headers });
    assert.equal(reply.headers?.get(HEADER.field), HEADER.timeoutMs);
    assert.equal(reply.headers?.get(HEADER.error), "invalid_argument");
  });

  test("a job that expired before it came is not run, within the tolerance it is", async (t) => {
    let ran = 0;
    const { caller } = await startWorker(t, broker, { run: () => (ran += 1) });
    const expired = await caller.send("", { jobId: "old", expiresAt: Date.now() - 60_000 }).outcome();
    assert.deepEqual([expired.error?.reason, expired.error?.maybeExecuted, ran], ["deadline_exceeded", false, 0]);
    assert.equal((await caller.send("", { jobId: "near", expiresAt: Date.now() - 500 }).outcome()).kind, "result");
  });

  test("a job past its deadline is answered, its signal fires, and a handler that ignores it keeps its slot and is counted", async (t) => {
    const held = gate();
    let aborted = false;
    const { caller, worker } = await startWorker(t, broker, {
      abortGraceMs: 50,
      run: (job) => {
        job.signal.addEventListener("abort", () => {
          aborted = true;
        });
        return held.promise;
      },
    });
    const reply = await caller.send("", { jobId: "late", timeoutMs: 60 }).outcome();
    assert.deepEqual([reply.error?.reason, reply.free, aborted, worker.busy], ["deadline_exceeded", 0, true, 1]);
    await eventually(async () => JSON.parse((await caller.control("probe", "w1").outcome()).text).worker.stuck === 1);
    held.open();
    await eventually(() => worker.busy === 0);
  });

  test("a job is not run twice: running it is accepted again, finished it is answered again, whichever attempt comes", async (t) => {
    const held = gate<string>();
    let ran = 0;
    const { caller } = await startWorker(t, broker, {
      slots: 4,
      run: () => {
        ran += 1;
        return held.promise;
      },
    });
    const first = caller.send("", { jobId: "same" });
    await first.first("accepted");
    const second = caller.send("", { jobId: "same" });
    await second.first("accepted");
    held.open("once");
    await first.outcome();
    const third = await caller.send("", { jobId: "same" }).outcome();
    assert.deepEqual([third.text, ran], ['"once"', 1]);
    const later = await caller.send("", { jobId: "same", attempt: 2 }).outcome();
    assert.deepEqual([later.text, later.attempt, ran], ['"once"', 2, 1]);
  });

  test("a job whose reply subject is no inbox is dropped, and nothing is sent there", async (t) => {
    let ran = 0;
    const { caller, pool } = await startWorker(t, broker, { run: () => (ran += 1) });
    const heard: string[] = [];
    caller.bus.subscribe("elsewhere", () => heard.push("elsewhere"));
    await caller.bus.flush();
    caller.bus.publish(caller.subjects.job(pool), undefined, { reply: "elsewhere" });
    assert.equal((await caller.send("", { jobId: "next" }).outcome()).text, "1");
    assert.deepEqual(heard, []);
  });

  test("a job without a reply subject is run", async (t) => {
    const ran = gate();
    const { caller, pool } = await startWorker(t, broker, { run: () => ran.open() });
    caller.bus.publish(caller.subjects.job(pool));
    await ran.promise;
  });

  const limit = 1024 * 1024 - 512;
  test("payloads from nothing to the limit come back to the byte, and one more byte is payload_too_large", async (t) => {
    const { caller } = await startWorker<Uint8Array, Uint8Array>(t, broker, {
      codec: "bytes",
      run: ({ payload }) => (payload.length === 1 ? new Uint8Array(limit + 1) : payload),
    });

    for (const size of [0, 2, 255, 65_536, limit]) {
      const payload = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 0xff);
      const reply = await caller.send(payload, { jobId: `b${size}` }).outcome();
      assert.ok(Buffer.from(reply.data).equals(payload), `${size} bytes`);
    }
    const reply = await caller.send(new Uint8Array(1), { jobId: "over" }).outcome();
    assert.equal(reply.error?.reason, "payload_too_large");
    assert.match(reply.error?.message ?? "", new RegExp(`${limit + 1} bytes.*${limit}`));
  });

  test("no more jobs run than there are slots, and every slot comes back", async (t) => {
    let running = 0;
    let most = 0;
    const { caller, worker } = await startWorker<number, void>(t, broker, {
      slots: 4,
      run: async (job) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        if (job.payload % 3 === 0) throw new Error("every third");
      },
    });
    const sent = Array.from({ length: 500 }, (_, i) => caller.send(String(i), { jobId: `n${i}` }));
    await eventually(() => sent.every((each) => each.replies.some(({ kind }) => kind !== "accepted")));
    assert.ok(most <= 4);
    assert.equal(worker.busy, 0);
  });
});
