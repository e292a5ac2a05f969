/** A call around another one hands on all that a handler is told, but for what it changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CallAround } from "../../../services/worker/handlers/around/call-around.js";
import type { Call, HandlerOutcome } from "../../../services/worker/handlers/runner.js";

test("call around - every field of the call within is handed on, and its progress; its end is the one around's", () => {
  const seen: string[] = [];
  const within: Required<Call> = {
    ...{
      id: "j",
      pool: "p",
      worker: "w",
      attempt: 3,
      attemptNumber: 3,
      lane: "durable",
      maxAttempts: 5,
      bytes: new Uint8Array([1]),
      deadlineAtMs: 9,
      timeLeftMs: 7,
    },
    ...{ progressLimit: 1_000, traceparent: "00-a", tracestate: "b=c", signal: new AbortController().signal },
    progress: (payload) => seen.push(`progress ${payload.length}`),
    end: () => seen.push("ended within"),
  };
  const onEnd = ({ ok }: HandlerOutcome): void => void seen.push(`ended around ${ok}`);
  const around = new CallAround(within, {}, onEnd);
  for (const name of Object.keys(within) as (keyof Call)[]) {
    if (name !== "progress" && name !== "end") assert.equal(around[name], within[name], name);
  }
  around.progress(new Uint8Array(4));
  around.end({ ok: true, payload: new Uint8Array() });
  assert.deepEqual(seen, ["progress 4", "ended around true"]);
  const bytes = new Uint8Array([2]);
  const changed = new CallAround(within, { bytes, traceparent: "00-d" }, onEnd);
  assert.deepEqual([changed.bytes, changed.traceparent, changed.tracestate], [bytes, "00-d", "b=c"]);
});
