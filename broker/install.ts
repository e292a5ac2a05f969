/**
 * Installs nats-server (and, for tests, the `nats` command) on this machine.
 *
 * Decided here: only package managers that check what they fetch are used (the Go
 * toolchain with a pinned version, apt as root, brew), in this order, one
 * installer at a time. Not decided here: when to install.
 */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { type BinaryName, cacheFolder, type FindOptions, type FoundBinary, findBinary } from "./find.js";
import { withInstallLock } from "./install-lock.js";
import { type Env, installersOf, MODULES, type Step } from "./installers.js";
import { missingBinary } from "./missing.js";

/** How to install. */
export interface InstallOptions extends FindOptions {
  /** Called with one line for each step. */
  onProgress?: (line: string) => void;
  /** Install the pinned version although another one is there; for tests that want the newest. */
  pinned?: boolean;
  /** Where Go installs to; default the project's cache. */
  folder?: string;
  /** Whether apt may be used; default whether this process is root. */
  isRoot?: boolean;
}

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

async function ensureBinary(name: BinaryName, options: InstallOptions): Promise<FoundBinary> {
  const find = async (): Promise<FoundBinary | undefined> => {
    const found = await findBinary(name, options);
    const enough = !options.pinned || found?.version === MODULES[name].version;
    return enough ? found : undefined;
  };
  const found = await find();
  if (found !== undefined) return found;
  const folder = options.folder ?? cacheFolder();
  await mkdir(folder, { recursive: true });
  return withInstallLock(folder, async () => (await find()) ?? (await install(name, folder, options)));
}

async function install(name: BinaryName, folder: string, options: InstallOptions): Promise<FoundBinary> {
  const tried: string[] = [];
  const env = options.env ?? process.env;
  for (const installer of await installersOf(name, folder, env, options.isRoot)) {
    if (typeof installer.steps === "string") {
      tried.push(`${installer.name}: ${installer.steps}`);
      continue;
    }
    options.onProgress?.(`${name} is missing: installing it with ${installer.name}`);
    const failure = await runSteps(installer.steps, env);
    const found = failure === undefined ? await findBinary(name, options) : undefined;
    if (found !== undefined) {
      options.onProgress?.(`${name} ${found.version} is installed`);
      return found;
    }
    tried.push(`${installer.name}: ${failure ?? "ended well, but the program is not found"}`);
  }
  throw missingBinary(name, tried);
}

async function runSteps(steps: readonly Step[], env: Env): Promise<string | undefined> {
  for (const step of steps) {
    const failure = await runStep(step, env);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Runs a command. Returns the end of its output when it fails. */
function runStep(step: Step, env: Env): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(step.command, step.args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...env, ...step.env },
      timeout: STEP_LIMIT_MS,
    });
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
