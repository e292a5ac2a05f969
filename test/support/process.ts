/**
 * Child processes for tests: their output line by line, and an end that is certain.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanUp, type Owner } from "./clean-up.js";
import { loaderOf } from "./program-file.js";
import { eventually, within } from "./wait.js";

/** How to start a process. */
export interface RunOptions {
  /** Added to this process's environment; undefined takes a variable away. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Written to its stdin, which is then closed. Without it stdin stays open for `write` and `closeInput`. */
  input?: string | Uint8Array;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The most output that is kept per stream, in characters. */
const OUTPUT_LIMIT = 16 * 1024 * 1024;

/** In bytes. */
const MORE_THAN_A_PIPE_HOLDS = 4 * 2 ** 20;

/** Where programs under test keep the tokens of their user: not among those of the person who runs the tests. */
export const STATE_FOLDER = process.env.XDG_STATE_HOME ?? join(tmpdir(), `poolmesh-test-state-${process.getuid?.()}`);

/**
 * What programs under test have unless a test says otherwise: tokens of their own, and a minute to load a handler. On a
 * machine that is busy enough the ten seconds of a worker pass while it waits for a processor; tests of that limit name one.
 */
const ENV_OF_TESTS = { XDG_STATE_HOME: STATE_FOLDER, POOLMESH_LOAD_TIMEOUT_MS: "60000" };

/** A process that a test has started. It is killed, at the latest, when the test ends. */
export class TestProcess {
  /** Settles when it has ended and all its output is read. */
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;
  readonly #command: string;
  #exit: Exit | undefined;

  constructor(command: string, args: readonly string[], options: RunOptions = {}) {
    this.#command = [command, ...args].join(" ");
    const env = { ...ENV_OF_TESTS, ...process.env, ...options.env };
    this.#child = spawn(command, args, { stdio: "pipe", env, ...(options.cwd ? { cwd: options.cwd } : {}) });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_LIMIT);
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_LIMIT);
    });
    this.#child.stdin?.on("error", () => undefined);
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#exit ??= { code, signal, stdout: this.stdout, stderr: this.stderr };
        resolve(this.#exit);
      };
      this.#child.once("error", (error) => {
        this.stderr += String(error);
        end(127, null);
      });
      this.#child.once("close", end);
    });
    if (options.input !== undefined) this.#child.stdin?.end(options.input);
  }

  /** @throws Error when it could not be started */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`not started: ${this.#command}`);
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#exit !== undefined;
  }

  write(text: string | Uint8Array): void {
    this.#child.stdin?.write(text);
  }

  /** Writes more than a pipe holds: resolves when the process reads its stdin. */
  untilItReads(byte = 0x20): Promise<void> {
    const bytes = new Uint8Array(MORE_THAN_A_PIPE_HOLDS).fill(byte);
    return new Promise((resolve) => this.#child.stdin?.write(bytes, () => resolve()));
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  /** Sends a signal; says whether there was a process to take it. */
  signal(name: NodeJS.Signals): boolean {
    return !this.ended && this.#child.kill(name);
  }

  /** The first whole line of stdout that matches. Fails at once when the process ends without it. */
  async line(pattern: RegExp, limitMs = 20_000): Promise<RegExpExecArray> {
    return this.#match(pattern, () => this.stdout, limitMs);
  }

  /** The first whole line of stderr that matches. */
  async errorLine(pattern: RegExp, limitMs = 20_000): Promise<RegExpExecArray> {
    return this.#match(pattern, () => this.stderr, limitMs);
  }

  /** How it ends by itself, within a limit. */
  exit(limitMs = 30_000): Promise<Exit> {
    return within(this.exited, { limitMs, what: `the end of: ${this.#command}` });
  }

  /** Sends SIGTERM and resolves with how it ended. */
  stop(limitMs = 20_000): Promise<Exit> {
    this.signal("SIGTERM");
    return this.exit(limitMs);
  }

  /** Sends SIGKILL and resolves when it is gone. */
  kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return this.exited;
  }

  async #match(pattern: RegExp, output: () => string, limitMs: number): Promise<RegExpExecArray> {
    const find = (): RegExpExecArray | undefined => {
      const whole = this.ended ? output().split("\n") : output().split("\n").slice(0, -1);
      for (const line of whole) {
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
      return undefined;
    };
    const found = await eventually(() => find() ?? (this.ended ? "ended" : undefined), {
      limitMs,
      what: `a line like ${pattern} from: ${this.#command}`,
    }).catch((error: Error) => Promise.reject(new Error(`${error.message}\n${this.#output()}`)));
    if (found !== "ended") return found;
    throw new Error(`ended without a line like ${pattern}: ${this.#command}\n${this.#output()}`);
  }

  #output(): string {
    return `stdout: ${this.stdout.slice(-2_000)}\nstderr: ${this.stderr.slice(-2_000)}`;
  }
}

/** Starts a command; it is killed when the test `t` ends. */
export function startProcess(t: Owner, command: string, args: readonly string[], options?: RunOptions): TestProcess {
  const child = new TestProcess(command, args, options);
  cleanUp(t, () => child.kill());
  return child;
}

/** Starts a TypeScript or JavaScript file in Node. */
export function startNode(t: Owner, file: string, args: readonly string[] = [], options?: RunOptions): TestProcess {
  return startProcess(t, process.execPath, [...loaderOf(file), file, ...args], options);
}

/**
 * What Node is given to be `poolmesh`: the sources through tsx, or dist/ where scripts/test.sh has just built it and
 * says so, which starts in a third of the time.
 */
export const CLI: readonly string[] =
  process.env.TEST_BUILT_DIST === "1" ? ["dist/cli/main.js"] : ["--import", "tsx", "cli/main.ts"];

/** Starts `poolmesh ARGS`. */
export function startCli(t: Owner, args: readonly string[], options?: RunOptions): TestProcess {
  return startProcess(t, process.execPath, [...CLI, ...args], options);
}

/** Runs a command to its end. */
export function run(
  t: Owner,
  command: string,
  args: readonly string[],
  options: RunOptions & { limitMs?: number } = {},
): Promise<Exit> {
  return startProcess(t, command, args, { input: "", ...options }).exit(options.limitMs);
}
