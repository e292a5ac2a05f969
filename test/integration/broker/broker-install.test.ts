import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findServer } from "../../../broker/find.js";
import { ensureServer } from "../../../broker/install.js";
import { withInstallLock } from "../../../broker/install-lock.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { gate, settled } from "../../support/wait.js";

leakGuard();

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "poolmesh-test-install-"));
  cleanUp(t, () => rm(path, { recursive: true }));
  return path;
}

async function program(path: string, script: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** A machine that has nothing but a Go toolchain that does as `script` says. */
async function machine(t: TestContext, script: string) {
  const [cache, tools] = [await folder(t), await folder(t)];
  await program(join(tools, "go"), script);
  const progress: string[] = [];
  const onProgress = (line: string): unknown => progress.push(line);
  return { options: { folder: cache, folders: [cache], env: { PATH: tools }, onProgress }, cache, progress };
}

const GO_WORKS = `echo "$*" >> "$GOBIN/calls"
printf '#!/bin/sh\\necho nats-server: v2.15.2\\n' > "$GOBIN/nats-server"
/bin/chmod +x "$GOBIN/nats-server"`;

test("find - takes the newest that runs and passes over what does not", async (t) => {
  const [a, b, c] = [await folder(t), await folder(t), await folder(t)];
  await program(join(a, "nats-server"), "echo nats-server: v2.9.10");
  await program(join(b, "nats-server"), "echo nats-server: v2.10.1");
  await program(join(c, "nats-server"), "exit 1");
  const found = await findServer({ folders: [a, b, c] });
  assert.deepEqual(found, { path: join(b, "nats-server"), version: "2.10.1" });
  assert.equal(await findServer({ folders: [c] }), undefined);
});

test("find - a path that is given and does not run is a mistake of the user", async () => {
  await assert.rejects(findServer({ path: "/no/such/nats-server" }), { reason: "invalid_argument" });
});

test("install - a pinned version comes by the Go toolchain, into the cache, and only once for many at once", async (t) => {
  const { options, cache, progress } = await machine(t, GO_WORKS);
  const found = await Promise.all([1, 2, 3].map(() => ensureServer(options)));
  assert.deepEqual(new Set(found.map((each) => each.path)), new Set([join(cache, "nats-server")]));
  const calls = await readFile(join(cache, "calls"), "utf8");
  assert.equal(calls, "install github.com/nats-io/nats-server/v2@v2.15.2\n");
  assert.equal(progress.length, 2);
});

test("install - what is there is not installed again, unless the pinned version is asked for", async (t) => {
  const { options, cache, progress } = await machine(t, GO_WORKS);
  await program(join(cache, "nats-server"), "echo nats-server: v2.9.10");
  assert.equal((await ensureServer(options)).version, "2.9.10");
  assert.equal(progress.length, 0);
  assert.equal((await ensureServer({ ...options, pinned: true })).version, "2.15.2");
});

test("install - a failure is one message with every way to get it and why the one tried failed", async (t) => {
  const { options } = await machine(t, 'echo "dial tcp: no route to host" >&2; exit 1');
  await assert.rejects(ensureServer(options), (error: Error) => {
    assert.match(error.message, /^nats-server was not found on this machine/);
    assert.match(error.message, /apt-get install nats-server/);
    assert.match(error.message, /tried: the Go toolchain: exit code 1: dial tcp: no route to host/);
    return true;
  });
});

test("install - what this machine has no way for is said too: no tool, and no root for apt", async (t) => {
  const tools = await folder(t);
  const options = { folder: await folder(t), folders: [], env: { PATH: tools }, isRoot: false };
  const message = async (): Promise<string> => ensureServer(options).then(String, (error: Error) => error.message);
  const bare = await message();
  for (const tool of ["go", "apt-get", "brew"]) {
    assert.match(bare, new RegExp(`tried: .*: not possible: there is no ${tool} on the PATH`));
  }
  await program(join(tools, "apt-get"), "exit 0");
  assert.match(await message(), /tried: apt: needs root; this process has another user/);
});

test("install lock - the second waits for the first, and the lock of a process that is gone counts for nothing", async (t) => {
  const path = await folder(t);
  await writeFile(join(path, ".install.lock"), "2147483646");
  const held = gate();
  const first = withInstallLock(path, () => held.promise);
  const second = withInstallLock(path, async () => "second");
  assert.equal(await settled(second), "pending");
  held.open();
  await first;
  assert.equal(await second, "second");
});
