/** Every command that names a pool says so when there is none of that name, with its exit code; none is silent. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { lacking } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit, type ShellOptions } from "../../support/docs/fake-shell.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });
await mesh.addWorker({
  pool: "invoice",
  slots: 4,
  run: ({ payload }) => {
    if (payload === "coded") throw Object.assign(new PermanentError("no such card"), { code: "card.unknown" });
    throw new PermanentError("not this one");
  },
});
await mesh.untilCapacity("invoice", 4);
await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get("invoice")) !== undefined);
// The broker goes first: a manager that still has it waits until its open pulls are over.
cleanUp(WHOLE_FILE, () => mesh.broker.stop());

const ENV = { NATS_URL: mesh.natsUrl, POOLMESH_CONTROL_TOKEN: CONTROL_TOKEN };
const { url } = mesh.manager;

function poolmesh(argv: readonly string[], options: ShellOptions = {}): Promise<ShellExit> {
  return runInShell(argv, ENV, options);
}

/** A broker that cannot pause a pool says that, whatever the pool's name. */
const PAUSES: readonly (readonly string[])[] =
  (await lacking(NEEDS.pauses)) === false
    ? [
        ["pause-pool", "invoce"],
        ["resume-pool", "invoce"],
      ]
    : [];
const REMOTE_TOO: readonly (readonly string[])[] = [
  ...PAUSES,
  ["submit", "invoce", "1"],
  ["map", "invoce"],
  ["enqueue", "invoce", "1"],
  ["jobs", "invoce"],
  ["job", "invoce", "j-1"],
  ["dead", "invoce"],
  ["dead", "invoce", "list", "--json"],
  ["dead", "invoce", "show", "j-1"],
  ["dead", "invoce", "retry", "j-1"],
  ["dead", "invoce", "retry", "--all"],
  ["dead", "invoce", "purge", "--reason", "job_failed"],
  ["durable", "invoce"],
  ["cron", "invoce"],
  ["cron", "invoce", "list", "--json"],
  ["cron", "invoce", "remove", "nightly"],
  ["cron", "invoce", "set", "nightly", "@every 90s", "1"],
  ["limits", "invoce"],
  ["limits", "invoce", "list", "--json"],
  ["limits", "invoce", "set", "pool", "--running", "1"],
  ["cancel", "invoce", "j-1"],
  ["workers", "--pool", "invoce"],
  ["drain", "--pool", "invoce"],
  ["pause", "--pool", "invoce"],
  ["resume", "--pool", "invoce"],
  ["resize", "--pool", "invoce", "--slots", "2"],
];
const BROKER_ONLY: readonly (readonly string[])[] = [
  ["restart", "--pool", "invoce"],
  ["drain", "w-1", "--pool", "invoce"],
  ["top", "invoce", "--once", "--meter", mesh.meter.url],
  ["top", "invoce", "--once", "--json", "--meter", mesh.meter.url],
];

describe("a pool that there is not", () => {
  for (const argv of [...REMOTE_TOO, ...BROKER_ONLY, ...REMOTE_TOO.map((each) => [...each, "--url", url])]) {
    test(`is told by poolmesh ${argv.join(" ").replace(/http:\S+/, "URL")}: one line, exit 69`, async () => {
      const { code, stdout, stderr } = await poolmesh(argv, { input: "1\n" });
      assert.deepEqual([code, stdout], [69, ""], stderr);
      assert.match(stderr, /^poolmesh: unknown_pool: [^\n]+\n$/);
    });
  }

  for (const remote of [[], ["--url", url]]) {
    test(`is waited for with --wait-for-pool, and what is waited for is said once${remote.length > 0 ? ", with --url" : ""}`, async () => {
      const argvs = [
        ["map", "invoce"],
        ["submit", "invoce", "1"],
      ].map((argv) => [...argv, "--wait-for-pool", "--timeout-ms", "10000", ...remote]);
      for (const { code, stderr } of await Promise.all(argvs.map((argv) => poolmesh(argv, { input: "1\n2\n" })))) {
        assert.equal(code, 1, stderr);
        const told = stderr.split("\n").filter((line) => line.startsWith("poolmesh: waiting for a worker until"));
        assert.equal(told.length, 1, stderr);
        assert.match(told[0] ?? "", /did you mean invoice\?/);
      }
      assert.equal((await poolmesh(["jobs", "invoce"])).code, 69, "a name that jobs waited for gets no streams");
    });
  }
});

describe("a pool that there is", () => {
  for (const remote of [[], ["--url", url]]) {
    const how = remote.length > 0 ? ", with --url" : "";

    test(`but no job of this id, no dead letter, is another word and exit code${how}`, async () => {
      const job = await poolmesh(["job", "invoice", "nothing", ...remote]);
      assert.deepEqual([job.code, /^poolmesh: not_found: /.test(job.stderr)], [1, true], job.stderr);
      const cancel = await poolmesh(["cancel", "invoice", "nothing", ...remote]);
      assert.deepEqual([cancel.code, /^poolmesh: not_found: /.test(cancel.stderr)], [1, true], cancel.stderr);
      const dead = await poolmesh(["dead", "invoice", "--reason", "internal", ...remote]);
      assert.deepEqual(dead, { code: 0, stdout: "", stderr: "poolmesh: no dead letters that match\n" });
    });

    test(`dead lists the code of a handler's error, where there is one${how}`, async () => {
      const id = `coded${remote.length}`;
      await poolmesh(["enqueue", "invoice", '"coded"', "--wait", "--id", id, ...remote]);
      await poolmesh(["enqueue", "invoice", "1", "--wait", "--id", `plain${remote.length}`, ...remote]);
      const { stdout } = await poolmesh(["dead", "invoice", ...remote]);
      assert.match(stdout, /^JOB +DIED +ATTEMPT +REASON +CODE +MESSAGE\n/);
      assert.match(stdout, new RegExp(`${id} .* job_rejected +card\\.unknown +no such card\n`));
      await poolmesh(["dead", "invoice", "purge", id]);
      assert.match((await poolmesh(["dead", "invoice", ...remote])).stdout, /^JOB +DIED +ATTEMPT +REASON +MESSAGE\n/);
    });
  }
});
