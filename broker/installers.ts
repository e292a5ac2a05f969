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
  /** The commands to try in turn; empty when this machine has no such way. */
  readonly steps: readonly Step[];
}

/** One command; its environment is added to the caller's. */
export interface Step {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The ways that this machine has, best first.
 *
 * @param folder where Go installs to
 * @param env PATH says which tools there are
 */
export async function installersOf(name: BinaryName, folder: string, env: Env): Promise<Installer[]> {
  const { module, version } = MODULES[name];
  const [go, apt, brew] = await Promise.all(["go", "apt-get", "brew"].map((each) => which(each, env)));
  const result: Installer[] = [];
  if (go !== undefined) {
    const step = { command: go, args: ["install", `${module}@v${version}`], env: { GOBIN: folder } };
    result.push({ name: "the Go toolchain", steps: [step] });
  }
  if (apt !== undefined && name === "nats-server" && process.getuid?.() === 0) {
    const step = { command: apt, env: { DEBIAN_FRONTEND: "noninteractive" } };
    const args = ["install", "-y", "--no-install-recommends", name];
    result.push({
      name: "apt",
      steps: [
        { ...step, args: ["update"] },
        { ...step, args },
      ],
    });
  }
  if (brew !== undefined) {
    const formula = name === "nats" ? "nats-io/nats-tools/nats" : name;
    result.push({ name: "brew", steps: [{ command: brew, args: ["install", formula] }] });
  }
  return result;
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
