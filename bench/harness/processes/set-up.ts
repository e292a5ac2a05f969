/** `poolmesh up` as anybody starts it, for as long as it takes to get one result. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./poolmesh.js";

const HANDLER = join(import.meta.dirname, "..", "..", "handlers", "echo.js");
const POOL = "first";
const ANY_PORT = "127.0.0.1:0";

/** The time from starting the command to the first result of a job, in milliseconds. */
export async function timeToFirstResult(): Promise<number> {
  const startedAt = performance.now();
  const args = ["up", "--json", "--pool", POOL, "--handler", HANDLER];
  const listen = ["--manager-listen", ANY_PORT, "--meter-listen", ANY_PORT];
  const child = spawn(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args, ...listen], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    const line = await Promise.race([
      new Promise<string>((resolve) => createInterface({ input: child.stdout }).once("line", resolve)),
      exited.then(() => Promise.reject(new Error("poolmesh up ended by itself"))),
    ]);
    await submitOne((JSON.parse(line) as { manager: string }).manager);
    return performance.now() - startedAt;
  } finally {
    child.kill("SIGTERM");
    await exited;
  }
}

async function submitOne(managerUrl: string): Promise<void> {
  const response = await fetch(`${managerUrl}/poolmesh.v1.ManagerService/Submit`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pool: POOL, text: "hello" }),
  });
  const answer = (await response.json()) as { text?: string };
  if (answer.text !== "hello") throw new Error(`a wrong answer: ${JSON.stringify(answer)}`);
}
