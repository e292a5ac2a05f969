/** The stream of the pool, made before any manager: managers use what they find. */
import { DurableNames, LEVELS } from "../../../mesh/durable/names.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { jobsStream, levelConsumer } from "../../../mesh/durable/streams.js";
import { connectBus } from "../../support/broker.js";
import { eventually } from "../../support/wait.js";
import { POOL } from "../rig/pool.js";
import type { Rig } from "../rig/rig.js";

/** @param ackWaitS how long the broker waits for a word on a job before it gives it to another manager, in seconds */
export async function provisionPool(rig: Rig, ackWaitS: number): Promise<void> {
  const store = new LaneStore(await connectBus(rig.owner, rig.broker));
  const names = new DurableNames();
  const add = async (work: () => Promise<unknown>): Promise<void> => {
    // A cluster has no leader in its first moment.
    const isDone = () =>
      work().then(
        () => true,
        () => false,
      );
    await eventually(isDone, { limitMs: 20_000, pollMs: 100, what: "a stream" });
  };
  await add(() => store.addStream(jobsStream(names, POOL, rig.brokers.length)));
  for (const level of LEVELS) {
    const settings = { ...levelConsumer(names, POOL, level), ack_wait: ackWaitS * 1e9 };
    await add(() => store.addConsumer(names.jobsStream(POOL), settings));
  }
}
