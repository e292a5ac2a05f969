// Builds dist/: the library, the command line and the meter's page. Quiet unless something fails.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const SHEBANG = "#!/usr/bin/env node\n";

if (!installed("typescript")) {
  const omitted = /\bdev\b/.test(process.env.npm_config_omit ?? "") || process.env.NODE_ENV === "production";
  console.error("build: development dependencies are not installed, so dist/ was not built");
  process.exit(omitted ? 0 : 1);
}

rmSync(join(root, "dist"), { recursive: true, force: true });
run("the library", "typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
for (const gate of ["index", "browser", "testing"]) writeCommonJsTypes(gate);
makeExecutable(join(root, "dist", "cli", "main.js"));
if (existsSync(join(root, "services", "meter", "page", "index.html"))) {
  run("the page", "vite/bin/vite.js", [
    "build",
    "--config",
    "services/meter/page/vite.config.ts",
    "--logLevel",
    "warn",
  ]);
}

/**
 * The types of a gate for CommonJS. Node's require() takes ES modules, but TypeScript believes it only with
 * `module` node20 or nodenext; with node16 it refuses the import of an ES module, whose types it has read by then.
 */
function writeCommonJsTypes(gate) {
  const text = `// @ts-ignore: Node requires ES modules since 20.19 and 22.12.\nexport * from "./${gate}.js";\n`;
  writeFileSync(join(root, "dist", `${gate}.d.cts`), text);
}

/** Runs a tool of node_modules; its output is shown only when it fails. */
function run(what, tool, args) {
  const [name, ...path] = tool.split("/");
  const file = join(dirname(require.resolve(`${name}/package.json`)), ...path);
  const result = spawnSync(process.execPath, [file, ...args], { cwd: root, encoding: "utf8" });
  if (result.status === 0) return;
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`.trim();
  console.error(`build: ${what} failed\n${output}`);
  process.exit(1);
}

function makeExecutable(file) {
  if (!existsSync(file)) return;
  const text = readFileSync(file, "utf8");
  if (!text.startsWith("#!")) writeFileSync(file, SHEBANG + text);
  chmodSync(file, 0o755);
}

function installed(name) {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}
