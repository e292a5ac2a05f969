/** An observer on the bus: hears heartbeats and revocations, and knows the latest of each worker and manager. */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Heartbeat,
  HeartbeatSchema,
  type ManagerHeartbeat,
  ManagerHeartbeatSchema,
  WorkerState,
} from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import type { History } from "../history.js";

/** Hears everything that is said to everybody. */
export class Observer {
  readonly workers = new Map<string, Heartbeat>();
  readonly managers = new Map<string, ManagerHeartbeat>();
  readonly #history: History;
  readonly #subjects = new Subjects();

  constructor(history: History) {
    this.#history = history;
  }

  /** Listens on `bus`, for as long as that lives. */
  async listen(bus: Bus): Promise<void> {
    const { every } = this.#subjects;
    bus.subscribe(every.heartbeat(), (msg) => {
      const beat = fromBinary(HeartbeatSchema, msg.data);
      this.workers.set(beat.worker, beat);
    });
    bus.subscribe(every.managerHeartbeat(), (msg) => {
      const beat = fromBinary(ManagerHeartbeatSchema, msg.data);
      this.managers.set(beat.manager, beat);
    });
    bus.subscribe(every.cancel(), (msg) => {
      const attempt = Number(msg.headers?.get(HEADER.attempt) ?? "");
      if (attempt > 0) this.#history.add({ kind: "revoked", id: this.#subjects.lastOf(msg.subject), attempt });
    });
    await bus.flush();
  }

  /** Slots of these workers as they say themselves, and what is not at rest among them and the managers. */
  figures(alive: ReadonlySet<string>): { slots: number; busy: number; parked: number; inFlight: number } {
    const workers = [...this.workers.values()].filter(({ worker }) => alive.has(worker));
    const managers = [...this.managers.values()].filter(({ manager }) => alive.has(manager));
    const ready = workers.filter(({ state }) => state === WorkerState.READY);
    return {
      slots: sum(ready.map(({ slots }) => slots)),
      busy: sum(workers.map(({ busy }) => busy)),
      parked: sum(managers.map(({ parked }) => parked)),
      inFlight: sum(managers.map(({ inFlight }) => inFlight)),
    };
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
