/** Work that takes a given time: the payload is `INDEX MILLISECONDS`. */
import { setTimeout as delay } from "node:timers/promises";
import type { Run } from "../arm.js";
import { machineNow } from "../figures/clock.js";

/** Runs timed jobs and remembers when. */
export class TimedWork {
  readonly runs: Run[] = [];

  async run(payload: string): Promise<string> {
    const [index = 0, ms = 0] = payload.split(" ").map(Number);
    const startedAt = machineNow();
    await delay(ms);
    this.runs.push({ index, startedAt, endedAt: machineNow() });
    return "";
  }
}
