import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { remoteFailure } from "../../../cli/remote/remote-failure.js";
import { checkUrl } from "../../../cli/remote/remote-options.js";

test("--url - what is not used of a URL is refused with its reason, and no password is repeated", () => {
  for (const url of ["http://h:1/x/?a=b", "http://h:1/x", "http://h:1/?a", "https://h/#a"]) {
    assert.throws(() => checkUrl(url, "url"), /^PoolError: url: a path or query is not used/);
  }
  assert.throws(
    () => checkUrl("http://u:pw@h:1", "url"),
    /^PoolError: url: a user and password are not used.*--token-file$/,
  );
  assert.equal(checkUrl("http://h:1/", "url").host, "h:1");
});

test("--url - something that is no manager is told as such", () => {
  const parsed = Object.assign(new Error("Parse Error"), { code: "HPE_INVALID_CONSTANT" });
  const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  for (const thrown of [new ConnectError("HTTP 404"), ConnectError.from(parsed), ConnectError.from(broken)]) {
    const { reason, message } = remoteFailure(thrown, "http://127.0.0.1:1");
    assert.equal(reason, "bus_unavailable");
    assert.match(message, /^what answers at http:\/\/127\.0\.0\.1:1 is no manager/);
  }
});
