/**
 * Every door by which a job comes in, behind one interface: bytes in, bytes
 * out, a PoolError when it ends otherwise.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client } from "../../../client/client.js";
import {
  ManagerService,
  type SubmitManyResponse,
  type SubmitRequestSchema,
  type SubmitResponse,
} from "../../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { fromConnectError, fromErrorDetail } from "../../../mesh/wire/connect-errors.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeReplyHeaders, encodeJobHeaders } from "../../../mesh/wire/headers.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Manager } from "../../../services/manager/manager.js";
import { connectBus } from "../broker.js";
import { cleanUp, type Owner } from "../clean-up.js";
import type { Mesh } from "../mesh.js";
import { bearControl } from "./control-token.js";

/** What a door can be told about a job. */
/** The input of a job that needs none; a submission without any input is refused. */
export const EMPTY_INPUT = { case: "text", value: "" } as const;

export interface DoorOptions {
  readonly id?: string;
  readonly timeoutMs?: number;
  /** Gives up; each door in its own way. */
  readonly signal?: AbortSignal;
}

/** One way in. */
export interface Door {
  readonly name: string;
  /** Runs one job of the door's pool. @throws PoolError */
  submit(payload: Uint8Array, options?: DoorOptions): Promise<Uint8Array>;
}

/** The PoolError that `work` rejects with. @throws Error when it does not */
export async function poolErrorOf(work: Promise<unknown>): Promise<PoolError> {
  const end = await work.then(
    () => new Error("it succeeded"),
    (error: unknown) => error,
  );
  if (end instanceof PoolError) return end;
  throw end;
}

/** How long a plain NATS request waits, in milliseconds: longer than any job here. */
const REQUEST_LIMIT_MS = 60_000;

/** All doors to one pool, open until `t` ends. */
export async function openDoors(t: Owner, mesh: Mesh, pool: string): Promise<Door[]> {
  return [...(await libraryDoors(t, mesh, pool)), await natsDoor(t, mesh, pool), ...rpcDoors(mesh, pool)];
}

/** Every way to call ManagerService, by name. */
export function rpcTransports(baseUrl: string): Record<string, Transport> {
  const shared = { baseUrl, interceptors: [bearControl] };
  return {
    "Connect JSON": createConnectTransport({ ...shared, httpVersion: "1.1", useBinaryFormat: false }),
    "Connect binary": createConnectTransport({ ...shared, httpVersion: "1.1" }),
    "Connect over HTTP/2": createConnectTransport({ ...shared, httpVersion: "2" }),
    gRPC: createGrpcTransport(shared),
    "gRPC-Web": createGrpcWebTransport({ ...shared, httpVersion: "1.1" }),
  };
}

async function libraryDoors(t: Owner, { natsUrl }: Mesh, pool: string): Promise<Door[]> {
  const manager = await Manager.connect({ pool, servers: natsUrl, graceMs: 0 });
  cleanUp(t, () => manager.close());
  const client = await Client.connect({ pool, servers: natsUrl });
  cleanUp(t, () => client.close());
  return [
    { name: "Manager", submit: async (payload, options) => (await manager.submit(payload, options)).payload },
    { name: "Client", submit: async (payload, options) => (await client.submit(payload, options)).payload },
  ];
}

async function natsDoor(t: Owner, mesh: Mesh, pool: string): Promise<Door> {
  const bus = await connectBus(t, mesh.broker);
  const subjects = new Subjects();
  return {
    name: "NATS",
    submit: async (payload, { id, timeoutMs, signal } = {}) => {
      const said = { ...(id === undefined ? {} : { jobId: id }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      const onAbort = (): boolean => bus.publish(subjects.cancel(pool, id ?? ""));
      signal?.addEventListener("abort", onAbort);
      const options = { timeout: REQUEST_LIMIT_MS, headers: encodeJobHeaders(said) };
      const reply = await bus.nc.request(subjects.submit(pool), payload, options);
      signal?.removeEventListener("abort", onAbort);
      if (reply.headers !== undefined && decodeReplyHeaders(reply.headers).kind === "error") {
        throw readErrorHeaders(reply.headers);
      }
      return reply.data;
    },
  };
}

function rpcDoors(mesh: Mesh, pool: string): Door[] {
  const transports = rpcTransports(mesh.manager.url);
  const unary = Object.entries(transports).map(([name, transport]) => unaryDoor(name, transport, pool));
  const streams = ["Connect over HTTP/2", "gRPC"].map((name) => streamDoor(name, transports[name] as Transport, pool));
  return [...unary, ...streams];
}

function unaryDoor(name: string, transport: Transport, pool: string): Door {
  const client = createClient(ManagerService, transport);
  return {
    name,
    submit: async (payload, options = {}) => {
      try {
        return bytesOf(await client.submit(toRequest(pool, payload, options), toCall(options)));
      } catch (error) {
        throw fromConnectError(error);
      }
    },
  };
}

function streamDoor(name: string, transport: Transport, pool: string): Door {
  const client = createClient(ManagerService, transport);
  return {
    name: `SubmitMany, ${name}`,
    submit: async (payload, options = {}) => {
      const jobs = [{ ref: 7n, job: toRequest(pool, payload, options) }];
      const outcomes: SubmitManyResponse[] = [];
      try {
        // Read to the end: a stream that is left early stays open.
        for await (const outcome of client.submitMany(each(jobs), toCall(options))) outcomes.push(outcome);
      } catch (error) {
        throw fromConnectError(error);
      }
      return onlyOutcome(outcomes);
    },
  };
}

function onlyOutcome(outcomes: readonly SubmitManyResponse[]): Uint8Array {
  const [{ ref, outcome } = {}] = outcomes;
  if (outcomes.length === 1 && ref === 7n) {
    if (outcome?.case === "error") throw fromErrorDetail(outcome.value);
    if (outcome?.case === "result") return bytesOf(outcome.value);
  }
  throw new PoolError("internal", `${outcomes.length} outcomes, the first with ref ${ref}`);
}

function toRequest(pool: string, payload: Uint8Array, { id, timeoutMs }: DoorOptions) {
  return {
    pool,
    input: { case: "payload", value: payload },
    jobId: id ?? "",
    timeoutMs: BigInt(timeoutMs ?? 0),
  } satisfies MessageInitShape<typeof SubmitRequestSchema>;
}

function toCall({ signal }: DoorOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function bytesOf({ output }: SubmitResponse): Uint8Array {
  if (output.case === "payload") return output.value;
  throw new PoolError("internal", `the output came as ${output.case ?? "nothing"}`);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
