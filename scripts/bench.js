// Runs the benchmark: installs its peers and their brokers when they are missing, builds what is measured and what measures.
// `npm run bench -- --help` tells how to use it. With --quick an existing build of Poolmesh is taken as it is.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bench = join(root, "bench");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const args = process.argv.slice(2);

const helps = ["--help", "-h"].some((flag) => args.includes(flag));

if (!helps) {
  run(process.execPath, ["--import", "tsx", join(root, "scripts", "ensure-broker.ts")], root);
  ensureRedis();
}
if (!existsSync(join(bench, "node_modules", ".package-lock.json"))) {
  // Not `npm ci`: a peer has optional parts for other platforms that not every registry offers, and one asks for a
  // newer Node although it runs on this one.
  run("npm", ["install", "--no-save", "--no-engine-strict", "--no-audit", "--no-fund", "--loglevel", "error"], bench);
}
if (!(helps || args.includes("--quick")) || !existsSync(join(root, "dist", "index.js")))
  run(process.execPath, [join(root, "scripts", "build.js")], root);
run(process.execPath, [tsc, "-p", "."], bench);
run(process.execPath, [join(bench, "dist", "main.js"), ...args], root);

/** Without Redis the arms that need it are left out. */
function ensureRedis() {
  if (spawnSync("redis-server", ["--version"]).status === 0) return;
  const isRoot = process.getuid?.() === 0;
  const install = ["bash", join(root, "scripts", "ci-tools.sh"), "redis-server"];
  if (isRoot && spawnSync(install[0], install.slice(1), { stdio: "inherit" }).status === 0) return;
  console.error("bench: no redis-server here, so BullMQ is left out; on Debian: sudo apt-get install redis-server");
}

function run(command, commandArgs, cwd) {
  const { status } = spawnSync(command, commandArgs, { cwd, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
