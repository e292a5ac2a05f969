/**
 * Adds our detail to errors that Connect makes by itself, before a call reaches its
 * handler: the body is too large, its bytes do not parse, or the timeout is invalid.
 *
 * A call with streams reads its request inside the interceptors, so the guard sees
 * its errors. A unary call does not: its answer is corrected here, in the form of its
 * protocol.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorFromJsonBytes, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { ErrorDetailSchema } from "../../../gen/poolmesh/v1/error_pb.js";
import { PoolError, type Reason } from "../../errors.js";
import { toConnectError } from "../../wire/connect-errors.js";
import { serverGzip } from "./gzip.js";

/** Connect's messages when it cannot read a request: its bytes do not parse, or it is compressed and does not say how. */
const UNREADABLE = /^parse binary: |^received compressed envelope, /;
const TOO_LARGE = /larger than|exceeds/;
const UNKNOWN_FIELD = /^cannot decode [^"]* from JSON: key "(.*)" is unknown$/s;
const FIELD_NAME = /^[A-Za-z_]\w{0,62}$/;
const HEAD_BYTES = 5;
/** Thrown for an answer that is no error of Connect, which does not happen. */
const NO_ERROR = new ConnectError("internal error", Code.Internal);
/** An error that Connect made is not larger than the request it is about. */
const MAX_ERROR_BYTES = 64 * 1024 * 1024;

/** An error that has none yet with our detail where the catalogue has a reason for it, else as it is. */
function withDetail(error: ConnectError): ConnectError {
  const reason = reasonOf(error);
  if (reason === undefined) return error;
  const unknown = unknownField(error);
  if (unknown === undefined) return toConnectError(new PoolError(reason, textOf(error), { cause: error }));
  return toConnectError(new PoolError("invalid_argument", `${unknown}: there is no such field`, { field: unknown }));
}

/**
 * The same, and a request that cannot be read is the caller's mistake. Connect calls it `internal`, as gRPC's
 * specification does; with us that is a bug of the server, in every protocol.
 */
export function asCallersMistake(error: ConnectError): ConnectError {
  if (error.findDetails(ErrorDetailSchema).length > 0) return error;
  if (error.code !== Code.Internal || !UNREADABLE.test(error.rawMessage)) return withDetail(error);
  return withDetail(new ConnectError(error.rawMessage, Code.InvalidArgument));
}

/** The answer to a unary call, its error with our detail. */
export async function correctUnary(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  const type = response.header?.get("content-type") ?? "";
  if (response.body === undefined) return response;
  if (type.startsWith("application/grpc-web")) return { ...response, body: correctWebTrailer(response.body) };
  if (type.startsWith("application/grpc")) return { ...response, body: correctTrailer(response) };
  return response.status < 400 ? response : correctJson(response, response.body);
}

async function correctJson(
  response: UniversalServerResponse,
  body: AsyncIterable<Uint8Array>,
): Promise<UniversalServerResponse> {
  const bytes = await plainBytes(response, body);
  const said = errorFromJsonBytes(bytes, undefined, NO_ERROR);
  const error = asCallersMistake(said);
  const corrected = error === said ? bytes : errorToJsonBytes(error, undefined);
  response.header?.set("content-length", String(corrected.length));
  return { ...response, status: codeToHttpStatus(error.code), body: once(corrected) };
}

async function* correctTrailer({ body, trailer }: UniversalServerResponse): AsyncGenerator<Uint8Array> {
  yield* body ?? [];
  if (trailer !== undefined) correctStatus(trailer);
}

/** gRPC-Web has its trailer in the body: an envelope with a flag. An error's trailer is all of the body. */
async function* correctWebTrailer(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const trailer = chunk[0] === trailerFlag ? trailerParse(chunk.subarray(HEAD_BYTES)) : undefined;
    yield trailer !== undefined && correctStatus(trailer) ? envelope(trailerSerialize(trailer)) : chunk;
  }
}

/** Whether a status was an error without our detail; it has one now. */
function correctStatus(trailer: Headers): boolean {
  const error = findTrailerError(trailer);
  const better = error === undefined ? undefined : asCallersMistake(error);
  if (better === undefined || better === error) return false;
  setTrailerStatus(trailer, better);
  return true;
}

function envelope(data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(HEAD_BYTES + data.length);
  bytes.writeUInt8(trailerFlag, 0);
  bytes.writeUInt32BE(data.length, 1);
  bytes.set(data, HEAD_BYTES);
  return bytes;
}

function reasonOf({ code, rawMessage }: ConnectError): Reason | undefined {
  if (code === Code.ResourceExhausted) return TOO_LARGE.test(rawMessage) ? "payload_too_large" : undefined;
  if (code === Code.InvalidArgument) return "invalid_argument";
  return code === Code.DeadlineExceeded ? "deadline_exceeded" : undefined;
}

function textOf({ code, rawMessage }: ConnectError): string {
  if (code !== Code.ResourceExhausted) return rawMessage;
  const [said, limit] = rawMessage.match(/\d+/g) ?? [];
  return limit === undefined ? "the request is too large" : `the request has ${said} bytes, more than ${limit}`;
}

/** The name of a field in JSON that the message does not have: told when it looks like a name, never echoed when not. */
function unknownField({ code, rawMessage }: ConnectError): string | undefined {
  const said = code === Code.InvalidArgument ? UNKNOWN_FIELD.exec(rawMessage) : null;
  if (said === null) return undefined;
  return FIELD_NAME.test(said[1] ?? "") ? said[1] : "a field";
}

/** A long answer comes compressed. */
async function plainBytes(response: UniversalServerResponse, body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const bytes = await all(body);
  if (response.header?.get("content-encoding") !== serverGzip.name) return bytes;
  response.header.delete("content-encoding");
  return serverGzip.decompress(bytes, MAX_ERROR_BYTES);
}

async function all(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}
