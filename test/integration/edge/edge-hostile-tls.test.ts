/** Hostile clients at a port with TLS and a policy: below HTTP, at its edges, and from other sites. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import type { HttpServer, HttpServerOptions } from "../../../mesh/http/server.js";
import { cleanUp, type Owner, WHOLE_FILE } from "../../support/clean-up.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { echoServer } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { toolPath, without } from "../../support/tools.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
const token = files.token("ops", "operator", ["*"]);
files.write([{ who: "cert:client", role: "operator", pools: ["*"] }]);
const ca = readFileSync(certificates.ca);
const TLS = { tlsCertFile: certificates.server.cert, tlsKeyFile: certificates.server.key };
const PAUSE = "/poolmesh.v1.ManagerService/PauseWorker";
const SUBMIT = "/poolmesh.v1.ManagerService/Submit";
const JOB = '{"pool":"adder","jobId":"j1","text":"41"}';
/** A name that a foreign page may have made resolve to this machine. */
const REBOUND = "evil.example";

async function serve(t: Owner, options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const { server } = echoServer({ tls: TLS, access: { policyFile: files.file }, ...options });
  cleanUp(t, () => server.stop());
  await server.start();
  return server;
}

interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request over TLS and HTTP/1.1. */
function call(
  server: HttpServer,
  { path = SUBMIT, method = "POST", headers = {}, body = JOB }: Call,
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }> {
  return new Promise((resolve, reject) => {
    const { port } = server.address;
    const json = { "content-type": "application/json", ...headers };
    const to = { host: "127.0.0.1", port, servername: "localhost", agent: false };
    const sent = request({ ...to, path, method, headers: json, ca }, (res) => {
      let text = "";
      res.on("data", (chunk: Buffer) => {
        text += chunk;
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }));
    });
    sent.on("error", reject).end(method === "POST" ? body : undefined);
  });
}

function handshake(t: Owner, server: HttpServer, options: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: "127.0.0.1", port: server.address.port, ca, ...options }, () =>
      resolve(socket),
    );
    cleanUp(t, () => socket.destroy());
    socket.on("error", reject);
  });
}

function closed(socket: Socket): Promise<unknown> {
  const end = new Promise((resolve) =>
    socket
      .on("error", () => {})
      .on("close", resolve)
      .resume(),
  );
  return within(socket.destroyed ? Promise.resolve() : end);
}

test("HTTP/2 without ALPN is answered as what it is not, and ended", async (t) => {
  const server = await serve(t);
  const socket = await handshake(t, server);
  assert.equal(socket.alpnProtocol, false);
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    answer += chunk;
  });
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  await closed(socket);
  assert.match(answer, /^HTTP\/1\.1 400 /);
  const strange = handshake(t, server, { ALPNProtocols: ["smtp"] });
  await assert.rejects(strange, "a protocol that is not spoken is no handshake");
  assert.equal((await call(server, { path: "/healthz", method: "GET" })).status, 200);
});

test("half-open handshakes, and connections that say nothing or too little after theirs, are ended while others are served", async (t) => {
  const server = await serve(t, { limits: { firstByteMs: 3_000, headersMs: 3_000, requestMs: 3_000 } });
  const { port } = server.address;
  const half = Array.from({ length: 200 }, () => connectTcp(port, "127.0.0.1"));
  const hello = Buffer.from("160301", "hex");
  for (const [i, socket] of half.entries()) if (i % 2 === 0) socket.write(hello);
  const silent = await Promise.all([1, 2, 3].map(() => handshake(t, server)));
  const slow = await handshake(t, server);
  slow.write(`POST ${SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\n`);
  const drip = setInterval(() => slow.write("x-slow: 1\r\n"), 50);
  cleanUp(t, () => clearInterval(drip));
  const slowBody = await handshake(t, server);
  slowBody.write(
    `POST ${SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${token}\r\ncontent-length: 100\r\n\r\n{`,
  );
  const ends = [...half, ...silent, slow, slowBody].map(closed);
  const answer = await within(call(server, { headers: { authorization: `Bearer ${token}` } }));
  assert.equal(answer.status, 200);
  await Promise.all(ends);
  await eventually(() => server.connections === 0);
});

test("a client that renegotiates loses its connection", {
  skip: without("openssl"),
}, async (t) => {
  const server = await serve(t);
  const { port } = server.address;
  const client = spawn(toolPath("openssl"), [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-tls1_2",
    "-CAfile",
    certificates.ca,
  ]);
  cleanUp(t, () => void client.kill());
  const ended = new Promise((resolve) => client.on("close", resolve));
  let said = "";
  for (const stream of [client.stdout, client.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk));
  await eventually(() => /Verify return code: 0/.test(said));
  // s_client takes an R on a line of its own for "renegotiate".
  client.stdin.write("R\n");
  await eventually(() => /RENEGOTIATING/.test(said));
  await within(ended);
  await eventually(() => server.connections === 0);
  assert.equal((await call(server, { path: "/healthz", method: "GET" })).status, 200);
});

test("a client CA that is replaced ends the trust in old certificates also for those who resume a session", async (t) => {
  const path = join(certificates.folder, "live-ca.pem");
  copyFileSync(certificates.ca, path);
  const { log, named } = readableLog();
  const server = await serve(t, { tls: { ...TLS, tlsClientCaFile: path, tlsIntervalMs: 20 }, log });
  const shown = { cert: readFileSync(certificates.client.cert), key: readFileSync(certificates.client.key) };
  const replace = async (by: string): Promise<void> => {
    const before = named("certificates read again").length;
    copyFileSync(by, path);
    await eventually(() => named("certificates read again").length > before);
  };
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
    await replace(certificates.ca);
    const ticket = await ticketOf(t, server, { ...shown, maxVersion });
    await replace(certificates.otherCa);
    const again = handshake(t, server, { ...shown, maxVersion, session: ticket });
    const outcome = await again.then(
      (resumed) =>
        new Promise<string>((resolve) => {
          resumed.on("error", () => resolve("ended")).on("close", () => resolve("ended"));
          resumed.on("data", (chunk: Buffer) => resolve(String(chunk).split("\r\n", 1)[0] ?? ""));
          resumed.write(
            `POST ${SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${JOB.length}\r\n\r\n${JOB}`,
          );
        }),
      () => "ended",
    );
    assert.equal(outcome, "ended", maxVersion);
  }
});

/** What a client resumes a session with. */
async function ticketOf(t: Owner, { address }: HttpServer, options: object): Promise<Buffer> {
  const socket = connect({ host: "127.0.0.1", port: address.port, ca, ...options });
  cleanUp(t, () => socket.destroy());
  const ticket = new Promise<Buffer>((resolve) => socket.on("session", resolve));
  socket.on("error", () => {}).resume();
  socket.write("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  return within(ticket);
}

test("a huge token, a token with other characters, two tokens, and one in the URL are no tokens, and none is logged", async (t) => {
  const { log, lines } = readableLog();
  const server = await serve(t, { log });
  const huge = `${token}${"x".repeat(8_200)}`;
  const cases: [string, Call, number][] = [
    ["over 8 KiB", { headers: { authorization: `Bearer ${huge}` } }, 401],
    ["over 16 KiB", { headers: { authorization: `Bearer ${"y".repeat(20_000)}` } }, 431],
    ["with a space", { headers: { authorization: `Bearer ${token} ${token}` } }, 401],
    ["two, joined", { headers: { authorization: `Bearer ${token}, Bearer ${token}` } }, 401],
    ["in the query", { path: `${SUBMIT}?access_token=${token}&authorization=Bearer%20${token}` }, 401],
    ["in a cookie", { headers: { cookie: `token=${token}; authorization=Bearer ${token}` } }, 401],
    ["as Basic", { headers: { authorization: `Basic ${Buffer.from(`ops:${token}`).toString("base64")}` } }, 401],
    [
      "in another header",
      { headers: { "x-authorization": `Bearer ${token}`, "proxy-authorization": `Bearer ${token}` } },
      401,
    ],
  ];
  for (const [what, each, status] of cases) assert.equal((await call(server, each)).status, status, what);
  assert.equal((await call(server, { headers: { authorization: `bearer ${token}` } })).status, 200);
  assert.ok(!JSON.stringify(lines).includes(token.slice(3)));
});

test("a page of another site, a rebound name, and an opaque origin reach no RPC, whatever token or certificate they have", async (t) => {
  const server = await serve(t, { tls: { ...TLS, tlsClientCaFile: certificates.ca } });
  const { port } = server.address;
  const authorization = `Bearer ${token}`;
  for (const path of [SUBMIT, PAUSE, "/metrics"]) {
    const method = path === "/metrics" ? "GET" : "POST";
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1", `https://evil.example:${port}`]) {
      const answer = await call(server, { path, method, headers: { authorization, origin } });
      assert.equal(answer.status, 403, `${path} ${origin}`);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
      const preflight = await call(server, {
        path,
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
      });
      assert.equal(preflight.status, 403);
      assert.equal(preflight.headers["access-control-allow-origin"], undefined);
    }
    const rebound = await call(server, { path, method, headers: { authorization, host: `${REBOUND}:${port}` } });
    assert.ok(rebound.status === 403 || rebound.status === 421, `${path} ${rebound.status}`);
  }
  // What a form or an image of another site can send without a preflight.
  const form = await call(server, { headers: { "content-type": "text/plain" } });
  assert.ok(form.status === 415 || form.status === 401, String(form.status));
  // Over HTTP/2 the authority is what counts, and a Host beside it that says otherwise does not.
  const session = connectHttp2(server.url, {
    ca,
    cert: readFileSync(certificates.client.cert),
    key: readFileSync(certificates.client.key),
  });
  cleanUp(t, () => session.destroy());
  for (const [authority, host] of [
    [REBOUND, undefined],
    [REBOUND, "127.0.0.1"],
    ["127.0.0.1", REBOUND],
  ] as const) {
    const stream = session.request({
      ":method": "POST",
      ":path": SUBMIT,
      ":authority": authority,
      "content-type": "application/json",
      ...(host === undefined ? {} : { host }),
    });
    const status = await within(
      new Promise<unknown>((resolve) => {
        stream
          .on("response", (headers) => resolve(headers[":status"]))
          .on("error", () => resolve(400))
          .resume();
        stream.end(JOB);
      }),
    );
    assert.ok([400, 403, 421].includes(Number(status)), `${authority} ${host}: ${status}`);
  }
});
