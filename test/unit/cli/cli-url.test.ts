import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
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
  const odd = new ConnectError("unsupported content type text/html", Code.Internal);
  for (const thrown of [new ConnectError("HTTP 404"), odd, ConnectError.from(parsed), ConnectError.from(broken)]) {
    const { reason, message } = remoteFailure(thrown, "http://127.0.0.1:1");
    assert.equal(reason, "bus_unavailable");
    assert.match(message, /^what answers at http:\/\/127\.0\.0\.1:1 is no manager/);
  }
});

test("--url - a server without TLS, a server with TLS, and a refusal of OpenSSL are told in words", () => {
  const eproto = (reason: string): string =>
    `write EPROTO 80EC2B50:error:0A00010B:SSL routines:ssl3_get_record:${reason}:../deps/openssl/ssl3_record.c:350:\n`;
  const table: [url: string, code: string, said: string, RegExp][] = [
    [
      "https://h:1",
      "EPROTO",
      eproto("wrong version number"),
      /^what answers at https:\/\/h:1 does not speak TLS: say http:\/\/$/,
    ],
    [
      "https://h:1",
      "EPROTO",
      eproto("tlsv13 alert certificate required"),
      /^no manager at https:\/\/h:1: tlsv13 alert certificate required$/,
    ],
    [
      "http://h:1",
      "ECONNRESET",
      "read ECONNRESET",
      /^no manager at http:\/\/h:1: read ECONNRESET; if it speaks TLS, say https:\/\/$/,
    ],
    ["https://h:1", "ECONNRESET", "read ECONNRESET", /^no manager at https:\/\/h:1: read ECONNRESET$/],
  ];
  for (const [url, code, said, pattern] of table) {
    const thrown = new ConnectError(
      said,
      Code.Unavailable,
      undefined,
      undefined,
      Object.assign(new Error(said), { code }),
    );
    const { reason, message } = remoteFailure(thrown, url);
    assert.equal(reason, "bus_unavailable");
    assert.match(message, pattern);
  }
});
