import assert from "node:assert/strict";
import { test } from "node:test";
import { Lifecycle } from "../../../mesh/process/lifecycle.js";

class Part extends Lifecycle {
  readonly calls: string[] = [];
  constructor(readonly startError?: Error) {
    super();
  }
  die(error: Error): void {
    this.fail(error);
  }
  protected async onStart(): Promise<void> {
    this.calls.push("start");
    if (this.startError) throw this.startError;
  }
  protected async onStop(): Promise<void> {
    this.calls.push("stop");
  }
}

test("lifecycle - stop works before start and twice", async () => {
  const part = new Part();
  await Promise.all([part.stop(), part.stop()]);
  assert.deepEqual(part.calls, []);
  assert.equal(await part.closed, undefined);
  await assert.rejects(part.start(), /after stop/);
});

test("lifecycle - start and stop run once however often they are called", async () => {
  const part = new Part();
  await Promise.all([part.start(), part.start()]);
  assert.equal(part.state, "running");
  await Promise.all([part.stop(), part.stop()]);
  assert.deepEqual(part.calls, ["start", "stop"]);
  assert.equal(part.state, "stopped");
});

test("lifecycle - a start that fails stops what it had begun and rejects with the cause", async () => {
  const part = new Part(new Error("no"));
  await assert.rejects(part.start(), /no/);
  assert.deepEqual(part.calls, ["start", "stop"]);
  assert.equal(part.state, "stopped");
});

test("lifecycle - closed tells the error of an end that nobody asked for", async () => {
  const part = new Part();
  await part.start();
  part.die(new Error("gone"));
  assert.equal((await part.closed)?.message, "gone");
  await part.stop();
  assert.deepEqual(part.calls, ["start", "stop"]);
});
