/** Middleware: order, results, errors, and functions that do not call next() as they should. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compose, type Middleware } from "../../../mesh/job/middleware.js";

type Around = Middleware<string[], string>;
const work = (seen: string[]): string => {
  seen.push("work");
  return "result";
};

test("middleware - the first is the outermost, and the work runs in the middle", async () => {
  const around =
    (name: string): Around =>
    async (seen, next) => {
      seen.push(`${name} before`);
      const result = await next();
      seen.push(`${name} after`);
      return result;
    };
  const seen: string[] = [];
  assert.equal(await compose([around("a"), around("b")], work)(seen), "result");
  assert.deepEqual(seen, ["a before", "b before", "work", "b after", "a after"]);
});

test("middleware - one that returns nothing leaves the result as it is, also when it does not await next()", async () => {
  const forgets: Around = async (_, next) => {
    await next();
  };
  const hurries: Around = (_, next) => void next();
  assert.equal(await compose([forgets, hurries], work)([]), "result");
});

test("middleware - one may give another result, or one in place of the work", async () => {
  const seen: string[] = [];
  assert.equal(await compose([async (_, next) => `${await next()}!`], work)(seen), "result!");
  assert.equal(await compose([() => "cached"], work)(seen), "cached");
  assert.deepEqual(seen, ["work"]);
});

test("middleware - an error passes outwards, and one may turn it into a result", async () => {
  const fails = (): string => {
    throw new Error("no");
  };
  await assert.rejects(compose([(_, next) => next()], fails)([]), /no/);
  const mends: Around = (_, next) => next().catch((error: Error) => `mended ${error.message}`);
  assert.equal(await compose([mends], fails)([]), "mended no");
});

test("middleware - a second call of next() is an error, and the work runs once", async () => {
  const twice: Around = async (_, next) => {
    await next();
    return next();
  };
  const seen: string[] = [];
  await assert.rejects(compose([twice], work)(seen), /next\(\) twice/);
  assert.deepEqual(seen, ["work"]);
});
