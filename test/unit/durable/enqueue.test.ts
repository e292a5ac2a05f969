/** A job is stored once, although the acknowledgement of the stream was lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PublishAnswer } from "../../../mesh/durable/answers.js";
import { type EnqueueParts, enqueue, type NewJob } from "../../../mesh/durable/enqueue.js";
import { durableDefaults } from "../../../mesh/durable/job.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { StreamMessage } from "../../../mesh/durable/publisher.js";
import { HEADER } from "../../../mesh/wire/headers.js";

const PAYLOAD = Buffer.from("1");
const SILENT: PublishAnswer = { kind: "silent" };
const TAKEN: PublishAnswer = { kind: "refused", code: 10_077, text: "maximum messages per subject exceeded" };

/** A stream that says nothing to the first publish, which it has stored, and then what `then` says. */
function stream(then: PublishAnswer) {
  const published: StreamMessage[] = [];
  const runtime = {
    now: () => 0,
    newId: () => "new",
    after: (_ms: number, work: () => void) => {
      queueMicrotask(work);
      return {};
    },
  };
  const publisher = {
    publish: async (message: StreamMessage) => {
      published.push(message);
      return published.length === 1 ? SILENT : then;
    },
  };
  const isStored = (subject: string): boolean => published.some((message) => message.subject === subject);
  const store = {
    lastShown: async (_stream: string, subject: string) =>
      isStored(subject) ? { payload: PAYLOAD, sequence: 7, headers: undefined } : undefined,
  };
  const bus = { runtime, requireConnected: () => {}, maxPayloadBytes: 2 ** 20 };
  const parts = { bus, names: new DurableNames(), store, publisher } as unknown as EnqueueParts;
  const said = (name: string): string[] => published.map(({ headers }) => headers.get(name));
  return { parts, said };
}

function job(more: Partial<NewJob> = {}): NewJob {
  const given = { pool: "p", id: "j", isNamed: false, level: "normal", payload: PAYLOAD, limitMs: 10_000 } as const;
  return { ...given, job: durableDefaults(), ...more };
}

test("enqueue - a job whose acknowledgement was lost is found by its live message, and is no duplicate of itself", async () => {
  const { parts, said } = stream(TAKEN);
  assert.deepEqual(await enqueue(parts, job()), { id: "j", sequence: 7, duplicate: false });
  assert.deepEqual(said("Nats-Msg-Id"), ["", ""], "its id tells it from any other job");
  assert.deepEqual(said(HEADER.check), ["", "1"], "when it has ended meanwhile, its outcome is looked for");
});

test("enqueue - a named job, and one without a kept outcome, say the same message id each time", async () => {
  const named = stream(TAKEN);
  const { duplicate } = await enqueue(named.parts, job({ isNamed: true }));
  assert.equal(duplicate, true, "who has its id is perhaps somebody else's job");
  const unkept = stream({ kind: "stored", sequence: 7, duplicate: true });
  await enqueue(unkept.parts, job({ job: { ...durableDefaults(), keepOutcome: false } }));
  for (const ids of [named.said("Nats-Msg-Id"), unkept.said("Nats-Msg-Id")]) {
    assert.deepEqual([ids.length, new Set(ids).size, ids[0]?.startsWith("j.")], [2, 1, true]);
  }
});
