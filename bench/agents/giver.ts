/**
 * A program that gives jobs which never end by themselves, by an embedded manager or as a client; also tells what it
 * needs for them.
 */
import { machineNow } from "../harness/figures/clock.js";
import { Client, Manager } from "../harness/processes/poolmesh.js";
import { untilTrue } from "../harness/processes/wait.js";

const TIMEOUT_MS = 600_000;

let manager: Manager | undefined;
let submitter: Manager | Client | undefined;
let ended: { readonly at: number; readonly outcome: string }[] = [];
let controllers: AbortController[] = [];
let payloads: Uint8Array[] = [];

export async function start(servers: readonly string[], pool: string, parkedLimit = 10_000): Promise<void> {
  manager = await Manager.connect({ pool, servers: servers[0] as string, parkedLimit, graceMs: 0 });
  submitter = manager;
}

/** Connects as a client: a manager serves the pool, and its workers are there. */
export async function startClient(servers: readonly string[], pool: string): Promise<void> {
  submitter = await Client.connect({ pool, servers: servers[0] as string });
}

export async function untilSlots(slots: number): Promise<void> {
  await untilTrue(() => connected().capacity.slots === slots, `${slots} slots`);
}

/** Submits jobs; they are in flight when this resolves. */
export async function give(count: number, bytes: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const controller = new AbortController();
    controllers.push(controller);
    started(submitter)
      .submit(Buffer.alloc(bytes), { timeoutMs: TIMEOUT_MS, signal: controller.signal, waitForPool: true })
      .then(
        () => ended.push({ at: machineNow(), outcome: "result" }),
        (error: { reason: string }) => ended.push({ at: machineNow(), outcome: error.reason }),
      );
  }
}

/** Makes the payloads that park() submits, and keeps them. */
export async function makePayloads(count: number, bytes: number): Promise<void> {
  payloads = Array.from({ length: count }, () => Buffer.alloc(bytes));
}

/** Submits jobs that cannot run, without a signal each; resolves when all are parked. */
export async function park(): Promise<void> {
  for (const payload of payloads) {
    connected()
      .submit(payload, { timeoutMs: TIMEOUT_MS })
      .catch(() => undefined);
  }
  await untilTrue(() => connected().capacity.parked === payloads.length, `${payloads.length} parked jobs`);
}

/** Cancels all of them; when, by the machine's clock. */
export async function cancel(): Promise<number> {
  const at = machineNow();
  for (const controller of controllers) controller.abort();
  controllers = [];
  return at;
}

/** What ended since the last call, once that are `count`. */
export async function takeEnded(count: number): Promise<{ readonly at: number; readonly outcome: string }[]> {
  await untilTrue(() => ended.length >= count, `${count} outcomes`);
  const taken = ended;
  ended = [];
  return taken;
}

/** Heap and buffers in use after a collection, in bytes. Needs --expose-gc. */
export async function memoryBytes(): Promise<number> {
  for (let i = 0; i < 3; i += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Workers known. */
export async function workers(): Promise<number> {
  return connected().capacity.workers;
}

export async function stop(): Promise<void> {
  await submitter?.close();
}

function connected(): Manager {
  return started(manager);
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("not started");
  return part;
}
