import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { HttpServer } from "../../../mesh/http/server.js";
import { echoServer, errorOf, managerClient, statusClient, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

async function refusesConnections(server: HttpServer): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(server.address.port, "127.0.0.1");
    socket.once("connect", () => resolve(false)).once("error", () => resolve(true));
  });
}

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`${name} - stopping ends streams as unavailable, also of a handler that does not listen`, async () => {
    const { server } = echoServer();
    await server.start();
    const url = server.url;
    const modes = ["", "deaf", "", "deaf"];
    const open = modes.map((pool) => errorOf(drain(statusClient(transport(url)).onStatus({}, { headers: { pool } }))));
    await eventually(() => server.streams === modes.length, { what: "all streams" });
    await server.stop();
    for (const error of await Promise.all(open)) assert.equal(error.code, Code.Unavailable, error.message);
    assert.equal(server.connections, 0);
    assert.equal(server.streams, 0);
  });

  test(`${name} - stopping ends calls that wait as unavailable`, async () => {
    const { server, seen } = echoServer();
    await server.start();
    const client = managerClient(transport(server.url));
    const waiting = ["forever", "polite"].map((pool) => errorOf(client.submit({ pool })));
    await eventually(() => seen.calls === 2, { what: "both calls wait" });
    await server.stop();
    for (const error of await Promise.all(waiting)) assert.equal(error.code, Code.Unavailable, error.message);
  });

  test(`${name} - once it refuses, new calls are unavailable and open ones go on`, async () => {
    const { server } = echoServer();
    await server.start();
    const client = statusClient(transport(server.url));
    const stream = client.onStatus({})[Symbol.asyncIterator]();
    await stream.next();
    server.refuse();
    const refused = await errorOf(managerClient(transport(server.url)).submit({}));
    assert.equal(refused.code, Code.Unavailable);
    assert.match(refused.rawMessage, /stopping/);
    assert.equal(server.streams, 1, "the open stream is still there");
    await server.stop();
    assert.equal((await errorOf(stream.next())).code, Code.Unavailable);
  });
}

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`${name} - a client that called before hears unavailable once it has stopped`, async () => {
    const { server } = echoServer();
    await server.start();
    const client = managerClient(transport(server.url));
    await client.submit({});
    await server.stop();
    assert.equal((await errorOf(client.submit({}))).code, Code.Unavailable);
  });
}

test("fifty open streams end as unavailable, and Node warns of nothing", async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const { server } = echoServer();
  await server.start();
  const client = statusClient(TRANSPORTS["gRPC, HTTP/2"]!(server.url));
  const open = Array.from({ length: 50 }, () => errorOf(drain(client.onStatus({}))));
  await eventually(() => server.streams === 50, { what: "all streams" });
  await server.stop();
  for (const error of await Promise.all(open)) assert.equal(error.code, Code.Unavailable);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, []);
});

test("a server that refuses is alive but not ready", async () => {
  const { server } = echoServer();
  await server.start();
  server.refuse();
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  const ready = await fetch(`${server.url}/readyz`);
  assert.equal(ready.status, 503);
  assert.equal(await ready.text(), "stopping\n");
  await server.stop();
});

test("stopping leaves nothing listening and ends idle connections", async () => {
  const { server } = echoServer();
  await server.start();
  const address = server.address;
  await fetch(`${server.url}/healthz`);
  await managerClient(TRANSPORTS["gRPC, HTTP/2"]!(server.url)).submit({});
  assert.ok(server.connections >= 2);
  await server.stop();
  assert.equal(server.connections, 0);
  assert.deepEqual(server.address, { host: "127.0.0.1", port: 0 });
  assert.ok(await refusesConnections({ address } as HttpServer));
});

test("a client that never reads does not keep a server from stopping", async () => {
  const { server, seen } = echoServer({ limits: { closeMs: 100 } });
  await server.start();
  const socket = connect(server.address.port, "127.0.0.1");
  socket.pause();
  const body = "\0\0\0\0\u0002{}";
  socket.write(
    `POST /solpipe.WorkerStatus/OnStatus HTTP/1.1\r\nHost: localhost\r\npool: flood\r\n` +
      `Content-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n${body}`,
  );
  await eventually(() => seen.yielded > 0, { what: "the flood began" });
  await server.stop();
  assert.equal(server.connections, 0);
  socket.destroy();
});

test("a slow reader is waited for, not buffered for", async () => {
  const { server, seen } = echoServer();
  await server.start();
  const leave = new AbortController();
  const stream = statusClient(TRANSPORTS["gRPC, HTTP/2"]!(server.url)).onStatus(
    {},
    { headers: { pool: "flood" }, signal: leave.signal },
  );
  const reader = stream[Symbol.asyncIterator]();
  await reader.next();
  let last = -1;
  await eventually(
    () => {
      const steady = seen.yielded === last;
      last = seen.yielded;
      return steady && last > 0;
    },
    { what: "the flood waits for its reader" },
  );
  assert.ok(seen.yielded < 500_000);
  leave.abort();
  await server.stop();
});

test("a client that leaves while a write waits is cleaned up after", async () => {
  const { server, seen } = echoServer();
  await server.start();
  const socket = connect(server.address.port, "127.0.0.1");
  socket.pause();
  socket.write(
    `POST /solpipe.WorkerStatus/OnStatus HTTP/1.1\r\nHost: localhost\r\npool: flood\r\n` +
      `Content-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\0\0\0\0\u0002{}`,
  );
  await eventually(() => seen.yielded > 0, { what: "the flood began" });
  assert.equal(server.streams, 1);
  socket.destroy();
  await eventually(() => seen.cleaned === 1 && server.streams === 0 && server.connections === 0, {
    what: "cleaned up",
  });
  await server.stop();
});
