import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import { type JobStarter, jobFlow } from "../../../mesh/job/job-flow.js";

const done = (id: string): Outcome => ({ ok: true, id, result: new JobResult(id, new Uint8Array(), "w", 1, 0, 0) });

/** Holds every job until it is told to end. */
class Held implements JobStarter<number> {
  readonly live = new Map<string, (outcome: Outcome) => void>();
  readonly canceled: string[] = [];
  most = 0;

  start(input: number, _leftMs: number, onOutcome: (outcome: Outcome) => void): string {
    this.live.set(String(input), onOutcome);
    this.most = Math.max(this.most, this.live.size);
    return String(input);
  }

  cancel(id: string): void {
    this.canceled.push(id);
    this.end(id, { ok: false, id, error: new PoolError("canceled", "x"), worker: "", attempt: 0 });
  }

  end(id: string, outcome: Outcome = done(id)): void {
    const tell = this.live.get(id);
    this.live.delete(id);
    tell?.(outcome);
  }

  endAll(): void {
    for (const id of [...this.live.keys()].reverse()) this.end(id);
  }
}

/** What was read is started at the end of the turn in which it was read. */
async function started(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
}

async function* endless(read: { count: number }): AsyncGenerator<number> {
  for (let i = 0; ; i += 1) {
    read.count += 1;
    yield i;
  }
}

test("job flow - an endless input is read no faster than outcomes leave", async () => {
  const held = new Held();
  const read = { count: 0 };
  const flow = jobFlow(held, endless(read), { window: 8 });
  for (let i = 0; i < 100; i += 1) {
    const next = flow.next();
    await started();
    held.endAll();
    assert.equal((await next).done, false);
    assert.ok(read.count <= i + 1 + 8 + 1, `read ${read.count} after ${i + 1}`);
  }
  assert.ok(held.most <= 8);
  await flow.return(undefined);
});

test("job flow - ordered gives outcomes in the order of the inputs", async () => {
  const held = new Held();
  const flow = jobFlow(held, [0, 1, 2, 3], { ordered: true });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const outcome of flow) seen.push(outcome.index);
  })();
  await started();
  held.endAll();
  await reading;
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test("job flow - ending it early cancels what is under way", async () => {
  const held = new Held();
  const flow = jobFlow(held, [0, 1, 2]);
  const first = flow.next();
  await started();
  held.end("1");
  await first;
  await flow.return(undefined);
  assert.deepEqual(held.canceled, ["0", "2"]);
});

test("job flow - a job that finds the pool full is started again until its deadline", async () => {
  let tries = 0;
  const starter: JobStarter<number> = {
    start(input, _leftMs, onOutcome) {
      tries += 1;
      if (tries < 3) throw new PoolError("pool_full", "full", { retryAfterMs: 1 });
      queueMicrotask(() => onOutcome(done(String(input))));
      return String(input);
    },
    cancel: () => {},
  };
  const outcomes = [];
  for await (const outcome of jobFlow(starter, [7])) outcomes.push(outcome);
  assert.deepEqual(
    outcomes.map(({ ok, input }) => [ok, input]),
    [[true, 7]],
  );
  assert.equal(tries, 3);
});

test("job flow - with wait off a full pool is an outcome at once", async () => {
  const starter: JobStarter<number> = {
    start: () => {
      throw new PoolError("pool_full", "full", { retryAfterMs: 1 });
    },
    cancel: () => {},
  };
  const reasons = [];
  for await (const outcome of jobFlow(starter, [1, 2], { wait: false }))
    reasons.push(outcome.ok ? "ok" : outcome.error.reason);
  assert.deepEqual(reasons, ["pool_full", "pool_full"]);
});

test("job flow - what the inputs throw is thrown, after the jobs before it were canceled", async () => {
  const held = new Held();
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    throw new Error("no more input");
  }
  await assert.rejects(jobFlow(held, broken()).next(), /no more input/);
  assert.deepEqual(held.canceled, ["1"]);
});

test("job flow - a window out of range is refused", async () => {
  for (const window of [0, -1, 1.5, Number.NaN, 65_537]) {
    await assert.rejects(jobFlow(new Held(), [1], { window }).next(), { reason: "invalid_argument", field: "window" });
  }
});

test("job flow - what an asynchronous input gives in one turn is started in one go", async () => {
  const held = new Held();
  const sizes: number[] = [];
  async function* three(): AsyncGenerator<number> {
    for (let i = 0; i < 3; i += 1) {
      sizes.push(held.live.size);
      yield i;
    }
  }
  const flow = jobFlow(held, three());
  const first = flow.next();
  await started();
  assert.deepEqual([sizes, held.live.size], [[0, 0, 0], 3]);
  held.endAll();
  await first;
  await flow.return(undefined);
});

test("job flow - giving up while a job waits for room ends the flow", async () => {
  const abort = new AbortController();
  const full: JobStarter<number> = {
    start: () => {
      throw new PoolError("pool_full", "full", { retryAfterMs: 20 });
    },
    cancel: () => {},
  };
  const flow = jobFlow(full, [1], { signal: abort.signal });
  const first = flow.next();
  await started();
  abort.abort();
  const { value } = await first;
  assert.equal(value !== undefined && !value.ok && value.error.reason, "canceled");
  assert.equal((await flow.next()).done, true);
});
