/**
 * The one test of start(), stop() and closed, for everything that has a life.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Lifecycle } from "../../../mesh/process/lifecycle.js";
import { cleanUp } from "../clean-up.js";
import { within } from "../wait.js";

/** Makes one that has not been started. */
export type Make = (t: TestContext) => Lifecycle | Promise<Lifecycle>;

/**
 * Adds the tests that prove the contract.
 *
 * @param what the part's name, such as "meter", for the titles
 * @param make one that can start
 * @param makeBroken one that cannot start, such as on a port that is taken
 */
export function lifecycleContract(what: string, make: Make, makeBroken?: Make): void {
  const of = (claim: string, body: (part: Lifecycle) => Promise<void>): void => {
    test(`${what} - ${claim}`, async (t) => {
      const part = await make(t);
      cleanUp(t, () => part.stop());
      await body(part);
    });
  };

  of("stop() before start() works, and start() then rejects", async (part) => {
    await ended(part);
    await assert.rejects(part.start(), /start\(\) after stop\(\)/);
  });

  of("start() twice is one start", async (part) => {
    await Promise.all([part.start(), part.start()]);
    assert.equal(part.state, "running");
    await ended(part);
  });

  of("stop() works twice, at once and later, and start() then rejects", async (part) => {
    await part.start();
    await Promise.all([part.stop(), part.stop()]);
    await ended(part);
    await assert.rejects(part.start(), /start\(\) after stop\(\)/);
  });

  of("closed is open while it runs", async (part) => {
    await part.start();
    const first = await Promise.race([
      part.closed.then(() => "closed"),
      new Promise((resolve) => setImmediate(resolve)),
    ]);
    assert.equal(first, undefined);
  });

  of("stop() while it starts ends it", async (part) => {
    const starting = part.start().catch(() => undefined);
    await ended(part);
    await within(starting, { what: `the end of start() of ${what}` });
  });

  if (makeBroken === undefined) return;
  test(`${what} - a start that cannot be rejects and leaves it stopped`, async (t) => {
    const part = await makeBroken(t);
    cleanUp(t, () => part.stop());
    await assert.rejects(within(part.start(), { limitMs: 30_000, what: `the failure of ${what}` }), /(?!not within)/);
    assert.equal(part.state, "stopped");
    await within(part.closed, { what: `closed of ${what}` });
  });
}

async function ended(part: Lifecycle): Promise<void> {
  await within(part.stop(), { what: "stop()" });
  assert.equal(part.state, "stopped");
  assert.equal(await within(part.closed, { what: "closed" }), undefined);
}
