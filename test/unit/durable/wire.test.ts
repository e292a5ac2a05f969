/** What the durable lane writes and reads: headers, subjects, answers, and how much is pulled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers as natsHeaders } from "nats";
import { giveBack, readAckSubject } from "../../../mesh/durable/ack-subject.js";
import { enqueueRefusal, isFenced, isTaken, readPublishAnswer } from "../../../mesh/durable/answers.js";
import { decodeHeldJob, encodeHeldJob } from "../../../mesh/durable/held-job.js";
import { decodeHeldList, encodeHeldList, sizeOf } from "../../../mesh/durable/held-list.js";
import { type DurableJob, decodeDurableJob, durableDefaults, encodeDurableJob } from "../../../mesh/durable/job.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { decodeDeath, decodeOutcome, encodeDeath, encodeOutcome, jobHeadersOf } from "../../../mesh/durable/outcome.js";
import { differences, jobsStream } from "../../../mesh/durable/streams.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { Delivery, Held } from "../../../services/manager/durable/held.js";
import { shares, wantHeld } from "../../../services/manager/durable/share.js";

const full: DurableJob = {
  timeoutMs: 5_000,
  expiresAt: 1_700_000_000_000,
  maxAttempts: 9,
  backoff: { baseMs: 5, capMs: 50 },
  idempotent: false,
  keepOutcome: false,
  check: true,
  afterOutcome: 12,
  then: [
    { pool: "mail", id: "mail-7" },
    { pool: "archive", id: undefined },
  ],
  notifyTogether: true,
  batch: undefined,
  notify: "_INBOX.a.b",
  enqueuedAt: 1_699_999_999_999,
  concurrencyKey: "tenant 7",
  client: "billing",
  traceparent: "00-1-2-01",
  tracestate: "a=b",
};

test("durable - what is written of a job is read back, and a job that says nothing has the defaults", () => {
  assert.deepEqual(decodeDurableJob(encodeDurableJob(full), 1, "_INBOX"), full);
  assert.deepEqual(decodeDurableJob(undefined, 30_000, "_INBOX"), durableDefaults());
  assert.deepEqual(decodeDurableJob(encodeDurableJob(durableDefaults(77)), 1, "_INBOX"), durableDefaults(77));
});

test("durable - a wrong header is told by its name, and an address that is no inbox is dropped", () => {
  const bad: [string, string][] = [
    [HEADER.maxAttempts, "0"],
    [HEADER.maxAttempts, "101"],
    [HEADER.maxAttempts, "many"],
    [HEADER.backoff, "5"],
    [HEADER.backoff, "10-5"],
    [HEADER.backoff, "a-b"],
    [HEADER.backoff, "5-10-20"],
    [HEADER.then, "mail:x,mail:x"],
    [HEADER.then, "mail:x,print,mail:x"],
    [HEADER.afterOutcome, "-1"],
    [HEADER.enqueuedAt, "yesterday"],
    [HEADER.timeoutMs, "0"],
    [HEADER.expiresAt, "x"],
  ];
  for (const [name, value] of bad) {
    const h = natsHeaders();
    h.set(name, value);
    assert.throws(
      () => decodeDurableJob(h, 30_000, "_INBOX"),
      (error: PoolError) => error.reason === "invalid_argument" && error.field === name,
      `${name}: ${value}`,
    );
  }
  for (const notify of ["pool.p.job", "$JS.API.STREAM.DELETE.x", "_INBOX.>", "_INBOX.*", "_INBOX.a..b", "_INBOX."]) {
    const h = natsHeaders();
    h.set(HEADER.notify, notify);
    assert.equal(decodeDurableJob(h, 30_000, "_INBOX").notify, undefined, notify);
  }
});

test("durable - an outcome is read back with what was stored beside it", () => {
  const facts = { sequence: 7, manager: "m", attempt: 3, enqueuedAt: 100, endedAt: 350, client: "shop" };
  const ok: Outcome = { ok: true, id: "j", result: new JobResult("j", Buffer.from("42"), "w", 2_001, 1, 2) };
  const { headers, payload } = encodeOutcome(ok, facts);
  const read = decodeOutcome("j", headers, payload);
  assert.ok(read?.outcome.ok);
  assert.deepEqual(
    [read.outcome.result.attempt, read.outcome.result.totalMs, read.outcome.result.worker],
    [3, 250, "w"],
  );
  assert.equal(read.outcome.result.waitMs, 249, "from enqueue to its sending: it ran for 1 ms");
  assert.deepEqual(read.facts, facts);
  const error = new PoolError("worker_lost", "gone", { maybeExecuted: true });
  const lost = encodeOutcome({ ok: false, id: "j", error, worker: "", attempt: 1 }, facts);
  const again = decodeOutcome("j", lost.headers, lost.payload);
  assert.ok(again !== undefined && !again.outcome.ok);
  assert.deepEqual([again.outcome.error.reason, again.outcome.error.maybeExecuted], ["worker_lost", true]);
  assert.equal(decodeOutcome("j", natsHeaders(), payload), undefined, "no outcome");
});

test("durable - a dead letter keeps the job's own headers, which come back without those of its death", () => {
  const about = { sequence: 7, attempt: 5, manager: "m", priority: "high", diedAt: 123 };
  const job = encodeDurableJob(full);
  job.append("Nats-Msg-Id", "x");
  const letter = encodeDeath(job, new PoolError("job_failed", "boom", { jobCode: "a.b" }), about);
  const { error, ...facts } = decodeDeath(letter);
  assert.deepEqual(facts, about);
  assert.deepEqual([error.reason, error.message, error.jobCode], ["job_failed", "boom", "a.b"]);
  assert.deepEqual(decodeDurableJob(jobHeadersOf(letter), 1, "_INBOX"), full);
  assert.equal(jobHeadersOf(letter).get("Nats-Msg-Id"), "");
});

test("durable - a header that has half of a line break in its value is left out of what is written again", () => {
  const said: [string, string[]][] = [
    ["tracestate", ["a\rb"]],
    ["X-Odd", ["a\nb"]],
    ["X-Mine", ["kept"]],
  ];
  const reader = Object.assign(said, { get: () => "", code: 0, description: "" });
  assert.deepEqual([...jobHeadersOf(reader)], [["X-Mine", ["kept"]]]);
});

test("durable - names of streams and subjects", () => {
  const names = new DurableNames("eu.prod");
  assert.equal(names.jobsStream("adder"), "eu=prod-jobs-adder");
  assert.equal(names.job("adder", "high", "a1"), "eu.prod.adder.durable.high.a1");
  assert.deepEqual(names.readJob("eu.prod.adder.durable.high.a1"), { pool: "adder", level: "high", id: "a1" });
  for (const subject of ["eu.prod.adder.durable.urgent.a1", "eu.prod.adder.job", "eu.prod.adder.durable.high.a.b"]) {
    assert.equal(names.readJob(subject), undefined, subject);
  }
  assert.throws(() => names.job("adder", "high", "a.b"), PoolError);
});

test("durable - the subject of an acknowledgement is read in both its forms", () => {
  const storedAt = "1700000000000000000";
  const facts = {
    stream: "pool-jobs-p",
    consumer: "high",
    deliveries: 2,
    sequence: 17,
    count: 9,
    storedAt,
    pending: 4,
  };
  assert.deepEqual(readAckSubject("$JS.ACK.pool-jobs-p.high.2.17.9.1700000000000000000.4"), facts);
  assert.deepEqual(readAckSubject("$JS.ACK._.acc.pool-jobs-p.high.2.17.9.1700000000000000000.4.rnd"), facts);
  for (const subject of [undefined, "", "_INBOX.a", "$JS.ACK.a.b", "$JS.ACK.s.c.x.1.1.1.1", "$JS.ACK.s.c.1.1.1.x.1"]) {
    assert.equal(readAckSubject(subject), undefined, subject);
  }
  assert.equal(Buffer.from(giveBack(0)).toString(), "-NAK");
  assert.equal(Buffer.from(giveBack(1.5)).toString(), '-NAK {"delay": 2000000}');
});

const answer = (value: unknown) =>
  readPublishAnswer({ data: Buffer.from(JSON.stringify(value)), headers: undefined as never });
const refused = (err_code: number, description: string) => answer({ error: { code: 400, err_code, description } });

test("durable - what a stream answers is told apart by code and text", () => {
  assert.deepEqual(answer({ stream: "s", seq: 4, duplicate: true }), { kind: "stored", sequence: 4, duplicate: true });
  assert.equal(isTaken(refused(10_077, "maximum messages per subject exceeded")), true);
  assert.equal(isFenced(refused(10_071, "wrong last sequence: 5")), true);
  const reasons: [number, string, string][] = [
    [10_077, "maximum messages per subject exceeded", "duplicate_job"],
    [10_077, "maximum messages exceeded", "pool_full"],
    [10_077, "maximum bytes exceeded", "pool_full"],
    [10_054, "message size exceeds maximum allowed", "payload_too_large"],
    [10_047, "insufficient storage resources available", "bus_unavailable"],
    [10_077, "no space left on device", "bus_unavailable"],
    [10_099, "something new", "bus_unavailable"],
  ];
  for (const [code, text, reason] of reasons) {
    const error = enqueueRefusal(refused(code, text) as never, "p");
    assert.equal(error.reason, reason, text);
    if (reason === "bus_unavailable") assert.ok(error.message.includes(text), "an unknown text is passed on");
  }
  assert.equal(enqueueRefusal({ kind: "absent" }, "p").reason, "unknown_pool");
  assert.equal(enqueueRefusal({ kind: "silent" }, "p").maybeExecuted, true);
  const garbage = readPublishAnswer({ data: Buffer.from("no json"), headers: undefined as never });
  assert.equal(garbage.kind, "refused");
});

test("durable - a setting that differs is told, one that the broker adds is not", () => {
  const wanted = jobsStream(new DurableNames(), "p", 1);
  assert.deepEqual(differences(wanted, { ...wanted, max_msg_size: -1, num_replicas: 3 }), []);
  assert.deepEqual(differences(wanted, { ...wanted, max_msgs: 5 }), ["max_msgs: 1000000 expected, 5 found"]);
});

test("durable - a manager holds what its workers take soon, and levels share it as 16 : 4 : 1", () => {
  const limits = { endedPerSecond: 0, parkedLimit: 10_000 };
  assert.equal(wantHeld({ capacity: 0, ...limits }), 8);
  assert.equal(wantHeld({ capacity: 100, ...limits }), 200);
  assert.equal(wantHeld({ capacity: 4, endedPerSecond: 2_000, parkedLimit: 10_000 }), 200);
  assert.equal(wantHeld({ capacity: 5_000, ...limits }), 512);
  assert.equal(wantHeld({ capacity: 5_000, endedPerSecond: 0, parkedLimit: 40 }), 10);
  const idle = { asked: 0, waiting: 0 };
  const busy = { asked: 0, waiting: 1_000 };
  assert.deepEqual(shares(210, [busy, busy, busy]), [160, 40, 10]);
  assert.deepEqual(shares(100, [idle, busy, idle]), [8, 100, 8], "an unused share goes to the others");
  assert.deepEqual(shares(100, [{ asked: 8, waiting: 0 }, { asked: 60, waiting: 9 }, idle]), [0, 0, 8]);
  assert.deepEqual(shares(0, [busy, busy, busy]), [0, 0, 0]);
  assert.deepEqual(shares(1, [busy, busy, busy]), [1, 1, 1], "nobody starves");
});

test("durable - what managers tell each other is read back, and garbage is not", () => {
  const list = { high: [1], normal: [2, 3], low: [] };
  assert.deepEqual(decodeHeldList(encodeHeldList(list)), list);
  assert.equal(sizeOf(list), 3);
  const long = { ...list, normal: Array.from({ length: 5_000 }, (_, i) => i + 1) };
  assert.equal(sizeOf(decodeHeldList(encodeHeldList(long)) ?? list), 4_096, "bounded");
  for (const text of ["", "null", "[]x", '{"high":1}', '{"high":["a"]}', '{"high":[-1]}', '{"high":[1.5]}']) {
    assert.equal(decodeHeldList(Buffer.from(text)), undefined, text);
  }
  const job = { state: "running", attempt: 2, worker: "w" } as const;
  assert.deepEqual(decodeHeldJob(encodeHeldJob(job)), job);
  for (const text of ["", "{}", "null", '{"state":"gone","attempt":1,"worker":""}']) {
    assert.equal(decodeHeldJob(Buffer.from(text)), undefined, text);
  }
});

test("durable - a message has one name at every manager and delivery, and the first message of a stream that was made anew has another", () => {
  const nonce = (subject: string): string => {
    const facts = readAckSubject(subject);
    assert.ok(facts !== undefined);
    return new Delivery("j", "high", facts, subject, undefined, new Uint8Array(), durableDefaults(), 0).nonce;
  };
  const first = nonce("$JS.ACK.pool-jobs-p.high.1.1.1.1700000000000000000.4");
  assert.equal(nonce("$JS.ACK._.acc.pool-jobs-p.high.2.1.90.1700000000000000000.0.rnd"), first);
  assert.notEqual(nonce("$JS.ACK.pool-jobs-p.high.1.2.2.1700000000000000000.4"), first, "the next message");
  assert.notEqual(nonce("$JS.ACK.pool-jobs-p.high.1.1.1.1700000000000000001.4"), first, "a stream made anew");
  assert.ok(isName(nonce("$JS.ACK.pool-jobs-p.high.1.9007199254740991.1.18446744073709551615.4")));
});

test("durable - a lease ends before the broker delivers again, and signs of life renew it", () => {
  const held = new Held(30_000);
  const facts = { stream: "s", consumer: "high", deliveries: 1, sequence: 1, count: 1, storedAt: "5", pending: 0 };
  const delivery = new Delivery("j", "high", facts, "a", undefined, new Uint8Array(3), durableDefaults(), 0);
  held.add(delivery);
  assert.deepEqual([held.size, held.bytes, held.toSign(9_999).length, held.toSign(10_000).length], [1, 3, 0, 1]);
  assert.deepEqual([held.hasLease(delivery, 24_999), held.hasLease(delivery, 25_000)], [true, false]);
  held.beginEnd(delivery);
  held.beginEnd(delivery);
  assert.equal(held.ending, 1, "counted once");
  delivery.sign(10_000);
  assert.equal(held.hasLease(delivery, 34_000), true);
  assert.deepEqual(
    [held.remove(delivery), held.remove(delivery), held.size, held.bytes, held.ending],
    [true, false, 0, 0, 0],
  );
});
