/** Streams that are open when their caller loses the right to them: every one, for every reason. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { exportJWK, generateKeyPair } from "jose";
import { RPC_RIGHTS } from "../../../mesh/auth/rights.js";
import { cleanUp, type Owner, WHOLE_FILE } from "../../support/clean-up.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { EDGE_CALLS, type EdgeCall } from "../../support/doors/edge-calls.js";
import { ISSUER, makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { within } from "../../support/wait.js";

leakGuard();
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
files.write([]);
const { log, lines } = readableLog();
const edge = {
  ...{ policyFile: files.file, policyIntervalMs: 20, controlToken: undefined as unknown as string, log },
  ...{ tlsCertFile: certificates.server.cert, tlsKeyFile: certificates.server.key, tlsClientCaFile: certificates.ca },
};
const mesh = await startMesh(WHOLE_FILE, { manager: edge, meter: edge });
await mesh.addWorker({ pool: "adder", id: "w1", slots: 9, codec: "text", run: () => "x" });
const STREAMS = EDGE_CALLS.filter(({ path, isStream }) => isStream && RPC_RIGHTS[path]?.right !== "open");

interface Held {
  /** Rejects with why the stream ended; resolves when it ended by itself. */
  readonly ended: Promise<void>;
}

/** Opens one stream and reads it to its end. */
async function hold(t: Owner, call: EdgeCall, token?: string): Promise<Held> {
  const nodeOptions = {
    ca: readFileSync(certificates.ca),
    ...(token === undefined
      ? { cert: readFileSync(certificates.client.cert), key: readFileSync(certificates.client.key) }
      : {}),
  };
  const transport = createGrpcTransport({ baseUrl: mesh[call.server].url, nodeOptions });
  const leave = new AbortController();
  cleanUp(t, () => leave.abort());
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const target = { pool: "adder", worker: "w1", jobId: "nobody" };
  let first = (): void => {};
  const begun = new Promise<void>((resolve) => (first = resolve));
  const ended = (async () => {
    for await (const _ of await call.open(transport, target, headers, leave.signal)) first();
  })();
  ended.catch(() => undefined);
  await within(Promise.race([begun, ended]));
  return { ended };
}

async function codeOf({ ended }: Held): Promise<Code | undefined> {
  return within(ended).then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );
}

interface Loss {
  readonly token?: string;
  readonly takeAway: () => void;
  readonly putBack?: () => void;
}

const REASONS: Readonly<Record<string, (name: string) => Promise<Loss>>> = {
  "its token is taken away": async (name) => ({
    token: files.token(name, "submitter", ["adder"]),
    takeAway: () => files.revoke(name),
  }),
  "its signed token expires": async (name) => {
    files.write([{ who: `jwt:${name}`, role: "submitter", pools: ["adder"] }]);
    return { token: await files.jwt(name, { exp: Math.ceil(Date.now() / 1_000) + 6 }), takeAway: () => {} };
  },
  "the policy takes its grant": async (name) => {
    files.write([{ who: `jwt:${name}`, role: "submitter", pools: ["adder"] }]);
    return { token: await files.jwt(name), takeAway: () => files.write([]) };
  },
  "the policy takes its certificate's grant": async () => {
    files.write([{ who: "cert:client", role: "submitter", pools: ["adder"] }]);
    return { takeAway: () => files.write([]) };
  },
  "its key leaves the key set": async (name) => {
    files.write([{ who: `jwt:${name}`, role: "submitter", pools: ["adder"] }]);
    const keys = files.read("keys.json");
    const stranger = await exportJWK((await generateKeyPair("ES256", { extractable: true })).publicKey);
    const takeAway = () => files.writeKeys(JSON.stringify({ keys: [{ ...stranger, kid: "k2" }] }));
    return { token: await files.jwt(name), takeAway, putBack: () => files.writeKeys(keys) };
  },
  "the audience of the policy is another one": async (name) => {
    const grants = [{ who: `jwt:${name}`, role: "submitter", pools: ["adder"] }];
    files.write(grants);
    const jwt = { jwks: "keys.json", issuer: ISSUER, audience: "elsewhere" };
    return { token: await files.jwt(name), takeAway: () => files.write(grants, { jwt }) };
  },
  "its pool is another one now": async (name) => {
    files.write([{ who: `jwt:${name}`, role: "submitter", pools: ["adder"] }]);
    const elsewhere = [{ who: `jwt:${name}`, role: "submitter", pools: ["other"] }];
    return { token: await files.jwt(name), takeAway: () => files.write(elsewhere) };
  },
};

test("there are streams at both servers", () => {
  assert.ok(STREAMS.length >= 7, String(STREAMS.length));
});

for (const [reason, prepare] of Object.entries(REASONS)) {
  test(`every open stream ends when ${reason}, and that is written down`, async (t) => {
    const name = `who-${reason.length}`;
    const { token, takeAway, putBack = () => {} } = await prepare(name);
    cleanUp(t, putBack);
    const perPool = STREAMS.filter(({ path }) => {
      const line = RPC_RIGHTS[path];
      // A stream that asks for the right of each job, or in any pool, outlives a move to another pool.
      return reason !== "its pool is another one now" || !(line?.perJob || line?.pool === "any");
    });
    const held = await within(Promise.all(perPool.map((call) => opened(t, call, token))));
    const from = lines.length;
    takeAway();
    for (const [i, each] of held.entries()) {
      assert.equal(await codeOf(each), Code.Unauthenticated, perPool[i]?.path);
    }
    const written = lines.slice(from).filter((line) => line.audit === "refused");
    for (const { path } of perPool)
      assert.ok(
        written.some(({ what, who }) => what === path && who !== "nobody"),
        path,
      );
  });
}

/** A policy that was just written may not be read yet. */
async function opened(t: Owner, call: EdgeCall, token?: string): Promise<Held> {
  for (;;) {
    const held = await hold(t, call, token).catch((error: unknown) => ConnectError.from(error));
    if (!(held instanceof ConnectError)) return held;
    if (held.code !== Code.PermissionDenied && held.code !== Code.Unauthenticated) throw held;
  }
}
