/** What no client library sends: raw HTTP to a real manager, answered without an echo and without a bare 500. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
let ran = 0;
await mesh.addWorker({ pool: "hostile", run: () => count() });
await mesh.untilCapacity("hostile", 1);

function count(): number {
  ran += 1;
  return ran;
}

const JSON_TYPE = "application/json";
const BOMB = Uint8Array.from(gzipSync(Buffer.alloc(64 * 1024 * 1024)));
const RAW: [
  title: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  status: number,
  code: string,
][] = [
  ["malformed JSON", '{"pool":', {}, 400, "invalid_argument"],
  ["a wrong JSON type", '{"pool":["ECHO-ME"]}', {}, 400, "invalid_argument"],
  ["an unknown field", `{"ECHO-ME${"x".repeat(100_000)}":1}`, {}, 400, "invalid_argument"],
  ["a timeout that is NaN", '{"pool":"hostile","timeoutMs":"NaN"}', {}, 400, "invalid_argument"],
  ["a timeout of 1e308", '{"pool":"hostile","timeoutMs":1e308}', {}, 400, "invalid_argument"],
  ["20,000 nested brackets", `{"json":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, {}, 400, "invalid_argument"],
  ["truncated protobuf", Uint8Array.of(10, 5, 97), { "content-type": "application/proto" }, 400, "invalid_argument"],
  ["an unknown content type", "ECHO-ME", { "content-type": "text/x-echo-me" }, 415, ""],
  ["a gzip bomb", BOMB, { "content-encoding": "gzip" }, 429, "resource_exhausted"],
  ["garbage gzip", "ECHO-ME", { "content-encoding": "gzip" }, 400, "invalid_argument"],
  ["a foreign Origin", "{}", { origin: "http://evil.example" }, 403, ""],
];

for (const [title, body, headers, status, code] of RAW) {
  test(`HTTP: ${title} is answered ${status} ${code} and not echoed`, async () => {
    const response = await fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`, {
      method: "POST",
      headers: { "content-type": JSON_TYPE, ...headers },
      body,
    });
    const text = await response.text();
    assert.equal(response.status, status, text.slice(0, 500));
    if (code !== "") assert.equal((JSON.parse(text) as { code: string }).code, code);
    assert.doesNotMatch(text, /node_modules|\bat .*:\d+:\d+/);
    assert.ok(text.length > 0 && text.length < 2_000, `${text.length} characters`);
    assert.ok(!text.includes("ECHO-ME"), text.slice(0, 500));
  });
}

test("none of these has run a job", () => assert.equal(ran, 0));
