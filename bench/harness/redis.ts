/** A Redis of our own, on a free loopback port, without persistence. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilTrue } from "./wait.js";

const BINARY = "redis-server";

/** Its version, such as "7.0.15"; undefined when there is no Redis on this machine. */
export function redisVersion(): string | undefined {
  try {
    return /v=([\d.]+)/.exec(execFileSync(BINARY, ["--version"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

export class Redis {
  readonly #child: ChildProcess;
  readonly #folder: string;

  static async start(): Promise<Redis> {
    const folder = await mkdtemp(join(tmpdir(), "poolmesh-bench-redis-"));
    const port = await freePort();
    const redis = new Redis(port, folder);
    await untilTrue(() => accepts(port), "Redis listens");
    return redis;
  }

  private constructor(
    readonly port: number,
    folder: string,
  ) {
    this.#folder = folder;
    const settings = { port, bind: "127.0.0.1", save: "", appendonly: "no", dir: folder };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = spawn(BINARY, args, { stdio: "ignore" });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.kill("SIGTERM")) await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}
