/**
 * Getting nats-server (and, for tests, the `nats` command) onto this machine.
 *
 * Decided here: only package managers that check what they fetch (the Go
 * toolchain with a pinned version, apt as root, brew), in this order, one
 * installer at a time. Not decided here: when to install; a caller asks.
 */
import { spawn } from "node:child_process";
import { access, constants, mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type BinaryName, cacheFolder, type FoundBinary, findBinary } from "./find.js";
import { withInstallLock } from "./install-lock.js";
import { missingBinary } from "./missing.js";

/** How to install. */
export interface InstallOptions {
  /** Hears one line for each step. */
  onProgress?: (line: string) => void;
  /** Take this path and install nothing. */
  path?: string;
  /** Install the pinned version although another one is there; for tests that want the newest. */
  pinned?: boolean;
}

/** The Go modules, pinned; Go checks them against its checksum database. */
const MODULES: Readonly<Record<BinaryName, { readonly module: string; readonly version: string }>> = {
  "nats-server": { module: "github.com/nats-io/nats-server/v2", version: "2.15.2" },
  nats: { module: "github.com/nats-io/natscli/nats", version: "0.5.0" },
};
/** How long one command may take, in milliseconds. */
const STEP_LIMIT_MS = 8 * 60_000;
/** The end of a command's output that is kept, in characters. */
const OUTPUT_TAIL_LENGTH = 400;

/**
 * nats-server: found, else installed.
 *
 * @throws PoolError `bus_unavailable`: one message that says how to get it and what was tried
 */
export function ensureServer(options: InstallOptions = {}): Promise<FoundBinary> {
  return ensureBinary("nats-server", options);
}

/** As {@link ensureServer}, for the `nats` command. */
export function ensureCli(options: InstallOptions = {}): Promise<FoundBinary> {
  return ensureBinary("nats", options);
}

/** One way to install, and how it is called. */
interface Installer {
  readonly name: string;
  /** The commands to try in turn; empty when this machine has no such way. */
  readonly steps: readonly Step[];
}

interface Step {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function ensureBinary(name: BinaryName, options: InstallOptions): Promise<FoundBinary> {
  const find = async (): Promise<FoundBinary | undefined> => {
    const found = await findBinary(name, options.path === undefined ? {} : { path: options.path });
    const enough = !options.pinned || found?.version === MODULES[name].version;
    return enough ? found : undefined;
  };
  const found = await find();
  if (found !== undefined) return found;
  await mkdir(cacheFolder(), { recursive: true });
  return withInstallLock(cacheFolder(), async () => (await find()) ?? (await install(name, options)));
}

async function install(name: BinaryName, options: InstallOptions): Promise<FoundBinary> {
  const tried: string[] = [];
  for (const installer of await installers(name)) {
    options.onProgress?.(`${name} is missing: installing it with ${installer.name}`);
    const failure = await runSteps(installer.steps);
    const found = failure === undefined ? await findBinary(name) : undefined;
    if (found !== undefined) {
      options.onProgress?.(`${name} ${found.version} is installed`);
      return found;
    }
    tried.push(`${installer.name}: ${failure ?? "ended well, but the program is still not found"}`);
  }
  throw missingBinary(name, tried);
}

async function installers(name: BinaryName): Promise<Installer[]> {
  const { module, version } = MODULES[name];
  const [go, apt, brew] = await Promise.all(["go", "apt-get", "brew"].map(which));
  const result: Installer[] = [];
  if (go !== undefined) {
    const env = { GOBIN: cacheFolder() };
    result.push({
      name: "the Go toolchain",
      steps: [{ command: go, args: ["install", `${module}@v${version}`], env }],
    });
  }
  if (apt !== undefined && name === "nats-server" && process.getuid?.() === 0) {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const args = ["install", "-y", "--no-install-recommends", name];
    result.push({
      name: "apt",
      steps: [
        { command: apt, args: ["update"], env },
        { command: apt, args, env },
      ],
    });
  }
  if (brew !== undefined) {
    const formula = name === "nats" ? "nats-io/nats-tools/nats" : name;
    result.push({ name: "brew", steps: [{ command: brew, args: ["install", formula] }] });
  }
  return result;
}

async function runSteps(steps: readonly Step[]): Promise<string | undefined> {
  for (const step of steps) {
    const failure = await runStep(step);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Runs a command; gives the end of what it said when it fails. */
function runStep(step: Step): Promise<string | undefined> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...step.env };
    const child = spawn(step.command, step.args, { stdio: ["ignore", "pipe", "pipe"], env, timeout: STEP_LIMIT_MS });
    let tail = "";
    const keep = (chunk: Buffer): void => {
      tail = (tail + chunk.toString()).slice(-OUTPUT_TAIL_LENGTH);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      const lastLine = tail.trim().split("\n").at(-1) ?? "";
      resolve(code === 0 ? undefined : `${signal ?? `exit code ${code}`}: ${lastLine}`);
    });
  });
}

async function which(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter).concat("/usr/local/go/bin", "/opt/homebrew/bin")) {
    const path = join(folder, name);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== "" && runs) return path;
  }
  return undefined;
}
