/** The cron schedules of one pool through a manager's HTTP interface. */
import type { CronChange, CronOptions } from "../../../client/durable/crons.js";
import type { Cron as CronMessage } from "../../../gen/poolmesh/v1/durable_pb.js";
import { checkThen } from "../../../mesh/durable/after/then.js";
import { durableDefaults } from "../../../mesh/durable/job.js";
import { PROTO_OVERLAPS, type ShownCron } from "../../../mesh/durable/later/cron.js";
import { keyOf, PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import type { CronSource } from "../../sources/durable.js";
import type { RemotePool } from "../remote-pool.js";

export class RemoteCrons implements CronSource {
  readonly #remote: RemotePool;

  constructor(remote: RemotePool) {
    this.#remote = remote;
  }

  async list(): Promise<ShownCron[]> {
    const { crons } = await this.#remote.ask((service, options) =>
      service.listCron({ pool: this.#remote.pool }, options),
    );
    return crons.map(toCron);
  }

  async set(payload: Uint8Array, options: CronOptions): Promise<CronChange> {
    const {
      name,
      schedule,
      timeZone = "",
      overlap,
      priority = "normal",
      timeoutMs = 0,
      maxAttempts = 0,
      idempotent,
      then,
    } = options;
    const cron = {
      name,
      schedule,
      timeZone,
      overlap: PROTO_OVERLAPS[overlap ?? "skip"],
      priority: PROTO_PRIORITIES[priority],
      timeoutMs: BigInt(timeoutMs),
      maxAttempts,
      ...(idempotent === undefined ? {} : { idempotent }),
      then: checkThen(then).map((step) => ({ pool: step.pool, jobId: step.id ?? "" })),
    };
    const request = { pool: this.#remote.pool, cron, input: { case: "payload", value: payload } } as const;
    const { created, unchanged } = await this.#remote.ask((service, call) => service.setCron(request, call));
    return created ? "created" : unchanged ? "unchanged" : "changed";
  }

  async remove(name: string): Promise<void> {
    await this.#remote.ask((service, options) => service.removeCron({ pool: this.#remote.pool, name }, options));
  }
}

/** Without its payload, of which the manager tells only the size. */
function toCron({
  name,
  schedule,
  timeZone,
  overlap,
  priority,
  timeoutMs,
  maxAttempts,
  idempotent,
  client,
  then,
  payloadBytes,
}: CronMessage): ShownCron {
  const follows = then.map(({ pool, jobId }) => ({ pool, id: jobId || undefined }));
  const said = { maxAttempts, idempotent: idempotent ?? true, client, then: follows };
  const job = { ...durableDefaults(Number(timeoutMs)), ...said };
  return {
    name,
    schedule,
    timeZone,
    overlap: keyOf(PROTO_OVERLAPS, overlap) ?? "skip",
    priority: keyOf(PROTO_PRIORITIES, priority) ?? "normal",
    job,
    payloadBytes: Number(payloadBytes),
  };
}
