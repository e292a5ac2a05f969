/** Poolmesh's core lane beside a full durable lane of the same pool: `submit` is measured, `fill` keeps the other one full. */
import type { Arm, CallerRole, Setup } from "../../harness/arm.js";
import { Client, DurableLane } from "../../harness/processes/poolmesh.js";
import { arm as core } from "../client.js";

const WINDOW = 512;

/** @param lane whether the stored jobs wait, or run */
export function besideArm(lane: "paused" | "running"): Arm {
  const startCaller = async (setup: Setup): Promise<CallerRole> => {
    const caller = await core.startCaller(setup);
    const at = { pool: setup.group, servers: setup.servers[0] as string };
    const [client, operator] = await Promise.all([Client.connect(at), DurableLane.open(at)]);
    if (lane === "paused") await operator.pause();
    return {
      ...caller,
      fill: async (jobs, payload) => {
        const { stored } = await operator.figures();
        const missing = Array.from({ length: Math.max(0, jobs - stored) }, () => payload as Uint8Array);
        for await (const each of client.enqueueMany(missing, { keepOutcome: false, window: WINDOW })) {
          if (!each.ok) throw each.error;
        }
      },
      stop: async () => {
        await Promise.all([caller.stop(), client.close(), operator.close()]);
      },
    };
  };
  return { startWorker: core.startWorker, startCaller };
}
