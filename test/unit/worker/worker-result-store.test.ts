/** The store of a worker's last answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import type { HandlerOutcome } from "../../../services/worker/handlers/runner.js";
import { ResultStore } from "../../../services/worker/jobs/results.js";
import { jobKey } from "../../../services/worker/jobs/running-job.js";
import { seededRandom } from "../../support/random.js";

const LIMIT = 64;
const ok = (bytes: number, fill = 7): HandlerOutcome => ({ ok: true, payload: new Uint8Array(bytes).fill(fill) });

describe("answer store", () => {
  test("20,000 answers of every size are found by number and name like in a list, and as many as the limit", () => {
    const random = seededRandom(3);
    const upTo = (limit: number): number => Math.floor(random() * limit);
    const store = new ResultStore(LIMIT);
    const model: { id: string; nonce: string; attempt: number; reply: string; outcome: HandlerOutcome }[] = [];
    for (let number = 1; number <= 20_000; number += 1) {
      const id = "n".repeat(1 + upTo(60)) + upTo(40);
      const reply = `_INBOX.${"r".repeat(upTo(250))}${random() < 0.1 ? "é" : ""}`;
      const outcome =
        random() < 0.1 ? { ok: false as const, error: new PoolError("job_failed", "no") } : ok(upTo(300), number);
      const nonce = random() < 0.5 ? "" : `n${upTo(3)}`;
      model.push({ id, nonce, attempt: 1 + upTo(3), reply, outcome });
      store.put(number, model.at(-1) as (typeof model)[number], outcome);
      const asked = 1 + Math.max(0, number - LIMIT) + upTo(Math.min(LIMIT, number));
      assert.deepEqual(store.get(asked), model[asked - 1]);
      const { id: name, nonce: of, attempt } = model[upTo(number)] as (typeof model)[number];
      const isSame = (each: (typeof model)[number]): boolean =>
        each.id === name && each.nonce === of && each.attempt === attempt;
      const last = model.findLastIndex(isSame) + 1;
      assert.equal(store.find(jobKey(name, of), attempt), last > number - LIMIT ? last : 0);
    }
  });

  test("a released answer holds nothing, and its name is still found", () => {
    const store = new ResultStore(LIMIT);
    store.put(1, { id: "a", nonce: "", attempt: 1, reply: "_INBOX.x" }, ok(10_000));
    assert.equal(store.size(1), 10_000);
    store.release(1);
    assert.deepEqual([store.size(1), store.find("a", 1), store.find("a", 2)], [0, 1, 0]);
  });
});
