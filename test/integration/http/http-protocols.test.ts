import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer, errorOf, managerClient, statusClient, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";

leakGuard();

const { server } = echoServer();
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`${name} - a unary call is answered`, async () => {
    const client = managerClient(transport(server.url));
    const answer = await client.submit({ pool: "echo", jobId: "j1", input: { case: "text", value: "häi" } });
    assert.equal(answer.jobId, "j1");
    assert.deepEqual(answer.output, { case: "text", value: "häi" });
  });

  test(`${name} - payloads from 0 to 1 MiB come back to the byte`, async () => {
    const client = managerClient(transport(server.url));
    for (const size of [0, 1, 1023, 1024 * 1024]) {
      const payload = new Uint8Array(size).map((_, i) => i * 7);
      const { output } = await client.submit({ input: { case: "payload", value: payload } });
      assert.ok(output.case === "payload");
      assert.deepEqual(Buffer.from(output.value), Buffer.from(payload));
    }
  });

  test(`${name} - an error of the catalogue arrives whole`, async () => {
    const error = await errorOf(managerClient(transport(server.url)).submit({ pool: "full" }));
    assert.equal(error.code, Code.ResourceExhausted);
    const poolError = fromConnectError(error);
    assert.equal(poolError.reason, "pool_full");
    assert.equal(poolError.message, "no room");
    assert.equal(poolError.retryAfterMs, 40);
    assert.equal(poolError.parked, 7);
    assert.ok(poolError.retryable);
  });

  test(`${name} - a bug is internal and tells nothing of itself`, async () => {
    const error = await errorOf(managerClient(transport(server.url)).submit({ pool: "throw" }));
    assert.equal(error.code, Code.Internal);
    assert.equal(error.rawMessage, "internal error");
  });

  test(`${name} - a stream is served until its client leaves`, async () => {
    const leave = new AbortController();
    const seen: number[] = [];
    const error = await errorOf(
      (async () => {
        const stream = statusClient(transport(server.url)).onStatus({}, { signal: leave.signal });
        for await (const { capacity } of stream) {
          seen.push(capacity);
          leave.abort();
        }
      })(),
    );
    assert.deepEqual(seen, [0.5]);
    assert.equal(error.code, Code.Canceled);
  });

  test(`${name} - a deadline ends a handler that never answers`, async () => {
    const error = await errorOf(managerClient(transport(server.url)).submit({ pool: "forever" }, { timeoutMs: 60 }));
    assert.equal(error.code, Code.DeadlineExceeded);
  });
}

for (const name of ["Connect, HTTP/2", "gRPC, HTTP/2"]) {
  test(`${name} - a stream in both directions answers as it is asked`, async () => {
    const client = managerClient(TRANSPORTS[name]!(server.url));
    const answered: bigint[] = [];
    let next = (): void => {};
    async function* ask() {
      for (let ref = 1n; ref <= 3n; ref += 1n) {
        const answer = new Promise<void>((resolve) => (next = resolve));
        yield { ref };
        await answer;
      }
    }
    for await (const { ref } of client.submitMany(ask())) {
      answered.push(ref);
      next();
    }
    assert.deepEqual(answered, [1n, 2n, 3n]);
  });
}

test("a stream in both directions is refused over HTTP/1.1, with the way out", async () => {
  const answer = await fetch(`${server.url}/poolmesh.v1.ManagerService/SubmitMany`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: "",
  });
  assert.equal(answer.status, 505);
  assert.match(await answer.text(), /HTTP\/2/);
});
