import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { before, test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();

const limits = { firstByteMs: 1_000, headersMs: 1_000, maxConnections: 3 };
const { server } = echoServer({ limits });
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

function dial(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.address.port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** All that comes until the other side ends it. */
async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("error", () => {});
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("latin1");
}

/** Writes byte by byte, each in a packet of its own. */
async function trickle(socket: Socket, text: string): Promise<void> {
  for (const byte of Buffer.from(text, "latin1")) {
    if (socket.readableLength > 0) return;
    await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => setImmediate(resolve)));
  }
}

const GET = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

test("HTTP/1.1 is understood byte by byte, whatever its method begins with", async () => {
  for (const method of ["GET", "POST", "PUT", "PROPFIND", "P"]) {
    const socket = await dial();
    await trickle(socket, GET.replace("GET", method));
    const answer = await readAll(socket);
    const status = { GET: 200, P: 400 }[method] ?? 405;
    assert.ok(answer.startsWith(`HTTP/1.1 ${status}`), method);
  }
});

test("the HTTP/2 preface is understood byte by byte", async () => {
  const socket = await dial();
  await trickle(socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0");
  const settings = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  assert.equal(settings[3], 4, "a SETTINGS frame");
  socket.destroy();
});

test("HTTP/2 is told 100 streams, 16 KiB of headers and no push", async () => {
  const session = connectHttp2(server.url);
  const settings = await new Promise<Record<string, unknown>>((resolve) => {
    session.once("remoteSettings", (remote) => resolve({ ...remote }));
  });
  session.destroy();
  assert.equal(settings.maxConcurrentStreams, 100);
  assert.equal(settings.maxHeaderListSize, 16_384);
  assert.equal(settings.enablePush, false);
});

test("a connection that says nothing, or half a preface, is ended", async () => {
  for (const text of ["", "PR"]) {
    const socket = await dial();
    socket.write(text);
    assert.equal(await readAll(socket), "");
  }
});

test("a request whose headers do not end is answered 408", async () => {
  const socket = await dial();
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n");
  assert.match(await readAll(socket), /^HTTP\/1.1 408/);
});

test("the time of a first request is one, however a client spends it: first bytes and headers do not each have their own", async (t) => {
  const slow = echoServer({ limits: { firstByteMs: 2_400, headersMs: 2_600 } }).server;
  cleanUp(t, () => slow.stop());
  await slow.start();
  const socket = await new Promise<Socket>((resolve) => {
    const made = connect(slow.address.port, "127.0.0.1", () => resolve(made));
  });
  const ended = readAll(socket);
  const late = new Promise<string>((resolve) => setTimeout(resolve, 4_200, "still open"));
  // The bytes that tell the version come at 1,700 ms; a time for headers from then on would end at 4,300 ms.
  const begin = setTimeout(() => socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n"), 1_700);
  cleanUp(t, () => clearTimeout(begin));
  assert.match(await Promise.race([ended, late]), /^HTTP\/1.1 408/);
});

test("what is no HTTP is answered 400", async () => {
  const socket = await dial();
  socket.write("\u0016\u0003\u0001hello\r\n\r\n");
  assert.match(await readAll(socket), /^HTTP\/1.1 400/);
});

test("headers over 16 KiB are answered 431", async () => {
  const socket = await dial();
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nA: ${"x".repeat(17 * 1024)}\r\n\r\n`);
  assert.match(await readAll(socket), /^HTTP\/1.1 431/);
});

test("an HTTP/2 connection that asks for nothing is ended, with its settings or without", async () => {
  for (const settings of ["", "\0\0\0\u0004\0\0\0\0\0"]) {
    const socket = await dial();
    socket.write(Buffer.from(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings}`, "latin1"));
    await within(readAll(socket), { what: "the end of the connection" });
  }
});

test("an HTTP/2 connection that has asked once may rest", async () => {
  const session = connectHttp2(server.url);
  const ask = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": "/healthz" });
      stream.on("response", (head) => resolve(head[":status"] ?? 0));
      stream.on("error", reject);
      stream.resume();
    });
  assert.equal(await ask(), 200);
  const unused = await dial();
  unused.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"));
  await within(readAll(unused), { what: "the end of one that came later and never asked" });
  assert.equal(await ask(), 200);
  session.destroy();
});

test("garbage after the preface ends that connection only", async () => {
  const socket = await dial();
  socket.write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"garbage".repeat(20)}`);
  await readAll(socket);
  assert.equal((await fetch(`${server.url}/healthz`, { headers: { connection: "close" } })).status, 200);
});

test("connections over the limit are dropped, and those that end make room", async () => {
  await eventually(() => server.connections === 0, { what: "no connection" });
  const held = await Promise.all([0, 1, 2].map(dial));
  for (const socket of held) socket.write(GET.slice(0, 20));
  await eventually(() => server.connections === 3, { what: "three connections" });
  assert.equal(await readAll(await dial()), "");
  for (const socket of held) socket.destroy();
  await eventually(() => server.connections === 0, { what: "no connection" });
  const socket = await dial();
  socket.write(GET);
  assert.match(await readAll(socket), /^HTTP\/1.1 200/);
});

test("a port in use is a mistake of configuration that says what to do", async () => {
  const { server: second } = echoServer({ listen: server.address });
  await assert.rejects(second.start(), (error: PoolError) => {
    assert.ok(error instanceof PoolError);
    assert.equal(error.reason, "invalid_argument");
    assert.equal(error.field, "listen");
    assert.match(error.message, /in use/);
    return true;
  });
  assert.equal(second.state, "stopped");
});

test("an address that is not loopback needs TLS and a policy, or --insecure", async () => {
  const listen = { host: "0.0.0.0", port: 0 };
  const { server: refused } = echoServer({ listen });
  await assert.rejects(refused.start(), { reason: "invalid_argument", field: "listen" });
  const { server: open } = echoServer({ listen, insecure: true });
  await open.start();
  assert.equal((await fetch(`${open.url}/healthz`)).status, 200);
  await open.stop();
});
