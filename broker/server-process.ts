/**
 * One run of nats-server: from its start to its end.
 *
 * Decided here: when it counts as ready (its ports file is written), how it is
 * ended, and what is kept of its log. Not decided here: ports and restarts
 * (broker.ts).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PoolError } from "../mesh/errors.js";
import { parseJson } from "../mesh/job/codec.js";
import { Watchdog } from "./watchdog.js";

/** What a run needs. */
export interface LaunchOptions {
  readonly binary: string;
  readonly configFile: string;
  /** The folder that its configuration names as ports_file_dir. */
  readonly portsFolder: string;
  /** Removed when this process dies; "" for none. */
  readonly privateFolder: string;
  /** Gives up the launch. */
  readonly signal: AbortSignal;
}

/** The addresses that a server listens on. */
export interface ServerPorts {
  readonly url: string;
  readonly clusterUrl: string | undefined;
}

/** How long a server may take to be ready, in milliseconds. */
const READY_LIMIT_MS = 20_000;
const READY_POLL_MS = 10;
/** How long a server has to end itself at SIGTERM, in milliseconds. */
const TERM_LIMIT_MS = 5_000;
/** The end of the log that is kept, in characters. */
const LOG_TAIL_LENGTH = 8_192;

/** A server that is ready. */
export class ServerProcess {
  readonly pid: number;
  /** Settles when it has ended, with its last log line. Never rejects. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #watchdog: Watchdog;
  #ports: ServerPorts = { url: "", clusterUrl: undefined };
  #logTail = "";
  #ended = false;

  /**
   * Starts a server and resolves when it listens.
   *
   * @throws PoolError `bus_unavailable` with the server's own last line when it ends instead
   */
  static async launch(options: LaunchOptions): Promise<ServerProcess> {
    await rm(options.portsFolder, { recursive: true, force: true });
    await mkdir(options.portsFolder, { mode: 0o700 });
    const child = spawn(options.binary, ["-c", options.configFile], {
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    if (child.pid === undefined) throw await spawnFailure(child);
    const server = new ServerProcess(child, child.pid, options.privateFolder);
    try {
      server.#ports = await server.#ready(options);
      return server;
    } catch (error) {
      await server.end();
      throw error;
    }
  }

  private constructor(child: ChildProcess, pid: number, privateFolder: string) {
    this.pid = pid;
    this.#child = child;
    this.#watchdog = new Watchdog(pid, privateFolder);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#logTail = (this.#logTail + text).slice(-LOG_TAIL_LENGTH);
    });
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#ended = true;
        void this.#watchdog.release().then(() => resolve(this.#lastWords(code, signal)));
      });
    });
  }

  get url(): string {
    return this.#ports.url;
  }

  get clusterUrl(): string | undefined {
    return this.#ports.clusterUrl;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends a signal; says whether there was a process to take it. */
  signal(name: NodeJS.Signals): boolean {
    return !this.#ended && this.#child.kill(name);
  }

  /** Ends it: SIGTERM, and SIGKILL when that does not help. Resolves when it is gone. */
  async end(): Promise<void> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), TERM_LIMIT_MS);
    await this.exited;
    clearTimeout(timer);
  }

  async #ready(options: LaunchOptions): Promise<ServerPorts> {
    const limit = performance.now() + READY_LIMIT_MS;
    while (performance.now() < limit) {
      if (this.#ended) throw new PoolError("bus_unavailable", `nats-server ended: ${await this.exited}`);
      if (options.signal.aborted) throw new PoolError("canceled", "nats-server was stopped before it was ready");
      const ports = await readPorts(options.portsFolder);
      if (ports !== undefined) return ports;
      await delay(READY_POLL_MS);
    }
    throw new PoolError("bus_unavailable", `nats-server is not ready after ${READY_LIMIT_MS / 1_000} s`);
  }

  #lastWords(code: number | null, signal: NodeJS.Signals | null): string {
    const lines = this.#logTail.trimEnd().split("\n");
    const fatal = lines.findLast((line) => /\[(FTL|ERR)\]|^nats-server:/.test(line)) ?? lines.at(-1) ?? "";
    const how = signal === null ? `exit code ${code}` : signal;
    const text = fatal.replace(/^\[\d+\] \S+ \S+ /, "");
    return text === "" ? how : `${how}, ${text}`;
  }
}

async function readPorts(folder: string): Promise<ServerPorts | undefined> {
  const name = (await readdir(folder).catch(() => [])).find((each) => each.endsWith(".ports"));
  if (name === undefined) return undefined;
  try {
    const ports = parseJson(await readFile(join(folder, name), "utf8")) as { nats?: string[]; cluster?: string[] };
    return ports.nats?.[0] === undefined ? undefined : { url: ports.nats[0], clusterUrl: ports.cluster?.[0] };
  } catch {
    return undefined;
  }
}

function spawnFailure(child: ChildProcess): Promise<PoolError> {
  return new Promise((resolve) => {
    child.once("error", (cause) => resolve(new PoolError("bus_unavailable", "nats-server does not start", { cause })));
  });
}
