/** The PoolError that a promise rejects with; anything else fails the test. */
import assert from "node:assert/strict";
import { PoolError } from "../../mesh/errors.js";

export async function failure(promise: Promise<unknown>): Promise<PoolError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PoolError, `a PoolError, not ${String(error)}`);
  return error;
}
