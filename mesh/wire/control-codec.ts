/**
 * The three forms of a control request: protobuf, protobuf JSON, one plain word.
 *
 * Pure. The answer has the form of the question; words are answered in JSON.
 */
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  type ControlRequest,
  ControlRequestSchema,
  type ControlResponse,
  ControlResponseSchema,
} from "../../gen/poolmesh/v1/control_pb.js";
import { PoolError } from "../errors.js";

/** How a request was written. */
export type ControlForm = "binary" | "json";

/** Larger requests are refused, in bytes. */
export const CONTROL_BYTES_LIMIT = 256 * 1024;

const WORDS = 'use "drain", "pause", "resume", "resize N" or "probe", or a poolmesh.v1.ControlRequest';

/**
 * Reads a request.
 *
 * @param isJson whether its content type says so
 * @throws PoolError `invalid_argument`, field "control"
 */
export function decodeControl(payload: Uint8Array, isJson = false): { request: ControlRequest; form: ControlForm } {
  if (payload.length === 0) throw refuse("empty");
  if (payload.length > CONTROL_BYTES_LIMIT) throw refuse(`over ${CONTROL_BYTES_LIMIT} bytes`);
  const first = payload[0] as number;
  if (isJson || first === 0x7b) return { request: fromJson(payload), form: "json" };
  if (first >= 0x61 && first <= 0x7a) return { request: fromWords(payload), form: "json" };
  return { request: guard("protobuf", () => fromBinary(ControlRequestSchema, payload)), form: "binary" };
}

/** Writes an answer. */
export function encodeControl(response: ControlResponse, form: ControlForm): Uint8Array {
  if (form === "binary") return toBinary(ControlResponseSchema, response);
  return new TextEncoder().encode(toJsonString(ControlResponseSchema, response));
}

function fromJson(payload: Uint8Array): ControlRequest {
  const text = new TextDecoder().decode(payload);
  return guard("JSON", () => fromJsonString(ControlRequestSchema, text));
}

function fromWords(payload: Uint8Array): ControlRequest {
  const words = new TextDecoder().decode(payload).trim().split(/\s+/);
  const [verb, number] = words;
  if (verb === "resize" && words.length === 2 && /^\d{1,5}$/.test(number ?? "")) {
    return create(ControlRequestSchema, { op: { case: "resize", value: { slots: Number(number) } } });
  }
  if (words.length === 1) {
    switch (verb) {
      case "drain":
        return create(ControlRequestSchema, { op: { case: "drain", value: {} } });
      case "pause":
        return create(ControlRequestSchema, { op: { case: "pause", value: {} } });
      case "resume":
        return create(ControlRequestSchema, { op: { case: "resume", value: {} } });
      case "probe":
        return create(ControlRequestSchema, { op: { case: "probe", value: {} } });
      default:
        break;
    }
  }
  throw refuse("not understood");
}

function guard<T>(form: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refuse(`not valid ${form}`, error);
  }
}

function refuse(why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `control: ${why}; ${WORDS}`, { field: "control", cause });
}
