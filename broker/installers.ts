/**
 * The ways to install a binary: the Go toolchain with a pinned version, apt as
 * root, brew. Each of them checks what it fetches.
 */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { BinaryName } from "./find.js";

/** The Go modules, pinned; Go checks them against its checksum database. */
export const MODULES: Readonly<Record<BinaryName, { readonly module: string; readonly version: string }>> = {
  "nats-server": { module: "github.com/nats-io/nats-server/v2", version: "2.15.2" },
  nats: { module: "github.com/nats-io/natscli/nats", version: "0.5.0" },
};
/** Environment variables. */
export type Env = Readonly<Record<string, string | undefined>>;

/** One way to install, and how it is called. */
export interface Installer {
  readonly name: string;
  /** The commands to run in turn; or why this way cannot be gone here. */
  readonly steps: readonly Step[] | string;
}

/** One command; its environment is added to the caller's. */
export interface Step {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Every way, best first: the commands of those that this machine has, and of the
 * others why not.
 *
 * @param folder where Go installs to
 * @param env PATH says which tools there are
 * @param isRoot apt needs it; default whether this process is
 */
export async function installersOf(
  name: BinaryName,
  folder: string,
  env: Env,
  isRoot = process.getuid?.() === 0,
): Promise<Installer[]> {
  const { module, version } = MODULES[name];
  const [go, apt, brew] = await Promise.all(["go", "apt-get", "brew"].map((each) => which(each, env)));
  const goStep = { args: ["install", `${module}@v${version}`], env: { GOBIN: folder } };
  return [
    { name: "the Go toolchain", steps: go === undefined ? absent("go") : [{ command: go, ...goStep }] },
    { name: "apt", steps: aptSteps(name, apt, isRoot) },
    {
      name: "brew",
      steps: brew === undefined ? absent("brew") : [{ command: brew, args: ["install", FORMULAS[name]] }],
    },
  ];
}

const FORMULAS: Readonly<Record<BinaryName, string>> = {
  "nats-server": "nats-server",
  nats: "nats-io/nats-tools/nats",
};

function aptSteps(name: BinaryName, apt: string | undefined, isRoot: boolean): readonly Step[] | string {
  if (name !== "nats-server") return "has no such package";
  if (apt === undefined) return absent("apt-get");
  if (!isRoot) return "needs root; this process has another user";
  const step = { command: apt, env: { DEBIAN_FRONTEND: "noninteractive" } };
  const args = ["install", "-y", "--no-install-recommends", name];
  return [
    { ...step, args: ["update"] },
    { ...step, args },
  ];
}

function absent(tool: string): string {
  return `not possible: there is no ${tool} on the PATH`;
}

async function which(name: string, env: Env): Promise<string | undefined> {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== "" && runs) return path;
  }
  return undefined;
}
