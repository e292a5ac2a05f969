/** TLS and client certificates on the one port, with real clients. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { Code, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { HttpServer, HttpServerOptions } from "../../../mesh/http/server.js";
import { cleanUp, type Owner, WHOLE_FILE } from "../../support/clean-up.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { bearing } from "../../support/doors/control-token.js";
import { echoServer, errorOf, managerClient } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { toolPath } from "../../support/tools.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const run = promisify(execFile);
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
const token = files.token("ci", "submitter", ["adder"]);
files.write([{ who: "cert:client", role: "submitter", pools: ["adder"] }]);
const { server: pair, client: clientPair, ca, otherCa } = certificates;
const TLS = { tlsCertFile: pair.cert, tlsKeyFile: pair.key };
const JOB = { pool: "adder", input: { case: "text", value: "41" } } as const;

async function serve(t: Owner, options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const { server } = echoServer({ tls: TLS, access: { policyFile: files.file }, ...options });
  cleanUp(t, () => server.stop());
  await server.start();
  return server;
}

/** Every way to call, over TLS. */
function secureTransports(baseUrl: string, node: object, bears?: string): Record<string, Transport> {
  const shared = {
    baseUrl,
    nodeOptions: { ca: readFileSync(ca), ...node },
    interceptors: bears === undefined ? [] : [bearing(bears)],
  };
  return {
    "Connect, HTTP/1.1": createConnectTransport({ ...shared, httpVersion: "1.1" }),
    "Connect, HTTP/2": createConnectTransport({ ...shared, httpVersion: "2" }),
    "gRPC, HTTP/2": createGrpcTransport(shared),
    "gRPC-Web, HTTP/1.1": createGrpcWebTransport({ ...shared, httpVersion: "1.1" }),
    "gRPC-Web, HTTP/2": createGrpcWebTransport({ ...shared, httpVersion: "2" }),
  };
}

test("both versions of HTTP and every protocol are served over TLS on one port, to who bears a token", async (t) => {
  const server = await serve(t);
  assert.match(server.url, /^https:/);
  for (const [name, transport] of Object.entries(secureTransports(server.url, {}, token))) {
    const answer = await managerClient(transport).submit({ ...JOB, jobId: "j1" });
    assert.equal(answer.jobId, "j1", name);
  }
  for (const [name, transport] of Object.entries(secureTransports(server.url, {}))) {
    assert.equal((await errorOf(managerClient(transport).submit(JOB))).code, Code.Unauthenticated, name);
  }
});

test("a client certificate is who its caller is, none leaves health open, and one of another CA is refused", async (t) => {
  const { log, lines } = readableLog();
  const server = await serve(t, { tls: { ...TLS, tlsClientCaFile: ca }, log });
  const shown = { cert: readFileSync(clientPair.cert), key: readFileSync(clientPair.key) };
  for (const [name, transport] of Object.entries(secureTransports(server.url, shown))) {
    assert.equal((await managerClient(transport).submit({ ...JOB, jobId: "j1" })).jobId, "j1", name);
    const other = managerClient(transport).submit({ ...JOB, pool: "other" });
    assert.match((await errorOf(other)).message, /cert:client may not submit jobs in pool other; only in: adder/, name);
  }
  const without = secureTransports(server.url, {})["Connect, HTTP/2"] as Transport;
  assert.equal((await errorOf(managerClient(without).submit(JOB))).code, Code.Unauthenticated);
  assert.equal(await statusOf(`${server.url}/healthz`), 200);
  // The same name, signed by somebody else.
  const folder = certificates.folder;
  const openssl = (...args: string[]) => run(toolPath("openssl"), args, { cwd: folder });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "false.key",
    "-out",
    "false.pem",
    "-days",
    "2",
    "-subj",
    "/CN=client",
  );
  const forged = { cert: readFileSync(join(folder, "false.pem")), key: readFileSync(join(folder, "false.key")) };
  await assert.rejects(statusOf(`${server.url}/healthz`, forged));
  assert.ok(lines.some(({ msg, from }) => msg === "a client certificate is refused" && from === "127.0.0.1"));
  assert.ok(readFileSync(otherCa).length > 0);
});

test("curl calls over both versions of HTTP, with a token and with a certificate", async (t) => {
  const server = await serve(t, { tls: { ...TLS, tlsClientCaFile: ca } });
  const url = `${server.url}/poolmesh.v1.ManagerService/Submit`;
  const header = join(certificates.folder, "header");
  writeFileSync(header, `authorization: Bearer ${token}\n`);
  const curl = async (...args: string[]): Promise<string> => {
    const body = ["-H", "content-type: application/json", "-d", '{"pool":"adder","jobId":"j1","text":"41"}'];
    const { stdout } = await run(toolPath("curl"), [
      "-sS",
      "-w",
      " %{http_version} %{http_code}",
      "--cacert",
      ca,
      ...body,
      ...args,
      url,
    ]);
    return stdout;
  };
  assert.match(await curl("--http2", "-H", `@${header}`), /"jobId":"j1".* 2 200$/);
  assert.match(await curl("--http1.1", "-H", `@${header}`), /"jobId":"j1".* 1\.1 200$/);
  assert.match(await curl("--cert", clientPair.cert, "--key", clientPair.key), /"jobId":"j1".* 2 200$/);
  assert.match(await curl(), /"code":"unauthenticated".* 401$/);
});

test("a certificate that changes is served to new connections, open ones stay, and a wrong one changes nothing", async (t) => {
  const { log, named } = readableLog();
  const [cert, key] = ["live.pem", "live.key"].map((name) => join(certificates.folder, name)) as [string, string];
  copyFileSync(pair.cert, cert);
  copyFileSync(pair.key, key);
  const tls = { tlsCertFile: cert, tlsKeyFile: key, tlsIntervalMs: 20 };
  const server = await serve(t, { tls, log });
  const session = connectHttp2(server.url, { ca: readFileSync(ca) });
  cleanUp(t, () => session.destroy());
  assert.equal(await servedName(server), "server");
  copyFileSync(clientPair.cert, cert);
  await eventually(() => named("the certificates are wrong; those before stay in use").length > 0);
  assert.equal(await servedName(server), "server");
  copyFileSync(clientPair.key, key);
  await eventually(() => named("certificates read again").length > 0);
  assert.equal(await servedName(server), "client");
  assert.ok(!session.destroyed && !session.closed);
});

test("an open connection ends when its client's certificate is of a CA that is no longer trusted, and only then", async (t) => {
  const { log, named } = readableLog();
  const clientCa = join(certificates.folder, "clients.pem");
  copyFileSync(ca, clientCa);
  const server = await serve(t, { tls: { ...TLS, tlsClientCaFile: clientCa, tlsIntervalMs: 20 }, log });
  const shown = { cert: readFileSync(clientPair.cert), key: readFileSync(clientPair.key) };
  const open = async (node: object) => {
    const session = connectHttp2(server.url, { ca: readFileSync(ca), ...node });
    session.on("error", () => {});
    cleanUp(t, () => session.destroy());
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    return session;
  };
  const [certified, other] = [await open(shown), await open({})];
  writeFileSync(clientCa, readFileSync(otherCa, "utf8") + readFileSync(ca, "utf8"));
  await eventually(() => named("certificates read again").length === 1);
  await statusOf(`${server.url}/healthz`);
  assert.deepEqual([certified.destroyed, other.destroyed], [false, false]);
  copyFileSync(otherCa, clientCa);
  await eventually(() => certified.destroyed);
  assert.equal(other.destroyed, false);
  const [line] = named("a client certificate is refused");
  assert.deepEqual([line?.from, line?.why], ["127.0.0.1", "the client CA is another one now"]);
});

test("what is no TLS, an old version of it, and half a handshake are ended", async (t) => {
  const server = await serve(t, { limits: { firstByteMs: 100, closeMs: 200 } });
  await assert.rejects(fetch(`${server.url.replace("https", "http")}/healthz`));
  const { port } = server.address;
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", ca: readFileSync(ca), maxVersion: "TLSv1.1" }, () =>
        resolve(socket),
      );
      socket.on("error", reject);
    }),
  );
  const { connect: connectTcp } = await import("node:net");
  const silent = connectTcp(port, "127.0.0.1");
  await new Promise((resolve) => silent.on("error", () => {}).on("close", resolve));
  await eventually(() => server.connections === 0);
});

test("files that are no certificates are refused by the name of their option", async () => {
  const text = join(certificates.folder, "names");
  for (const [field, tls] of [
    ["tlsCertFile", { tlsCertFile: text, tlsKeyFile: pair.key }],
    ["tlsKeyFile", { tlsCertFile: pair.cert, tlsKeyFile: text }],
    ["tlsKeyFile", { tlsCertFile: pair.cert, tlsKeyFile: clientPair.key }],
    ["tlsCertFile", { tlsCertFile: join(text, "none"), tlsKeyFile: pair.key }],
    ["tlsClientCaFile", { ...TLS, tlsClientCaFile: text }],
  ] as const) {
    await assert.rejects(echoServer({ tls }).server.start(), { reason: "invalid_argument", field });
  }
});

function servedName({ address }: HttpServer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ port: address.port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

function statusOf(url: string, node: object = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { ca: readFileSync(ca), agent: false, ...node }, (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    call.on("error", reject).end();
  });
}
