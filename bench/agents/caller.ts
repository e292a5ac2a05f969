/** The calling program of any arm, in its own process: puts load on the workers and measures. */
import type { Arm, CallerRole, Setup } from "../harness/arm.js";
import { closedLoop, type LoopResult } from "../harness/loops/closed-loop.js";
import { openLoop } from "../harness/loops/open-loop.js";
import { type Arrival, replay } from "../harness/loops/replay.js";

let role: CallerRole | undefined;

/** How long the first answer may take, in milliseconds. */
const FIRST_ANSWER_MS = 20_000;

/** Connects, and checks that an answer comes back as it went out. */
export async function start(armName: string, setup: Setup): Promise<void> {
  const { arm } = (await import(`../arms/${armName}.js`)) as { arm: Arm };
  role = await arm.startCaller(setup);
  if (setup.work === "echo") await checkEcho(role);
}

/** A fixed number of jobs in flight, for a time. */
export async function closed(options: ClosedOptions): Promise<LoopResult> {
  return closedLoop(connected(), options);
}

/** Poisson arrivals at a rate, for a time; the latencies in milliseconds. */
export async function open(options: { bytes: number; perSecond: number; ms: number; seed: number }): Promise<number[]> {
  return openLoop(connected(), options);
}

/** One arrival trace; when each job was submitted, by the machine's clock. */
export async function trace(arrivals: readonly Arrival[]): Promise<number[]> {
  return replay(connected(), arrivals);
}

/** Sees to it that so many stored jobs have not ended, if the arm has any. */
export async function fill({ jobs, bytes }: { readonly jobs: number; readonly bytes: number }): Promise<void> {
  const caller = connected();
  await caller.fill?.(jobs, caller.encode("x".repeat(bytes)));
}

export async function stop(): Promise<void> {
  await role?.stop();
}

/** How a closed loop runs. */
export interface ClosedOptions {
  /** Payload of each job. */
  readonly bytes: number;
  readonly window: number;
  readonly ms: number;
  /** Submit in batches, the peer's own way. */
  readonly bulk?: boolean;
}

function connected(): CallerRole {
  if (role === undefined) throw new Error("not started");
  return role;
}

async function checkEcho(caller: CallerRole): Promise<void> {
  const text = "the answer must be the question";
  let timer: NodeJS.Timeout | undefined;
  const answer = await new Promise<string>((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${FIRST_ANSWER_MS} ms`)), FIRST_ANSWER_MS);
    caller.call(caller.encode(text), (error, value) => (error ? reject(error) : resolve(caller.decode(value))));
  }).finally(() => clearTimeout(timer));
  if (answer !== text) throw new Error(`a wrong answer came back: ${answer.slice(0, 100)}`);
}
