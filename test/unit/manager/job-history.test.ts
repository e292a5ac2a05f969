/** What a pool remembers of jobs that have ended, and how they are listed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { JobFilterSchema, type JobView, JobViewState } from "../../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult, type JobSpec } from "../../../mesh/job/job.js";
import { fromPageToken, mergePages, toPageToken } from "../../../mesh/job/job-views.js";
import { JobHistory, SHOWN_BYTES } from "../../../services/manager/jobs/history.js";
import { Job } from "../../../services/manager/jobs/job.js";
import { type JobRules, listJobs, listSlowest } from "../../../services/manager/jobs/job-list.js";
import { CoreRig } from "../../support/core/core-rig.js";
import { seededRandom } from "../../support/random.js";

const SPEC: JobSpec = {
  ...{
    id: "j",
    nonce: "",
    payload: new Uint8Array(3),
    timeoutMs: 1_000,
    runTimeoutMs: undefined,
    maxAttempts: undefined,
    idempotent: false,
  },
  ...{ joinAt: undefined, priority: "normal", wait: true, waitForPool: false, client: "" },
  ...{ traceparent: undefined, tracestate: undefined, attemptsBefore: 0 },
};
const jobOf = (said: Partial<JobSpec>, submittedAtMs = 0): Job =>
  new Job({ ...SPEC, ...said }, submittedAtMs, { onEnd: () => {} });
const okOf = (id: string, bytes = 0) =>
  ({ ok: true, id, result: new JobResult(id, new Uint8Array(bytes), "w", 1, 0, 0) }) as const;
const failedOf = (id: string) =>
  ({ ok: false, id, error: new PoolError("job_failed", "no"), worker: "w", attempt: 1 }) as const;
const idsOf = (history: JobHistory): string[] => Array.from(history.newest(), ({ id }) => id);

test("history - the last jobs are remembered, failures apart from results, and no more than so many of each", () => {
  const history = new JobHistory({ jobs: 100, payloads: false });
  history.add(jobOf({ id: "bad" }), failedOf("bad"), 1);
  for (let i = 0; i < 1_000; i += 1) history.add(jobOf({ id: `ok-${i}` }), okOf(`ok-${i}`), i);
  assert.equal(history.size, 101);
  const ids = idsOf(history);
  assert.equal(ids[0], "bad", "a thousand results do not push it out");
  assert.deepEqual([ids[1], ids.at(-1)], ["ok-999", "ok-900"]);
  for (let i = 0; i < 250; i += 1) history.add(jobOf({ id: `bad-${i}` }), failedOf(`bad-${i}`), i);
  assert.deepEqual([history.size, idsOf(history)[0], idsOf(history)[99]], [200, "bad-249", "bad-150"]);
});

test("history - what is remembered is what the job was, also after others were written over it", () => {
  const history = new JobHistory({ jobs: 2, payloads: false });
  for (const id of ["a", "b", "c"]) {
    const said = { id, nonce: `n${id}`, client: "ci", idempotent: true, priority: "low", runTimeoutMs: 5 } as const;
    history.add(jobOf({ ...said, traceparent: "t" }, 10), okOf(id, 7), 30);
  }
  const [entry] = history.newest();
  const { id, nonce, client, worker, attempt, priority, idempotent, durable, submittedAtMs, endedAtMs } = entry!;
  assert.deepEqual([id, nonce, client, worker, attempt, priority], ["c", "nc", "ci", "w", 1, "low"]);
  assert.deepEqual([idempotent, durable, submittedAtMs, endedAtMs], [true, true, 10, 30]);
  assert.deepEqual([entry!.payloadBytes, entry!.resultBytes, entry!.traceparent], [3, 7, "t"]);
  assert.deepEqual([entry!.error, entry!.payload, entry!.result], [undefined, undefined, undefined]);
});

test("history - a pool that remembers none remembers none, and payloads are kept only when they are shown, cut", () => {
  const none = new JobHistory({ jobs: 0, payloads: true });
  none.add(jobOf({}), okOf("j"), 1);
  assert.deepEqual(idsOf(none), []);
  const shown = new JobHistory({ jobs: 4, payloads: true });
  shown.add(jobOf({ payload: new Uint8Array(SHOWN_BYTES + 1) }), okOf("j", 2), 1);
  const [entry] = shown.newest();
  assert.deepEqual([entry?.payload?.bytes.length, entry?.payload?.truncated], [SHOWN_BYTES, true]);
  assert.deepEqual([entry?.result?.bytes.length, entry?.result?.truncated], [2, false]);
});

test("history - the slowest of the last minute are known by their ids, however many jobs were quicker since", () => {
  const history = new JobHistory({ jobs: 10, payloads: false });
  const end = (id: string, tookMs: number, atMs: number, client = ""): void =>
    history.add(jobOf({ id, client }, atMs - tookMs), okOf(id), atMs);
  const slowest = (nowMs: number, filter = {}, limit = 3): string[] => {
    const rules = { filter: create(JobFilterSchema, filter) };
    const by = { manager: "m", nowMs, wallOffsetMs: 0 };
    return listSlowest([{ pool: "p", live: [], history }], rules, by, limit).map(({ jobId }) => jobId);
  };
  [50, 900, 20, 700, 800, 30].forEach((ms, i) => {
    end(`slow-${ms}`, ms, 1_000 + i, ms === 20 ? "ci" : "");
  });
  for (let i = 0; i < 500; i += 1) end(`quick-${i}`, 1, 2_000 + i);
  assert.deepEqual(slowest(3_000), ["slow-900", "slow-800", "slow-700"]);
  assert.deepEqual(slowest(3_000, { client: "ci" }), ["slow-20"]);
  assert.equal(slowest(3_000, {}, 100).length, 16 + 10, "with the ten that are remembered anyway, each once");
  assert.deepEqual(
    Array.from(history.of("slow-900"), ({ endedAtMs }) => endedAtMs),
    [1_001],
  );
  assert.equal(Array.from(history.of("quick-499")).length, 1);
  assert.deepEqual(slowest(70_000), []);
  end("later", 5, 70_000);
  assert.deepEqual(slowest(70_001), ["later"], "what is older than a minute keeps nobody out");
  assert.deepEqual(Array.from(history.of("slow-900")), []);
});

test("history - an ended job leaves nothing behind but what is shown of it: its payload can be collected", async () => {
  const history = new JobHistory();
  let collected = 0;
  const registry = new FinalizationRegistry(() => {
    collected += 1;
  });
  for (let i = 0; i < 20; i += 1) {
    const job = jobOf({ id: `j${i}`, payload: new Uint8Array(1_000_000) });
    registry.register(job, i);
    history.add(job, okOf(`j${i}`), i);
  }
  assert.equal(history.size, 20);
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  for (let i = 0; i < 50 && collected < 19; i += 1) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(collected >= 19, `${collected} of 20`);
});

const by = { manager: "m", nowMs: 1_000, wallOffsetMs: 1_700_000_000_000 };
const rules = (
  filter: Partial<JobView & { states: JobViewState[]; reason: string; jobIdPrefix: string }> = {},
): JobRules => ({
  filter: create(JobFilterSchema, filter as object),
});

test("list - live and ended jobs are told once each, the newest first, and a filter leaves out the others", () => {
  const rig = new CoreRig();
  rig.heartbeat("w1", 1);
  rig.submit({ id: "first", client: "ci" });
  rig.result("first", "w1", 1);
  rig.nowMs = 5;
  rig.submit({ id: "second" });
  rig.accepted("second", "w1", 0);
  rig.nowMs = 6;
  rig.submit({ id: "third", client: "ci" });
  rig.nowMs = 7;
  rig.submit({ id: "fourth" });
  rig.error("second", "w1", new PoolError("job_failed", "no"));
  const source = { pool: "p", live: rig.dispatcher.liveJobsNow(), history: rig.totals.history };
  const listed = (which: JobRules): string[] =>
    listJobs([source], which, by, undefined, 10).jobs.map(({ jobId }) => jobId);
  assert.deepEqual(listed(rules()), ["fourth", "third", "second", "first"]);
  assert.deepEqual(listed(rules({ client: "ci" })), ["third", "first"]);
  assert.deepEqual(listed(rules({ reason: "job_failed" })), ["second"]);
  assert.deepEqual(listed(rules({ worker: "w1" })), ["third", "second", "first"]);
  assert.deepEqual(listed(rules({ jobIdPrefix: "fi" })), ["first"]);
  const states: JobViewState[] = [JobViewState.PARKED, JobViewState.SUCCEEDED];
  assert.deepEqual(listed(rules({ states })), ["fourth", "first"]);
  assert.deepEqual(listed({ filter: undefined, onlyClient: "ci" }), ["third", "first"]);
});

/** A job was refused after 3 ms, and waits for a slot 90 ms after its submission. */
function refusedRig(): CoreRig {
  const rig = new CoreRig();
  rig.heartbeat("w1", 1);
  rig.submit({ id: "refused" });
  rig.nowMs = 3;
  rig.busy("refused", "w1");
  rig.nowMs = 90;
  return rig;
}

test("list - a job that was refused and waits for a slot waits until now, runs at nobody and for no time", () => {
  const rig = refusedRig();
  const source = { pool: "p", live: rig.dispatcher.liveJobsNow(), history: rig.totals.history };
  const [job] = listJobs([source], rules(), { ...by, nowMs: rig.nowMs }, undefined, 10).jobs;
  assert.equal(job?.state, JobViewState.PARKED);
  assert.deepEqual([job.waitMs, job.runMs, job.totalMs, job.worker, job.sentAt], [90, 0, 90, "", undefined]);
  const ofWorker = listJobs([source], rules({ worker: "w1" }), by, undefined, 10);
  assert.deepEqual(ofWorker.jobs, []);
});

test("list - a job that ends while it waits after a refusal has waited until its end, ran at nobody and for no time", () => {
  const rig = refusedRig();
  const job = rig.dispatcher.live("refused");
  assert.ok(job !== undefined);
  rig.dispatcher.cancel(job, new PoolError("canceled", "no more"));
  const [outcome] = rig.outcomes.get("refused") ?? [];
  assert.ok(outcome?.ok === false);
  assert.deepEqual([outcome.worker, outcome.attempt, outcome.waitMs], ["", 0, undefined]);
  const source = { pool: "p", live: [], history: rig.totals.history };
  const [shown] = listJobs([source], rules(), { ...by, nowMs: rig.nowMs }, undefined, 10).jobs;
  assert.deepEqual([shown?.state, shown?.worker, shown?.waitMs, shown?.runMs], [JobViewState.FAILED, "", 90, 0]);
});

test("list - pages of several managers neither repeat nor miss a job, whatever their sizes are and although jobs come", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = seededRandom(seed);
    const managers = Array.from({ length: 1 + Math.floor(random() * 4) }, () => new JobHistory());
    const all: string[] = [];
    const add = (submittedAtMs: number): void => {
      const id = `j${all.length}`;
      const history = managers[Math.floor(random() * managers.length)] as JobHistory;
      history.add(jobOf({ id }, submittedAtMs), random() < 0.5 ? okOf(id) : failedOf(id), submittedAtMs);
      all.push(id);
    };
    for (let i = 0; i < 120; i += 1) add(Math.floor(random() * 40) / 4);
    const before = all.length;
    const told: string[] = [];
    let token = "";
    do {
      const size = 1 + Math.floor(random() * 30);
      // A manager that has little room in a message tells of fewer jobs than it is asked for.
      const answers = managers.map((history) => {
        const limit = Math.max(1, Math.floor(size * random()));
        return listJobs([{ pool: "p", live: [], history }], rules(), by, fromPageToken(token), limit);
      });
      const page = mergePages(answers, size);
      assert.ok(page.jobs.length <= size);
      told.push(...page.jobs.map(({ jobId }) => jobId));
      token = page.next;
      add(1_000);
    } while (token !== "");
    assert.deepEqual([...told].sort(), all.slice(0, before).sort(), `seed ${seed}`);
  }
});

test("list - a job that its client has just given to another manager is told once: where it is live", () => {
  const view = (manager: string, state: JobViewState, attempt: number, attemptNumber: number) => {
    const rig = new JobHistory();
    rig.add(jobOf({ id: "same", nonce: "n" }), okOf("same"), 1);
    const [job] = listJobs([{ pool: "p", live: [], history: rig }], rules(), by, undefined, 1).jobs;
    return { jobs: [{ ...job!, manager, state, attempt, attemptNumber }], more: false };
  };
  const { FAILED, RUNNING, SUCCEEDED } = JobViewState;
  const shown = (...answers: ReturnType<typeof view>[]) => mergePages(answers, 10).jobs.map(({ manager }) => manager);
  assert.deepEqual(shown(view("old", FAILED, 1, 1), view("new", RUNNING, 2, 1_001)), ["new"]);
  // The first manager made more attempts than there were managers: the number tells which is later, not the count.
  assert.deepEqual(shown(view("old", FAILED, 3, 3), view("new", SUCCEEDED, 2, 1_001)), ["new"]);
  assert.deepEqual(shown(view("old", FAILED, 3, 0), view("new", SUCCEEDED, 1_001, 0)), ["new"], "older managers");
});

test("list - a page token is what was given, and anything else is refused by its field", () => {
  const place = { atUs: 1_700_000_000_000_123, pool: "p-1", id: "j_2" };
  assert.deepEqual(fromPageToken(toPageToken(place)), place);
  assert.equal(fromPageToken(""), undefined);
  const bad = [
    "1.2.p.j",
    "....",
    toPageToken({ ...place, pool: "a b" }),
    "x".repeat(10_000),
    toPageToken({ ...place, atUs: -1 }),
  ];
  for (const token of bad) {
    assert.throws(() => fromPageToken(token), { reason: "invalid_argument", field: "page_token" }, token.slice(0, 40));
  }
});
