/** A command of poolmesh that a measurement starts and stops. */
import { type ChildProcess, spawn } from "node:child_process";

/**
 * Starts a command, and resolves when a line of its output says that it is ready.
 *
 * @param program what Node runs: the command line's file, with what loads it before it
 * @throws Error when it ends first
 */
export async function startService(program: readonly string[], args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (text: Buffer) => /"msg":"(worker )?ready"/.test(text.toString()) && resolve());
    child.once("exit", (code) => reject(new Error(`${args[0]} ended with ${code}`)));
  });
  return child;
}

/** Ends it as an operator does, and resolves when it is gone. */
export async function stopService(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}
