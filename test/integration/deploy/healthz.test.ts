/** `poolmesh healthz`: a service is asked by the options that it has itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../support/docs/fake-shell.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { echoServer } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();

test("manager and meter are up; they are not ready while the broker is gone; one that has stopped is not available", async (t) => {
  const mesh = await startMesh(t);
  const services = [mesh.managerAddress, mesh.meterAddress];
  const asks = (...argv: string[]): Promise<ShellExit[]> =>
    Promise.all(services.map((listen) => runInShell(["healthz", ...argv], { POOLMESH_LISTEN: listen })));
  for (const { code, stdout } of [...(await asks()), ...(await asks("--ready"))]) {
    assert.deepEqual([code, stdout], [EXIT.ok, "ok\n"]);
  }
  await mesh.broker.stop();
  await eventually(async () => (await asks("--ready")).every(({ code }) => code === EXIT.unavailable));
  for (const { stdout } of await asks("--ready")) assert.match(stdout, /not connected to the broker/);
  for (const { code } of await asks()) assert.equal(code, EXIT.ok, "it serves all the same");

  await Promise.all([mesh.manager.stop(), mesh.meter.stop()]);
  for (const { code, stderr } of await asks("--within-ms", "2000")) {
    assert.equal(code, EXIT.unavailable);
    assert.match(stderr, /no answer from http:\/\/127\.0\.0\.1:\d+\/healthz: .*ECONNREFUSED/);
  }
});

test("a service that listens everywhere over TLS is asked on loopback, without a certificate and without a token", async (t) => {
  const { server: pair, ca } = makeCertificates(t);
  const policy = await makePolicy(t);
  policy.write([]);
  const { server } = echoServer({
    listen: { host: "0.0.0.0", port: 0 },
    tls: { tlsCertFile: pair.cert, tlsKeyFile: pair.key, tlsClientCaFile: ca },
    access: { policyFile: policy.file },
  });
  cleanUp(t, () => server.stop());
  await server.start();
  const env = {
    POOLMESH_LISTEN: `0.0.0.0:${server.address.port}`,
    POOLMESH_TLS_CERT_FILE: pair.cert,
    POOLMESH_TLS_KEY_FILE: pair.key,
  };
  const { code, stdout, stderr } = await runInShell(["healthz", "--ready"], env);
  assert.deepEqual([code, stdout, stderr], [EXIT.ok, "ok\n", ""]);
});
