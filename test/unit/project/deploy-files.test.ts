/** What deploy/ starts: programs with options that they have, and which may start with them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { envName } from "../../../mesh/process/config.js";
import { OPTIONS } from "../../../mesh/process/options.js";
import { requireStart } from "../../support/deploy/program-config.js";

const files = readdirSync("deploy", { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

test("every POOLMESH_ variable in deploy/ is an option", () => {
  const known = new Set(Object.keys(OPTIONS).map(envName));
  const unknown = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\bPOOLMESH_[A-Z_]*[A-Z]\b/g)].flatMap(([name]) =>
      known.has(name) ? [] : [`${file}: ${name}`],
    ),
  );
  assert.deepEqual(unknown, []);
});

test("the programs of the compose files take their arguments and environment, in the clear and with TLS", () => {
  const plain = readCompose("deploy/compose/compose.yaml");
  const secure = readCompose("deploy/compose/compose.tls.yaml");
  for (const name of ["manager", "meter", "worker"]) {
    const args = plain[name]?.command ?? [];
    const env = { ...plain[name]?.environment };
    requireStart({ args, env });
    requireStart({ args, env: { ...env, ...secure[name]?.environment } });
    const { POOLMESH_INSECURE, ...asked } = env;
    if (name === "worker") continue;
    assert.equal(POOLMESH_INSECURE, "true");
    assert.throws(() => requireStart({ args, env: asked }), /other machines can reach this address/);
  }
  for (const name of ["manager", "meter"]) assert.equal(secure[name]?.environment.POOLMESH_INSECURE, "false");
});

test("where managers of the compose file run the durable lane, meters show it", () => {
  const { manager, meter } = readCompose("deploy/compose/compose.yaml");
  assert.equal(manager?.environment?.POOLMESH_DURABLE, "true");
  assert.equal(meter?.environment?.POOLMESH_DURABLE, "true");
});

test("a process has more time to stop than its grace", () => {
  for (const [name, { environment, stop_grace_period }] of Object.entries(readCompose("deploy/compose/compose.yaml"))) {
    const graceMs = Number(environment?.POOLMESH_GRACE_MS ?? 0);
    if (graceMs > 0) assert.ok(Number.parseInt(stop_grace_period ?? "0", 10) * 1_000 > graceMs, name);
  }
  for (const file of files.filter((each) => each.endsWith(".service"))) {
    const stopSeconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(readFileSync(file, "utf8"))?.[1]);
    assert.ok(stopSeconds * 1_000 > (OPTIONS.graceMs.default ?? 0), file);
  }
});

test("a unit starts a service, and not again when its configuration is wrong", () => {
  const units = files.filter((file) => file.endsWith(".service"));
  assert.equal(units.length, 4);
  for (const unit of units) {
    const text = readFileSync(unit, "utf8");
    const [, words = ""] = /^ExecStart=\/usr\/bin\/node \S*\/dist\/cli\/main\.js (.*)$/m.exec(text) ?? [];
    const isWorker = words.startsWith("worker");
    requireStart({
      args: words.replace("%i", isWorker ? "adder" : "1").split(" "),
      env: isWorker ? { POOLMESH_HANDLER: "adder.ts" } : {},
    });
    assert.match(text, /^RestartPreventExitStatus=78$/m);
  }
});

test("the recipe for one host makes each file and folder that the units need, and starts each unit", () => {
  const [, recipe = ""] =
    /```sh\n(npm install --prefix [\s\S]*?)```/.exec(readFileSync("docs/operations.md", "utf8")) ?? [];
  const parts = /for part in (.*); do\n *echo NATS_URL=\S+ > \/etc\/poolmesh\/\$part\.env/
    .exec(recipe)?.[1]
    ?.split(" ");
  const started = /systemctl enable --now (.*)/.exec(recipe)?.[1]?.split(" ") ?? [];
  const made = /mkdir -p (.*)/.exec(recipe)?.[1]?.split(" ") ?? [];
  const [, prefix = ""] = /npm install --prefix (\S+)/.exec(recipe) ?? [];
  const units = files.filter((file) => file.endsWith(".service") && !file.endsWith("poolmesh-manager@.service"));
  assert.equal(started.length, units.length);
  for (const unit of units) {
    const text = readFileSync(unit, "utf8").replaceAll("%i", "adder");
    const [, env = ""] = /^EnvironmentFile=-?\/etc\/poolmesh\/(\S+)\.env$/m.exec(text) ?? [];
    assert.ok(parts?.includes(env), unit);
    assert.ok(started.includes(`poolmesh-${env.replace("worker-", "worker@")}`), unit);
    assert.ok(text.includes(`ExecStart=/usr/bin/node ${prefix}/node_modules/poolmesh/dist/cli/main.js `), unit);
    const [, folder] = /^WorkingDirectory=(\S+)$/m.exec(text) ?? [];
    if (folder !== undefined) assert.ok(made.includes(folder), unit);
  }
  assert.ok(made.includes("/etc/poolmesh"));
});

interface ComposeService {
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stop_grace_period?: string;
}

function readCompose(file: string): Record<string, ComposeService> {
  const text = readFileSync(file, "utf8")
    .replaceAll("!override ", "")
    .replaceAll(/\$\{\w+[^}]*\}/g, "set");
  return (parse(text, { merge: true }) as { services: Record<string, ComposeService> }).services;
}
