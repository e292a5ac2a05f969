import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:http2";
import { connect as dial } from "node:net";
import { before, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer, errorOf, managerClient, statusClient, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const { server } = echoServer({ allowedHosts: ["pool.example"], maxStreams: 2, metrics: async () => "up 1\n" });
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

function ask(path: string, headers: Record<string, string>, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(server.url + path, { method, headers, agent: false }, (res) => {
      let text = "";
      res.setEncoding("utf8");
      res.on("data", (chunk: string) => (text += chunk));
      res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }));
    });
    req.on("error", reject);
    req.end();
  });
}

async function askHttp2(headers: Record<string, string>): Promise<number> {
  const session = connect(server.url);
  const stream = session.request({ ":path": "/healthz", ...headers });
  const [head] = await new Promise<[{ ":status"?: number }]>((resolve, reject) => {
    stream.on("response", (...args) => resolve(args as never));
    stream.on("error", reject);
  });
  session.destroy();
  return head[":status"] ?? 0;
}

test("a foreign Host is refused on every path, over both versions", async () => {
  for (const path of ["/healthz", "/metrics", "/", "/poolmesh.v1.ManagerService/Submit"]) {
    const { status, text } = await ask(path, { host: "evil.example" });
    assert.equal(status, 403, path);
    assert.match(text, /Host/);
  }
  assert.equal(await askHttp2({ ":authority": "evil.example" }), 403);
});

test("loopback and allowed Hosts are answered", async () => {
  for (const host of ["localhost", "localhost:1", "[::1]:1", "pool.example"]) {
    assert.equal((await ask("/healthz", { host })).status, 200, host);
  }
  assert.equal(await askHttp2({ ":authority": "localhost:1" }), 200);
});

test("a Host that is none is 400, as are two of them", async () => {
  for (const host of ["localhost:99999", "localhost:1:2", "a b", "user@localhost", "[:::::]", "999.999.999.999"]) {
    for (const path of ["/healthz", "/poolmesh.v1.ManagerService/Submit"]) {
      assert.equal((await ask(path, { host }, path === "/healthz" ? "GET" : "POST")).status, 400, host);
    }
  }
  for (const [first, second] of [
    ["localhost", "evil.example"],
    ["localhost", "localhost"],
  ]) {
    const socket = dial(server.address.port, "127.0.0.1");
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${first}\r\nhOsT: ${second}\r\nConnection: close\r\n\r\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    assert.match(text, /^HTTP\/1\.1 400/);
  }
  assert.equal(await askHttp2({ ":authority": "localhost:99999" }), 400);
  assert.equal(await askHttp2({ ":authority": "localhost:1", host: "localhost:2" }), 400);
  assert.equal(await askHttp2({ ":authority": "localhost:1", host: "LOCALHOST:1" }), 200);
  assert.equal(await askHttp2({ host: "localhost:1" }), 200);
  assert.equal(await askHttp2({ host: "evil.example" }), 403);
});

test("two Authorization headers are 400: what stands in front of this server may have looked at the other one", async () => {
  const socket = dial(server.address.port, "127.0.0.1");
  const two = "Authorization: Bearer a\r\nauthorization: Bearer b";
  socket.write(`GET /metrics HTTP/1.1\r\nHost: localhost\r\n${two}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 400 .*Authorization: send one/s);
});

test("a request of HTTP/1.0 without a Host is refused, not a crash", async () => {
  const socket = dial(server.address.port, "127.0.0.1");
  socket.write("POST /poolmesh.v1.ManagerService/Submit HTTP/1.0\r\nContent-Type: application/json\r\n\r\n{}");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 403/);
});

test("a foreign Origin is refused, also as null and in a preflight", async () => {
  for (const origin of ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1:1"]) {
    const { status, headers } = await ask("/healthz", { origin });
    assert.equal(status, 403, origin);
    assert.equal(headers["access-control-allow-origin"], undefined);
    const preflight = { origin, "access-control-request-method": "POST" };
    assert.equal((await ask("/poolmesh.v1.ManagerService/Submit", preflight, "OPTIONS")).status, 403, origin);
  }
});

test("the same Origin is answered, without CORS headers", async () => {
  const { status, headers } = await ask("/healthz", { origin: server.url });
  assert.equal(status, 200);
  assert.equal(headers["access-control-allow-origin"], undefined);
});

test("an allowed Origin may call, and its preflight allows what Connect and gRPC-Web send", async () => {
  const origin = "https://pool.example";
  const plain = await ask("/healthz", { origin });
  assert.equal(plain.headers["access-control-allow-origin"], origin);
  assert.equal(plain.headers.vary, "Origin");
  assert.match(String(plain.headers["access-control-expose-headers"]), /grpc-status/i);
  const wanted = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "connect-timeout-ms",
  };
  const preflight = await ask("/poolmesh.v1.ManagerService/Submit", wanted, "OPTIONS");
  assert.equal(preflight.status, 204);
  const allowed = String(preflight.headers["access-control-allow-headers"]).toLowerCase();
  for (const header of [
    "content-type",
    "connect-protocol-version",
    "connect-timeout-ms",
    "x-grpc-web",
    "grpc-timeout",
    "pool",
  ]) {
    assert.ok(allowed.includes(header), header);
  }
});

test("health, readiness and metrics are plain HTTP", async () => {
  assert.deepEqual(await textOf("/healthz"), [200, "ok\n"]);
  assert.deepEqual(await textOf("/readyz"), [200, "ok\n"]);
  assert.deepEqual(await textOf("/metrics"), [200, "up 1\n"]);
  assert.deepEqual(await textOf("/nope"), [404, "not_found: nothing is served at this path\n"]);
});

async function textOf(path: string): Promise<[number, string]> {
  const { status, text } = await ask(path, {});
  return [status, text];
}

test("streams over the limit are resource_exhausted, and a stream that ends makes room", async () => {
  const client = statusClient(TRANSPORTS["gRPC, HTTP/2"]!(server.url));
  const leave = [new AbortController(), new AbortController()];
  const open = leave.map(({ signal }) => errorOf(drain(client.onStatus({}, { signal }))));
  await eventually(() => server.streams === 2, { what: "two streams" });
  const refused = await errorOf(drain(client.onStatus({})));
  assert.equal(refused.code, Code.ResourceExhausted);
  assert.match(refused.rawMessage, /2 streams/);
  leave[0]?.abort();
  await eventually(() => server.streams === 1, { what: "one stream" });
  const again = new AbortController();
  const third = errorOf(drain(client.onStatus({}, { signal: again.signal })));
  await eventually(() => server.streams === 2, { what: "two streams again" });
  leave[1]?.abort();
  again.abort();
  await Promise.all([...open, third]);
  await eventually(() => server.streams === 0, { what: "no stream" });
});

test("a call is answered while streams are at their limit", async () => {
  const client = statusClient(TRANSPORTS["Connect, HTTP/2"]!(server.url));
  const leave = new AbortController();
  const open = [0, 1].map(() => errorOf(drain(client.onStatus({}, { signal: leave.signal }))));
  await eventually(() => server.streams === 2, { what: "two streams" });
  const answer = await managerClient(TRANSPORTS["Connect, HTTP/1.1, JSON"]!(server.url)).submit({ jobId: "x" });
  assert.equal(answer.jobId, "x");
  leave.abort();
  await Promise.all(open);
});

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
