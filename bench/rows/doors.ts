/**
 * Row 4: the manager's HTTP interface, beside a bare connect-node echo of the same messages.
 *
 * Both are measured in clear text and without a token, and over TLS. Over TLS each call to Poolmesh bears a token,
 * which is checked against a policy. The echo checks nothing.
 */
import type { DoorLoad, Protocol } from "../agents/door-client.js";
import type { Setup } from "../harness/arm.js";
import { atLeast, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { ratio } from "../harness/figures/stats.js";
import { Agent } from "../harness/processes/agent.js";
import type { Row, Run } from "../harness/run.js";
import { makeSecured, type Secured } from "../harness/secured.js";
import { PAYLOAD_BYTES } from "./echo-fleets.js";

const ECHO = "bare echo";
const POOLMESH = "Poolmesh";
const ECHO_TLS = "bare echo, TLS";
const POOLMESH_TLS = "Poolmesh, TLS and token";
const ARMS = [ECHO, POOLMESH, ECHO_TLS, POOLMESH_TLS];
/** What is left of the rate when each call is encrypted and its caller is checked. */
const SECURED_LEAST = 0.7;
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
  /** By arm and protocol: where to call, and with what. */
  doorOf(arm: string, protocol: Protocol): Pick<DoorLoad, "url" | "secured">;
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
      return { ...doors.doorOf(arm, protocol), protocol, pool: POOL, bytes: PAYLOAD_BYTES, window, ms };
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
  const secured = makeSecured();
  const worker = await Agent.start<typeof import("../agents/worker.js")>("worker");
  const managers = {
    clear: await Agent.start<typeof import("../agents/manager.js")>("manager"),
    tls: await Agent.start<typeof import("../agents/manager.js")>("manager"),
  };
  const echo = await Agent.start<typeof import("../agents/echo-server.js")>("echo-server");
  const client = await Agent.start<typeof import("../agents/door-client.js")>("door-client");
  try {
    const setup: Setup = { group: POOL, servers, redisPort: 0, slots: 1_024, workers: 1, index: 0, work: "echo" };
    const urls = {
      clear: await managers.clear.ask("start", servers, { pools: [POOL] }),
      tls: await managers.tls.ask("start", servers, { pools: [POOL], secured: withoutMethods(secured) }),
    };
    await worker.ask("start", "poolmesh", setup);
    const echoes = await echo.ask("start", withoutMethods(secured));
    const { caller } = secured;
    const doorOf: Doors["doorOf"] = (arm, protocol) => {
      if (arm === POOLMESH_TLS) return { url: urls.tls, secured: caller };
      if (arm === ECHO_TLS) return { url: echoes.https, secured: caller };
      return { url: arm === POOLMESH ? urls.clear : protocol === "connect-h1" ? echoes.http1 : echoes.http2 };
    };
    return await work({ client, doorOf });
  } finally {
    for (const manager of Object.values(managers)) await manager.ask("stop").catch(() => undefined);
    await worker.ask("stop").catch(() => undefined);
    await Promise.all([client, ...Object.values(managers), worker, echo].map((agent) => agent.stop()));
    secured.remove();
  }
}

/** What an agent in another process can be told. */
function withoutMethods({ certFile, keyFile, policyFile, caller }: Secured): Secured {
  return { certFile, keyFile, policyFile, caller };
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
      "itself; Poolmesh's manager sends each job through NATS to a worker in another process, on the same cores. " +
      "New connections: those of each arm stay open, so no handshake is in the figures. Signed tokens (JWT).",
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
  const versus = (comparison: Comparison, condition: string, arm: string, against: string) =>
    ratio(figureOf(comparison, arm, condition), figureOf(comparison, against, condition));
  const targets = (comparison: Comparison | undefined, what: string, least: number): Target[] =>
    (comparison?.conditions ?? []).flatMap((each) => [
      atLeast(`${what} ÷ bare echo, ${each}`, versus(comparison as Comparison, each, POOLMESH, ECHO), least),
      atLeast(
        `${what}, TLS and token ÷ the same without, ${each}`,
        versus(comparison as Comparison, each, POOLMESH_TLS, POOLMESH),
        SECURED_LEAST,
      ),
    ]);
  return [...targets(unary, "unary", 0.8), ...targets(streams, "SubmitMany", 0.5)];
}

function perSecond({ jobs, ms }: { readonly jobs: number; readonly ms: number }): number {
  return (jobs / ms) * 1_000;
}
