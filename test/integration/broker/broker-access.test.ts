/** How a connection to a broker is made: whose credentials, which certificates, and why there is none. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { Broker } from "../../../broker/broker.js";
import type { PoolError } from "../../../mesh/errors.js";
import { Bus, type BusOptions } from "../../../mesh/link/bus.js";
import type { Logger } from "../../../mesh/process/log.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { startCli } from "../../support/process.js";
import { without } from "../../support/tools.js";
import { eventually } from "../../support/wait.js";

const ODD_PASSWORD = "p@ss/w:rd?#%,é";
const ROOT = new URL("../../../", import.meta.url).pathname;
const skip = without("openssl");

const withSecret = (broker: Broker, secret: string): string => broker.url.replace("//", `//${secret}@`);

async function refusal(options: BusOptions): Promise<PoolError> {
  const bus = await Bus.connect({ waitOnFirstConnect: false, ...options }).catch((error: PoolError) => error);
  if (bus instanceof Bus) {
    await bus.close();
    assert.fail("was connected");
  }
  return bus;
}

const startTls = (t: Owner, files: ReturnType<typeof makeCertificates>, more = ""): Promise<Broker> => {
  const { cert, key } = files.server;
  return startBroker(t, { extraConfig: `tls { cert_file: "${cert}", key_file: "${key}", timeout: 3\n${more} }` });
};

test("broker access - user, password and token of a URL are used", async (t) => {
  const user = await startBroker(t, { auth: { user: "b@b", password: ODD_PASSWORD } });
  const url = withSecret(user, `${encodeURIComponent("b@b")}:${encodeURIComponent(ODD_PASSWORD)}`);
  assert.ok((await connectBus(t, { url })).connected);
  assert.ok((await connectBus(t, user, { user: "b@b", password: ODD_PASSWORD })).connected, "options say the same");
  assert.ok((await connectBus(t, { url }, { password: ODD_PASSWORD })).connected, "the option repeats the password");
  const named = withSecret(user, encodeURIComponent("b@b"));
  assert.ok((await connectBus(t, { url: named }, { password: ODD_PASSWORD })).connected, "the password alone");
  const token = await startBroker(t, { auth: { token: ODD_PASSWORD } });
  assert.ok((await connectBus(t, { url: withSecret(token, encodeURIComponent(ODD_PASSWORD)) })).connected);
  const error = await refusal({ servers: withSecret(token, "another") });
  assert.equal(error.reason, "unauthenticated");
});

test("broker access - one credential in a list serves all its brokers", async (t) => {
  const broker = await startBroker(t, { auth: { user: "u", password: "p" } });
  assert.ok((await connectBus(t, { url: `nats://u:p@127.0.0.1:1,${broker.url}` })).connected);
});

test("broker access - each broker of a list hears its own credential, also after a reconnect", async (t) => {
  const brokers = [
    await startBroker(t, { auth: { user: "u1", password: "p1" } }),
    await startBroker(t, { auth: { token: "t2" } }),
  ];
  const [a, b] = brokers as [Broker, Broker];
  const bus = await connectBus(t, { url: `${withSecret(a, "u1:p1")},${withSecret(b, "t2")}` });
  const at = (broker: Broker): boolean => bus.connected && bus.nc.getServer() === `127.0.0.1:${broker.port}`;
  for (let i = 0; i < 2; i += 1) {
    const [here, there] = at(a) ? [a, b] : [b, a];
    await here.crash();
    await eventually(() => at(there), { what: "the other broker" });
    await here.revive();
  }
});

test("broker access - of two ways to say who connects none is ignored without a word", async () => {
  const url = "nats://u:p@127.0.0.1:1";
  const cases: [options: BusOptions, field: string][] = [
    [{ user: "u", token: "t" }, "token"],
    [{ password: "p" }, "password"],
    [{ servers: url, password: "other" }, "password"],
    [{ servers: url, user: "other", password: "p" }, "user"],
    [{ servers: url, token: "t" }, "token"],
    [{ servers: url, credsFile: "/x" }, "credsFile"],
  ];
  for (const [options, field] of cases) {
    const error = await refusal(options);
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field], JSON.stringify(options));
  }
});

test("broker access - tls:// takes TLS or nothing, also in a list", { skip }, async (t) => {
  const plain = await startBroker(t);
  for (const servers of [plain.url.replace("nats:", "tls:"), `${plain.url},tls://127.0.0.1:${plain.port}`]) {
    assert.match((await refusal({ servers })).message, /offers no TLS/);
  }
  const files = makeCertificates(t);
  const secure = await startTls(t, files);
  const bus = await connectBus(t, { url: secure.url.replace("nats:", "tls:") }, { tlsCaFile: files.ca });
  assert.ok(bus.nc.info?.tls_required);
});

test("broker access - the cause of no connection is in the line", { skip }, async (t) => {
  const files = makeCertificates(t);
  const [secure, mutual] = [await startTls(t, files), await startTls(t, files, `ca_file: "${files.ca}", verify: true`)];
  const full = await startBroker(t, { extraConfig: "max_connections: 1" });
  await connectBus(t, full);
  const stranger = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  cleanUp(t, () => stranger.close());
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  const { port } = stranger.address() as { port: number };
  const cases: [what: RegExp, options: BusOptions][] = [
    [/not trusted .*tlsCaFile/, { servers: secure.url, tlsCaFile: files.otherCa }],
    [/not trusted .*tlsCaFile/, { servers: secure.url }],
    [/client certificate: see tlsCertFile/, { servers: mutual.url, tlsCaFile: files.ca }],
    [/max_connections/, { servers: full.url }],
    [/connection refused/, { servers: "nats://127.0.0.1:1" }],
    [/no address \(DNS\)/, { servers: "nats://no-such-host.invalid" }],
    [/no NATS broker/, { servers: `nats://127.0.0.1:${port}` }],
    [/:1: connection refused.*no address/, { servers: "127.0.0.1:1,no-such-host.invalid" }],
  ];
  const errors = await Promise.all(cases.map(([, options]) => refusal(options)));
  for (const [i, [what]] of cases.entries()) {
    assert.equal(errors[i]?.reason, "bus_unavailable");
    assert.match(errors[i]?.message ?? "", what);
  }
});

test("broker access - a long wait for a broker tells each cause once and leaves nothing behind at its signal", async (t) => {
  let dials = 0;
  const closed = createServer((socket) => {
    dials += 1;
    socket.on("error", () => {}).destroy();
  });
  cleanUp(t, () => closed.close());
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as { port: number };
  const leave = new AbortController();
  const lines: unknown[] = [];
  const log = { warn: (line: unknown) => lines.push(line) } as unknown as Logger;
  const waiting = Bus.connect({ servers: `nats://127.0.0.1:${port}`, signal: leave.signal, log }).catch((e) => e);
  await eventually(() => dials >= 4, { what: "four tries" });
  assert.ok(getEventListeners(leave.signal, "abort").length <= 1);
  assert.equal(lines.length, 1, JSON.stringify(lines));
  leave.abort();
  assert.equal((await waiting).reason, "canceled");
});

test("broker access - the cause of an outage is told, and again when it changes", async (t) => {
  const lines: string[] = [];
  const note = (line: { reason?: string }): number => lines.push(line.reason ?? "");
  const log = { warn: note, info: note, error: note } as unknown as Logger;
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker, { log });
  const { port } = broker;
  await broker.crash();
  await eventually(() => lines.some((line) => line.includes("connection refused")), { what: "the first cause" });
  const stranger = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await new Promise<void>((resolve) => stranger.listen(port, "127.0.0.1", resolve));
  await eventually(() => lines.some((line) => line.includes("no NATS broker")), { what: "the second cause" });
  await new Promise((resolve) => stranger.close(resolve));
  await broker.revive();
  await eventually(() => bus.connected, { what: "the connection" });
});

test("broker access - a file that is not what its option says is refused by name", { skip }, async (t) => {
  const files = makeCertificates(t);
  const text = join(files.folder, "text");
  writeFileSync(text, "-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n");
  const { cert, key } = files.client;
  const cases: [field: string, options: BusOptions][] = [
    ["tlsCaFile", { tlsCaFile: text }],
    ["tlsCaFile", { tlsCaFile: key }],
    ["tlsCaFile", { tlsCaFile: files.folder }],
    ["tlsCaFile", { tlsCaFile: join(files.folder, "none") }],
    ["tlsCertFile", { tlsCertFile: text, tlsKeyFile: key }],
    ["tlsCertFile", { tlsCertFile: cert }],
    ["tlsKeyFile", { tlsKeyFile: key }],
    ["tlsKeyFile", { tlsCertFile: cert, tlsKeyFile: cert }],
    ["tlsKeyFile", { tlsCertFile: cert, tlsKeyFile: files.server.key }],
    ["credsFile", { credsFile: text }],
    ["nkeyFile", { nkeyFile: text }],
    ["nkeyFile", { nkeyFile: join(files.folder, "none") }],
  ];
  for (const [field, options] of cases) {
    const error = await refusal({ servers: "nats://127.0.0.1:1", ...options });
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field], JSON.stringify(options));
  }
});

test("broker access - a service whose CA file is no PEM exits with 78 and names the option", async (t) => {
  const env = { NATS_URL: "nats://127.0.0.1:1", POOLMESH_NATS_TLS_CA_FILE: `${ROOT}package.json` };
  const { code, stdout, stderr } = await startCli(t, ["meter", "--listen", "127.0.0.1:0"], { env }).exited;
  assert.equal(code, 78, stdout + stderr);
  assert.match(stdout + stderr, /tlsCaFile: the file holds no certificate/);
});
