import assert from "node:assert/strict";
import { test } from "node:test";
import { requireToken } from "../../services/meter/config.js";

test("control of workers through the meter needs a token that a header can carry", () => {
  requireToken({});
  requireToken({ controlToken: "not used" });
  requireToken({ control: true, controlToken: "s3cret!" });
  assert.throws(() => requireToken({ control: true }), { reason: "invalid_argument", field: "control" });
  for (const controlToken of ["two words", "ümlaut", "line\nbreak"]) {
    assert.throws(
      () => requireToken({ control: true, controlToken }),
      (error: Error & { field: string }) => {
        assert.equal(error.field, "controlToken");
        assert.ok(!error.message.includes(controlToken), "a secret is not repeated");
        return true;
      },
    );
  }
});
