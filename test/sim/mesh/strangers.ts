/** Who is no part of the mesh and speaks on its subjects all the same. */
import type { Msg } from "nats";
import type { Connection } from "../../../mesh/link/connection.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { POOL, type Step, type StrangerAct } from "../plan.js";
import { SimulatedProcess } from "../sim-process.js";
import type { StageParts } from "./steps.js";

const EVERY_MS = 40;
const garbage = new TextEncoder().encode("\u0001{]garbage");

/** Connects somebody who does this until the step ends. */
export function startStranger(parts: StageParts, step: Extract<Step, { do: "stranger" }>, count: number): void {
  const { world, network } = parts;
  const process = new SimulatedProcess(world, { name: `stranger#${count}`, seed: count });
  void network.connect(process).then((connection) => {
    const act = ACTS[step.says](connection);
    act();
    process.runtime.every(EVERY_MS, act);
  });
  world.at(step.atMs + step.forMs, () => {
    process.kill();
    network.killProcess(process);
  });
}

/** Begins an act; what it returns is repeated. */
const ACTS: Record<StrangerAct, (connection: Connection) => () => void> = {
  "unknown-reply-kind": (connection) => {
    const headers = withHeader(HEADER.reply, "applause");
    const callback = (_error: Error | null, msg: Msg): void => {
      if (msg.reply) connection.publish(msg.reply, garbage, { headers });
    };
    for (const door of ["job", "submit"]) connection.subscribe(`pool.${POOL}.${door}`, { callback });
    return () => {};
  },
  "garbage-heartbeats": (connection) => () => connection.publish(`pool.${POOL}.heartbeat.worker-1`, garbage),
  "garbage-control": (connection) => () => connection.publish(`pool.${POOL}.control`, garbage),
  "malformed-attempts": (connection) => () => {
    connection.publish(`pool.${POOL}.cancel.nobody`, undefined, { headers: withHeader(HEADER.attempt, "x") });
    connection.publish(`pool.${POOL}.submit`, garbage, { headers: withHeader(HEADER.attempt, "-1") });
  },
};

function withHeader(name: string, value: string) {
  const headers = wireHeaders();
  headers.append(name, value);
  return headers;
}
