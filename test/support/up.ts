/**
 * A mesh for tests, as a user starts it: `poolmesh up --json`, real processes.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseBrokerUrl } from "../../mesh/process/broker-urls.js";
import { knownCredential } from "../../mesh/process/files/broker-file.js";
import { cleanUp, type Owner } from "./clean-up.js";
import { type Exit, type RunOptions, STATE_FOLDER, startCli, type TestProcess } from "./process.js";
import { eventually } from "./wait.js";

/** The ready line of `poolmesh up --json`. */
export interface Ready {
  readonly nats: string;
  readonly manager: string;
  readonly meter: string;
  readonly page: string;
  readonly pool?: string;
  readonly workers?: readonly string[];
  readonly slots?: number;
  readonly pids: {
    readonly nats?: number;
    readonly manager: number;
    readonly moreManagers?: number[];
    readonly meter: number;
    readonly workers: number[];
  };
}

/** How long a mesh may take to be ready on a machine that is busy, in milliseconds. */
const READY_LIMIT_MS = 60_000;

/** A running mesh. */
export class UpMesh {
  readonly process: TestProcess;
  readonly ready: Ready;
  readonly #owner: Owner;

  constructor(owner: Owner, process: TestProcess, ready: Ready) {
    this.#owner = owner;
    this.process = process;
    this.ready = ready;
  }

  /** The environment in which other programs find this mesh. */
  get env(): Record<string, string> {
    return { NATS_URL: this.natsUrl };
  }

  /** The broker's URL with the credential that only its user finds; without one when `up` has started none. */
  get natsUrl(): string {
    const { nats } = this.ready;
    const known = knownCredential({ XDG_STATE_HOME: STATE_FOLDER }, parseBrokerUrl(nats));
    return known === undefined || !("user" in known) ? nats : nats.replace("//", `//${known.user}:${known.password}@`);
  }

  /** Every process id of it. */
  get pids(): number[] {
    const { nats, manager, moreManagers = [], meter, workers } = this.ready.pids;
    return [this.process.pid, manager, ...moreManagers, meter, ...workers, ...(nats === undefined ? [] : [nats])];
  }

  /** Starts `poolmesh ARGS` against this mesh. */
  start(args: readonly string[], options: RunOptions = {}): TestProcess {
    return startCli(this.#owner, args, { ...options, env: { ...this.env, ...options.env } });
  }

  /** Runs `poolmesh ARGS` against this mesh to its end. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Exit> {
    return this.start(args, { input: "", ...options }).exit(60_000);
  }
}

/** Starts `poolmesh up --json ARGS`; it is stopped when the test `t` ends. */
export async function startUp(t: Owner, args: readonly string[], options: RunOptions = {}): Promise<UpMesh> {
  const env = { NATS_URL: undefined, ...options.env };
  const process = startCli(t, ["up", "--json", ...args], { ...options, env });
  cleanUp(t, () => process.stop());
  const [line] = await process.line(/^\{.*"ready":true.*\}$/, READY_LIMIT_MS);
  return new UpMesh(t, process, JSON.parse(line) as Ready);
}

/** Whether there is a process with this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when none of these processes is there any more. */
export async function allGone(pids: readonly number[], limitMs = 20_000): Promise<void> {
  await eventually(() => pids.every((pid) => !isAlive(pid)), {
    limitMs,
    what: `the end of processes ${pids.join(", ")}`,
  });
}

/** A folder with these files, removed when the test `t` ends. */
export async function scratchFolder(t: Owner, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-test-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}
