/** A mesh for the demo: `poolmesh up --json` as a child process, as anybody would start it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The ready line of `poolmesh up --json`. */
export interface Ready {
  readonly nats: string;
  readonly manager: string;
  readonly meter: string;
  readonly workers: readonly string[];
  readonly slots: number;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export class MeshProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number>;

  /** Starts it. Its own words go to our stderr. */
  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, ["--import", "tsx", "cli/main.ts", "up", "--json", ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      detached: true,
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", () => resolve(127));
      this.#child.once("exit", (code) => resolve(code ?? 1));
    });
  }

  /** Its addresses, once everything serves. @throws Error when it ends instead, or at the signal */
  async ready(signal: AbortSignal): Promise<Ready> {
    if (this.#child.stdout === null) throw new Error("no stdout");
    const line = new Promise<string>((resolve) => {
      createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).once("line", resolve);
    });
    const ended = this.#exited.then((code) => Promise.reject(new Error(`the mesh did not start (exit code ${code})`)));
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("interrupted")), { once: true });
    });
    return JSON.parse(await Promise.race([line, ended, aborted])) as Ready;
  }

  /** Drains it and resolves with its exit code. */
  stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return this.#exited;
  }
}
