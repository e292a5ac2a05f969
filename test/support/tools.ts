/**
 * Tools that tests need besides Node: other languages, the `nats` command, a browser.
 *
 * With CI=true a tool that is missing fails the test that needs it. Anywhere
 * else that test is skipped and says why:
 *
 *   test("a Go program submits", { skip: without("go") }, async () => { … toolPath("go") … });
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { findCli } from "../../broker/find.js";

/** What tests may ask for. */
export type Tool = "go" | "python3" | "nats" | "chromium" | "curl" | "redis-server" | "openssl" | "promtool" | "helm";

const NAMES: Readonly<Record<Tool, readonly string[]>> = {
  go: ["go"],
  python3: ["python3"],
  nats: ["nats"],
  chromium: ["chromium", "chromium-browser", "google-chrome"],
  curl: ["curl"],
  "redis-server": ["redis-server"],
  openssl: ["openssl"],
  promtool: ["promtool"],
  helm: ["helm"],
};
const USUAL_FOLDERS = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/go/bin", "/opt/homebrew/bin"];
const nats = await findCli();

/** For a test's `skip`: the reason when a tool is missing outside CI, else false. */
export function without(...tools: Tool[]): string | false {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  if (missing.length === 0 || isCi()) return false;
  return `${missing.join(", ")} not found on this machine`;
}

/** The same for a tool that takes minutes to build: CI does without it, too. */
export function unlessFound(tool: Tool): string | false {
  return findTool(tool) === undefined ? `${tool} not found on this machine` : false;
}

/**
 * The path of a tool. Pair it with `skip: without(…)`.
 *
 * @throws Error when it is missing
 */
export function toolPath(tool: Tool): string {
  const path = findTool(tool);
  if (path === undefined) throw new Error(`${tool} is required here and was not found`);
  return path;
}

function findTool(tool: Tool): string | undefined {
  if (tool === "nats") return nats?.path;
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...USUAL_FOLDERS];
  return NAMES[tool].flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isCi(): boolean {
  return process.env.CI === "true";
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
