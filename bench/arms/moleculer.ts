/**
 * Moleculer over its NATS transporter, with its defaults: JSON, round robin over
 * the nodes. Its logger, metrics and tracing are off. Timed work runs one at a
 * time behind its bulkhead, which is its way to bound concurrency.
 */
import { type ActionHandler, ServiceBroker } from "moleculer";
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";
import { TimedWork } from "../harness/loops/timed-work.js";
import { untilTrue } from "../harness/processes/wait.js";

const ACTION = "bench.run";
const MAX_QUEUE = 1_000_000;

interface Params {
  readonly data: string;
}

async function startWorker({ group, servers, slots, index, work }: Setup): Promise<WorkerRole> {
  const timed = new TimedWork();
  const broker = makeBroker(group, `worker-${index}`, servers[index % servers.length] as string);
  const handler: ActionHandler<Params> = (ctx) =>
    work === "echo" ? ctx.params.data : timed.run((ctx.params as Params).data);
  const bulkhead = { enabled: work === "timed", concurrency: slots, maxQueueSize: MAX_QUEUE };
  broker.createService({ name: "bench", actions: { run: { handler, bulkhead } } });
  await broker.start();
  return { runs: timed.runs, stop: () => broker.stop() };
}

async function startCaller({ group, servers, workers }: Setup): Promise<CallerRole> {
  const broker = makeBroker(group, "caller", servers[0] as string);
  await broker.start();
  await broker.waitForServices("bench");
  await untilTrue(() => nodesWithAction(broker) === workers, "Moleculer sees every worker");
  return {
    encode: (text) => ({ data: text }),
    decode: String,
    call: (payload, done) => {
      broker.call<string, Params>(ACTION, payload as Params).then(
        (answer) => done(undefined, answer),
        (error: Error) => done(error, undefined),
      );
    },
    stop: () => broker.stop(),
  };
}

function makeBroker(namespace: string, nodeID: string, transporter: string): ServiceBroker {
  return new ServiceBroker({ namespace, nodeID, transporter, logger: false });
}

function nodesWithAction(broker: ServiceBroker): number {
  const actions = broker.registry.getActionList({ withEndpoints: true }) as { name: string; endpoints?: unknown[] }[];
  return actions.find(({ name }) => name === ACTION)?.endpoints?.length ?? 0;
}

export const arm: Arm = { startWorker, startCaller };
