/** A Redis of our own: a child of this agent, so that it ends with whoever measures, however that ends. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilTrue } from "../harness/processes/wait.js";

/** Starts it on a free loopback port. @param synced each write is on the disk before it is acknowledged; else no persistence */
export async function start(binary: string, synced: boolean): Promise<{ readonly port: number; readonly pid: number }> {
  const folder = mkdtempSync(join(tmpdir(), "poolmesh-bench-redis-"));
  const port = await freePort();
  const persistence = synced ? { appendonly: "yes", appendfsync: "always" } : { appendonly: "no" };
  const settings = { port, bind: "127.0.0.1", save: "", ...persistence, dir: folder };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(binary, args, { stdio: "ignore" });
  process.once("exit", () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  await untilTrue(() => accepts(port), "Redis listens");
  return { port, pid: child.pid ?? 0 };
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
