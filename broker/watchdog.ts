/**
 * Ends a child process when this process dies, however it dies.
 *
 * A small shell waits on a pipe that only this process holds. When the pipe is
 * closed without a message, this process is dead: the shell ends the child, then
 * removes its folder. It works wherever there is a POSIX shell, and for SIGKILL too.
 */
import { type ChildProcess, spawn } from "node:child_process";

const SCRIPT = `
if read -r word; then exit 0; fi
kill -TERM "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -KILL "$1" 2>/dev/null
if [ -n "$2" ]; then rm -rf "$2"; fi
exit 0
`;

/** Watches over one child process. */
export class Watchdog {
  readonly #shell: ChildProcess;
  readonly #ended: Promise<void>;

  /**
   * @param pid the process to end
   * @param folder removed after that; "" for none
   */
  constructor(pid: number, folder: string) {
    this.#shell = spawn("/bin/sh", ["-c", SCRIPT, "poolmesh-watchdog", String(pid), folder], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      cwd: "/",
    });
    this.#ended = new Promise((resolve) => {
      this.#shell.once("close", () => resolve());
      this.#shell.once("error", () => resolve());
    });
    this.#shell.stdin?.on("error", () => undefined);
  }

  /** Ends the watch and leaves the child alone. Resolves when the shell is gone. */
  release(): Promise<void> {
    this.#shell.stdin?.end("released\n");
    return this.#ended;
  }
}
