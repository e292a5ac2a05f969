/** Claims of jobs that may run once, as far as they need no broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { durableDefaults } from "../../../mesh/durable/job.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { StreamMessage } from "../../../mesh/durable/publisher.js";
import type { Stored } from "../../../mesh/durable/store.js";
import { PoolError } from "../../../mesh/errors.js";
import { silentLog } from "../../../mesh/process/log.js";
import { Ends, type EndsParts } from "../../../services/manager/durable/ends.js";
import { Delivery } from "../../../services/manager/durable/held.js";

const names = new DurableNames();
const OUTCOME: Stored = { sequence: 9, subject: "", headers: undefined, payload: new Uint8Array(), storedAtMs: 0 };

interface Seen {
  readonly ends: Ends;
  readonly published: StreamMessage[];
  readonly asked: string[];
}

/** Ends over a stream that stores every claim. @param outcomes what each reading of the outcome finds; an error throws */
function endsWith(outcomes: (Stored | PoolError | undefined)[], holdsLease = true): Seen {
  const published: StreamMessage[] = [];
  const asked: string[] = [];
  const runtime = { now: () => 0, after: (_ms: number, work: () => void) => setImmediate(work), wallNow: () => 0 };
  const parts = {
    pool: "p",
    manager: "m",
    bus: { runtime },
    names,
    publisher: {
      publish: async (message: StreamMessage) => {
        published.push(message);
        return { kind: "stored", sequence: 5, duplicate: false };
      },
    },
    store: {
      last: async (stream: string) => {
        asked.push(stream);
        const next = outcomes.shift();
        if (next instanceof PoolError) throw next;
        return next;
      },
    },
    holdsLease: () => holdsLease,
    log: silentLog,
  };
  return { ends: new Ends(parts as unknown as EndsParts), published, asked };
}

function delivered(deliveries: number, afterOutcome = 0): Delivery {
  const facts = { stream: "s", consumer: "normal", sequence: 3, deliveries, count: 1, storedAt: "1", pending: 0 };
  const job = { ...durableDefaults(), idempotent: false, afterOutcome };
  return new Delivery("j", "normal", facts, "", undefined, new Uint8Array(), job, 0);
}

test("claims - a job that ended elsewhere between the look and the claim does not run again", async () => {
  const { ends, published, asked } = endsWith([OUTCOME]);
  assert.deepEqual(await ends.claim(delivered(2), 0), { kind: "ended", stored: OUTCOME });
  assert.equal(published.length, 1);
  assert.deepEqual(asked, [names.outcomesStream]);
});

test("claims - a job that is run again over its outcome runs, and so does one without an outcome", async () => {
  assert.deepEqual(await endsWith([OUTCOME]).ends.claim(delivered(2, 9), 0), { kind: "stored" });
  assert.deepEqual(await endsWith([undefined]).ends.claim(delivered(2), 0), { kind: "stored" });
});

test("claims - while nobody can say whether the job has ended it waits, and is let go when its lease is over", async () => {
  const away = new PoolError("bus_unavailable", "away");
  const later = endsWith([away, away, OUTCOME]);
  assert.deepEqual(await later.ends.claim(delivered(2), 0), { kind: "ended", stored: OUTCOME });
  assert.deepEqual(await endsWith([away], false).ends.claim(delivered(2), 0), { kind: "lost" });
});

test("claims - a first delivery asks nothing more", async () => {
  const { ends, asked } = endsWith([]);
  assert.deepEqual(await ends.claim(delivered(1), 0), { kind: "stored" });
  assert.deepEqual(asked, []);
});
