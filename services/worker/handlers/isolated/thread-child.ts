/**
 * What runs in each thread. It speaks with the worker by a port of its own, so
 * that a handler may use `parentPort` as it likes.
 */
import { type MessagePort, workerData } from "node:worker_threads";
import { endsAtUncaught, FarSide } from "./far-side.js";
import type { ToHost } from "./wire.js";

/** What a thread is started with. */
export interface ThreadData {
  readonly port: MessagePort;
}

/** Serves one worker until the thread is ended. */
export function serveWorker({ port }: ThreadData): void {
  const far = new FarSide((message) => port.postMessage(message));
  process.on("uncaughtExceptionMonitor", (error) => far.uncaught(error, endsAtUncaught()));
  port.on("message", (message: ToHost) => far.receive(message));
}

serveWorker(workerData as ThreadData);
