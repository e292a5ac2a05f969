/** Row 4: the manager's HTTP doors, beside a bare connect-node echo of the same messages. */
import type { DoorLoad, Protocol } from "../agents/door-client.js";
import { Agent } from "../harness/agent.js";
import type { Setup } from "../harness/arm.js";
import { atLeast, type Comparison, figureOf, type Target } from "../harness/comparison.js";
import type { Row, Run } from "../harness/run.js";
import { Samples } from "../harness/samples.js";
import { ratio } from "../harness/stats.js";
import { PAYLOAD_BYTES } from "./echo-fleets.js";

const ECHO = "bare echo";
const POOLMESH = "Poolmesh";
const ARMS = [ECHO, POOLMESH];
const UNARY_WINDOW = 32;
const STREAM_WINDOW = 256;
const POOL = "doors";
const PROTOCOLS: Readonly<Record<Protocol, string>> = {
  "connect-h1": "Connect, HTTP/1.1",
  "connect-h2": "Connect, HTTP/2",
  grpc: "gRPC",
};
/** A stream in both directions needs HTTP/2. */
const STREAM_PROTOCOLS: readonly Protocol[] = ["connect-h2", "grpc"];

interface Doors {
  readonly client: Agent<typeof import("../agents/door-client.js")>;
  /** By arm and protocol. */
  urlOf(arm: string, protocol: Protocol): string;
}

/** The row. */
export const doors: Row = {
  number: 4,
  title: "Connect and gRPC interfaces",
  measure: (run) => withDoors(run, (doors) => measure(run, doors)),
};

async function measure(run: Run, doors: Doors) {
  const unary = new Samples();
  const streams = new Samples();
  for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
    run.say(PROTOCOLS[protocol]);
    const load = (arm: string, window: number, ms: number): DoorLoad => {
      return { url: doors.urlOf(arm, protocol), protocol, pool: POOL, bytes: PAYLOAD_BYTES, window, ms };
    };
    const stream = STREAM_PROTOCOLS.includes(protocol);
    for (const arm of ARMS) {
      await doors.client.ask("unary", load(arm, UNARY_WINDOW, run.pick(30, 1_500)));
      if (stream) await doors.client.ask("stream", load(arm, STREAM_WINDOW, run.pick(30, 1_500)));
    }
    await run.interleaved(ARMS, async (arm) => {
      const ms = run.pick(50, 1_500);
      unary.add(arm, PROTOCOLS[protocol], perSecond(await doors.client.ask("unary", load(arm, UNARY_WINDOW, ms))));
      if (!stream) return;
      streams.add(arm, PROTOCOLS[protocol], perSecond(await doors.client.ask("stream", load(arm, STREAM_WINDOW, ms))));
    });
  }
  const comparisons = [toUnary(unary), toStreams(streams)];
  return { comparisons, targets: run.extent.quick ? [] : toTargets(comparisons) };
}

async function withDoors<T>(run: Run, work: (doors: Doors) => Promise<T>): Promise<T> {
  const servers = (await run.servers.nats()).urls;
  const worker = await Agent.start<typeof import("../agents/worker.js")>("worker");
  const manager = await Agent.start<typeof import("../agents/manager.js")>("manager");
  const echo = await Agent.start<typeof import("../agents/echo-server.js")>("echo-server");
  const client = await Agent.start<typeof import("../agents/door-client.js")>("door-client");
  try {
    const setup: Setup = { group: POOL, servers, redisPort: 0, slots: 1_024, workers: 1, index: 0, work: "echo" };
    const url = await manager.ask("start", servers);
    await worker.ask("start", "poolmesh", setup);
    const { http1, http2 } = await echo.ask("start");
    const echoUrl = (protocol: Protocol): string => (protocol === "connect-h1" ? http1 : http2);
    return await work({ client, urlOf: (arm, protocol) => (arm === POOLMESH ? url : echoUrl(protocol)) });
  } finally {
    await manager.ask("stop").catch(() => undefined);
    await worker.ask("stop").catch(() => undefined);
    await Promise.all([client, manager, worker, echo].map((agent) => agent.stop()));
  }
}

function toUnary(samples: Samples): Comparison {
  const conditions = Object.values(PROTOCOLS);
  return {
    id: "4-unary",
    title: `Unary Submit, ${UNARY_WINDOW} calls in flight`,
    unit: "calls/s",
    better: "higher",
    conditions,
    series: samples.series(ARMS, conditions),
    against: ECHO,
    doesNotShow:
      "What the server alone can do: the client, one process, is the larger part of every call. The echo answers " +
      "itself; Poolmesh's manager sends each job through NATS to a worker in another process, on the same cores.",
  };
}

function toStreams(samples: Samples): Comparison {
  const conditions = STREAM_PROTOCOLS.map((protocol) => PROTOCOLS[protocol]);
  return {
    id: "4-stream",
    title: `SubmitMany stream, ${STREAM_WINDOW} jobs in flight`,
    unit: "jobs/s",
    better: "higher",
    conditions,
    series: samples.series(ARMS, conditions),
    against: ECHO,
    doesNotShow: "Several streams at once, and jobs that take time.",
  };
}

function toTargets([unary, streams]: readonly Comparison[]): Target[] {
  const versus = (comparison: Comparison, condition: string) =>
    ratio(figureOf(comparison, POOLMESH, condition), figureOf(comparison, ECHO, condition));
  return [
    ...(unary?.conditions ?? []).map((each) =>
      atLeast(`unary ÷ bare echo, ${each}`, versus(unary as Comparison, each), 0.8),
    ),
    ...(streams?.conditions ?? []).map((each) =>
      atLeast(`SubmitMany ÷ bare echo stream, ${each}`, versus(streams as Comparison, each), 0.5),
    ),
  ];
}

function perSecond({ jobs, ms }: { readonly jobs: number; readonly ms: number }): number {
  return (jobs / ms) * 1_000;
}
