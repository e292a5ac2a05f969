/** A closed loop over one SubmitMany stream: each outcome sends the next job. */
import type { Client } from "@connectrpc/connect";
import type { managerProto } from "../processes/services.js";
import type { LoopResult } from "./closed-loop.js";

/** How much to call. */
export interface StreamLoad {
  readonly pool: string;
  readonly bytes: number;
  readonly window: number;
  readonly ms: number;
}

export type ManagerClient = Client<typeof managerProto.ManagerService>;

/** Runs for `ms`, and until the last outcome has come. */
export async function streamLoop(client: ManagerClient, load: StreamLoad): Promise<LoopResult> {
  const { pool, bytes, window, ms } = load;
  const input = { case: "payload" as const, value: new Uint8Array(Buffer.from("x".repeat(bytes))) };
  const gate = new Gate(window);
  async function* requests() {
    for (let ref = 0n; await gate.next(); ref += 1n) yield { ref, job: { pool, input } };
  }
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let jobs = 0;
  for await (const { outcome } of client.submitMany(requests())) {
    if (outcome.case !== "result") throw new Error(`a job failed: ${JSON.stringify(outcome.value?.reason)}`);
    jobs += 1;
    if (performance.now() - startedAt < ms) gate.allow();
    else gate.close();
  }
  const cpu = process.cpuUsage(cpuBefore);
  return { jobs, ms: performance.now() - startedAt, cpuUs: cpu.user + cpu.system, latenciesMs: [] };
}

/** Lets a reader go on a number of times. */
class Gate {
  #allowed: number;
  #closed = false;
  #wake: () => void = () => {};

  constructor(allowed: number) {
    this.#allowed = allowed;
  }

  allow(): void {
    this.#allowed += 1;
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** True when one more may go, false at the end. */
  async next(): Promise<boolean> {
    while (this.#allowed === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) return false;
    this.#allowed -= 1;
    return true;
  }
}
