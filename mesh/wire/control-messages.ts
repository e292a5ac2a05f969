/** Control requests as they cross the wire: made here, answered by workers. */
import { create, fromBinary, fromJsonString, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ControlRequestSchema, type ControlResponse, ControlResponseSchema } from "../../gen/poolmesh/v1/control_pb.js";
import { PoolError } from "../errors.js";
import { readErrorHeaders } from "./error-headers.js";
import { decodeReplyHeaders } from "./headers.js";
import { headersOf, isNoResponders, type Reply } from "./wire-headers.js";

type Op = NonNullable<Exclude<MessageInitShape<typeof ControlRequestSchema>["op"], undefined>>;
type OpCase = NonNullable<Op["case"]>;
type OpValue<C extends OpCase> = Extract<Op, { case: C }>["value"];

/** A control request in protobuf. */
export function encodeControl<C extends OpCase>(op: C, value: OpValue<C>): Uint8Array {
  return toBinary(ControlRequestSchema, create(ControlRequestSchema, { op: { case: op, value } as Op }));
}

/**
 * A worker's answer to a control request.
 *
 * @throws PoolError `not_found` when nobody listens, what the worker refused, `internal` when it is malformed
 */
export function decodeControlReply(worker: string, msg: Reply): ControlResponse {
  if (isNoResponders(msg)) throw new PoolError("not_found", `worker ${worker} is not there`, { field: "worker" });
  const headers = headersOf(msg);
  if (headers !== undefined && decodeReplyHeaders(headers).kind === "error") throw readErrorHeaders(headers);
  const response = decodeControlResponse(msg);
  if (response !== undefined) return response;
  throw new PoolError("internal", `worker ${worker} gave an answer that is not a ControlResponse`);
}

const BRACE = 0x7b;

/**
 * The answer of a worker in any language: protobuf, protobuf JSON, or nothing,
 * which means "done; my heartbeat tells the rest". Undefined when it is none of these.
 */
export function decodeControlResponse({ data }: Pick<Reply, "data">): ControlResponse | undefined {
  try {
    if (data[0] !== BRACE) return fromBinary(ControlResponseSchema, data);
    return fromJsonString(ControlResponseSchema, Buffer.from(data).toString(), { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}
