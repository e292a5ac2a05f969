/** Heartbeats for tests of whoever reads them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Heartbeat,
  HeartbeatSchema,
  type ManagerHeartbeat,
  ManagerHeartbeatSchema,
  WorkerState,
} from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Registry } from "../../../services/meter/registry/registry.js";

/** A READY worker "w1" of pool "adder" with four free slots; `fields` say otherwise. */
export function beatOf(fields: Omit<MessageInitShape<typeof HeartbeatSchema>, "$typeName"> = {}): Heartbeat {
  return create(HeartbeatSchema, {
    pool: "adder",
    worker: "w1",
    incarnation: 1_000n,
    seq: 1n,
    state: WorkerState.READY,
    slots: 4,
    heartbeatIntervalMs: 1_000,
    ...fields,
  });
}

/** A manager "m1" of pool "adder" with nothing to do; `fields` say otherwise. */
export function managerBeatOf(
  fields: Omit<MessageInitShape<typeof ManagerHeartbeatSchema>, "$typeName"> = {},
): ManagerHeartbeat {
  return create(ManagerHeartbeatSchema, {
    pool: "adder",
    manager: "m1",
    incarnation: 1_000n,
    seq: 1n,
    parkedLimit: 100,
    heartbeatIntervalMs: 1_000,
    ...fields,
  });
}

/** What a registry shows, as text that can be compared. */
export function shown(registry: Registry): string[] {
  return [...registry.rows()]
    .map((row) => {
      const { seq, busy, slots, jobsDone } = row.beat;
      const marks = `${row.conflict ? " conflict" : ""}${row.unhealthy ? " unhealthy" : ""}`;
      return `${row.key} ${WorkerState[row.state]} #${seq} ${busy}/${slots} ${jobsDone}${marks}`;
    })
    .sort();
}
