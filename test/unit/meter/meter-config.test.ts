import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate } from "../../../mesh/auth/gate.js";
import { silentLog } from "../../../mesh/process/log.js";
import { requireToken } from "../../../services/meter/config.js";

test("control of workers through the meter needs a token or a policy", () => {
  requireToken({});
  requireToken({ controlToken: "not used" });
  requireToken({ control: true, controlToken: "s3cret!" });
  requireToken({ control: true, policyFile: "policy.json" });
  assert.throws(() => requireToken({ control: true }), { reason: "invalid_argument", field: "control" });
});

test("a control token that no header can carry is refused and not repeated", () => {
  for (const controlToken of ["two words", "ümlaut", "line\nbreak", ""]) {
    assert.throws(
      () => new Gate({ controlToken }, silentLog),
      (error: Error & { field: string }) => {
        assert.equal(error.field, "controlToken");
        assert.ok(controlToken === "" || !error.message.includes(controlToken), "a secret is not repeated");
        return true;
      },
    );
  }
});
