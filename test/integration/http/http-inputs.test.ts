import assert from "node:assert/strict";
import { request as http1Request } from "node:http";
import { constants, connect as http2Connect } from "node:http2";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { ErrorDetailSchema } from "../../../gen/poolmesh/v1/error_pb.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer, errorOf, managerClient, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const { server } = echoServer({ readMaxBytes: 64 * 1024, limits: { requestMs: 2_000, headersMs: 2_000 } });
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

const SUBMIT = "/poolmesh.v1.ManagerService/Submit";
const STATUS = "/solpipe.WorkerStatus/OnStatus";
const JSON_TYPE = "application/json";
const nested = (depth: number): string => `{"json":${"[".repeat(depth)}${"]".repeat(depth)}}`;
const envelope = (length: number, data: Uint8Array | string = "", flags = 0): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(data)]);
};

interface Answer {
  status: number;
  code: string;
  text: string;
}

interface Question {
  path?: string;
  method?: string;
  type?: string | undefined;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

/** What every protocol calls its codes. */
const GRPC_CODES: Record<string, string> = {
  "3": "invalid_argument",
  "4": "deadline_exceeded",
  "8": "resource_exhausted",
  "12": "unimplemented",
  "13": "internal",
};

function codeOf(status: string | undefined, body: Buffer, type: string): string {
  if (status !== undefined) return GRPC_CODES[status] ?? status;
  if (type.startsWith("application/grpc-web")) {
    const said = /grpc-status: ?(\d+)/i.exec(body.toString())?.[1] ?? "";
    return GRPC_CODES[said] ?? said;
  }
  const text = type.startsWith("application/connect") ? body.subarray(5).toString() : body.toString();
  try {
    const answer = JSON.parse(text) as { code?: string; error?: { code?: string } };
    return answer.code ?? answer.error?.code ?? "ok";
  } catch {
    return "";
  }
}

/** Asks over HTTP/1.1, with or without a Content-Length. */
function askHttp1({ path = SUBMIT, method = "POST", type, headers = {}, body = "" }: Question, chunked: boolean) {
  return new Promise<Answer>((resolve, reject) => {
    const length: Record<string, string> = chunked ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sent = { ...(type === undefined ? {} : { "content-type": type }), ...length, ...headers };
    const req = http1Request(server.url + path, { method, headers: sent, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => {
        const answer = Buffer.concat(chunks);
        const grpc = (res.trailers["grpc-status"] ?? res.headers["grpc-status"]) as string | undefined;
        const code = codeOf(grpc, answer, res.headers["content-type"] ?? "");
        resolve({ status: res.statusCode ?? 0, code, text: answer.toString() });
      });
    });
    req.on("error", reject);
    req.end(body);
  });
}

/** Asks over HTTP/2. */
async function askHttp2({ path = SUBMIT, method = "POST", type, headers = {}, body = "" }: Question): Promise<Answer> {
  const session = http2Connect(server.url);
  try {
    const sent = {
      ":path": path,
      ":method": method,
      ...(type === undefined ? {} : { "content-type": type }),
      ...headers,
    };
    const stream = session.request(sent);
    let status = 0;
    let contentType = "";
    let grpc: string | undefined;
    stream.on("response", (head) => {
      status = head[":status"] ?? 0;
      contentType = String(head["content-type"] ?? "");
      grpc = head["grpc-status"] as string | undefined;
    });
    stream.on("trailers", (trailers) => {
      grpc ??= trailers["grpc-status"] as string | undefined;
    });
    if (!stream.writableEnded) stream.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const answer = Buffer.concat(chunks);
    return { status, code: codeOf(grpc, answer, contentType), text: answer.toString() };
  } finally {
    session.destroy();
  }
}

const GZIP = { "content-encoding": "gzip" };
const BOMB = gzipSync(Buffer.alloc(8 * 1024 * 1024));
/** Well formed but for one byte within a text. */
const NOT_UTF8 = Buffer.from('{"pool":"caf\u00e9"}', "latin1");
const big = Buffer.from(JSON.stringify({ text: "x".repeat(512 * 1024) }));

const TABLE: [title: string, question: Question, status: number, code: string][] = [
  ["malformed JSON", { type: JSON_TYPE, body: "{" }, 400, "invalid_argument"],
  ["an empty JSON body", { type: JSON_TYPE }, 400, "invalid_argument"],
  ["JSON of a wrong type", { type: JSON_TYPE, body: '{"pool":5}' }, 400, "invalid_argument"],
  ["JSON that is no object", { type: JSON_TYPE, body: "[1]" }, 400, "invalid_argument"],
  ["JSON that is not UTF-8", { type: JSON_TYPE, body: Buffer.from([0x22, 0xff, 0xfe, 0x22]) }, 400, "invalid_argument"],
  ["JSON with text that is not UTF-8", { type: JSON_TYPE, body: NOT_UTF8 }, 400, "invalid_argument"],
  ["the same in gzip", { type: JSON_TYPE, headers: GZIP, body: gzipSync(NOT_UTF8) }, 400, "invalid_argument"],
  ["a number beyond its range", { type: JSON_TYPE, body: '{"timeoutMs":"1e308"}' }, 400, "invalid_argument"],
  ["20,000 nested brackets", { type: JSON_TYPE, body: nested(20_000) }, 400, "invalid_argument"],
  ["truncated protobuf", { type: "application/proto", body: Buffer.from([0x0a, 0x05, 0x61]) }, 400, "invalid_argument"],
  ["an unknown content type", { type: "text/plain", body: "hi" }, 415, ""],
  ["no content type", { body: "hi" }, 415, ""],
  ["a wrong method", { method: "PUT", type: JSON_TYPE, body: "{}" }, 405, ""],
  ["GET of a call with effects", { method: "GET" }, 405, ""],
  ["an unknown method of a service", { path: "/poolmesh.v1.ManagerService/Nope", type: JSON_TYPE }, 404, ""],
  ["an unknown path", { path: "/a/../b?c=d", method: "GET" }, 404, ""],
  ["POST to /healthz", { path: "/healthz", type: JSON_TYPE }, 405, ""],
  ["an oversized body", { type: JSON_TYPE, body: big }, 429, "resource_exhausted"],
  ["a gzip bomb", { type: JSON_TYPE, headers: GZIP, body: BOMB }, 429, "resource_exhausted"],
  ["garbage gzip", { type: JSON_TYPE, headers: GZIP, body: "garbage" }, 400, "invalid_argument"],
  ["gzip cut off", { type: JSON_TYPE, headers: GZIP, body: gzipSync("{}").subarray(0, 15) }, 400, "invalid_argument"],
  [
    "an unknown compression",
    { type: JSON_TYPE, headers: { "content-encoding": "zip" }, body: "{}" },
    501,
    "unimplemented",
  ],
  ["a timeout that is no number", timeout("NaN"), 400, "invalid_argument"],
  ["a negative timeout", timeout("-1"), 400, "invalid_argument"],
  ["a timeout beyond the limit", timeout("9999999999"), 400, "invalid_argument"],
  ["a version of Connect that does not exist", version(JSON_TYPE, "{}"), 400, "invalid_argument"],
  [
    "the same on a stream",
    { ...version("application/connect+json", envelope(2, "{}")), path: STATUS },
    200,
    "invalid_argument",
  ],
  ["a timeout that passes", timeout("30", '{"pool":"forever"}'), 504, "deadline_exceeded"],
  ["a stream's envelope of 4 GiB", stream(envelope(0xffffffff)), 200, "resource_exhausted"],
  ["a stream's envelope cut off", stream(envelope(10, "{}")), 200, "invalid_argument"],
  ["a stream without a message", stream(""), 200, "unimplemented"],
  [
    "a stream's gzip bomb",
    stream(envelope(BOMB.length, BOMB, 1), { "connect-content-encoding": "gzip" }),
    200,
    "resource_exhausted",
  ],
  ["a gRPC-Web envelope of 4 GiB", grpc("application/grpc-web+proto", envelope(0xffffffff)), 200, "resource_exhausted"],
];

function timeout(value: string, body = "{}"): Question {
  return { type: JSON_TYPE, headers: { "connect-timeout-ms": value }, body };
}

function version(type: string, body: Buffer | string): Question {
  return { type, headers: { "connect-protocol-version": "9" }, body };
}

function stream(body: Buffer | string, headers = {}): Question {
  return { path: STATUS, type: "application/connect+json", headers, body };
}

function grpc(type: string, body: Buffer, path = SUBMIT): Question {
  return { path, type, body };
}

function grpcTimeout(value: string): Question {
  return { ...grpc("application/grpc", envelope(0)), headers: { "grpc-timeout": value } };
}

const GRPC_TABLE: typeof TABLE = [
  ["a gRPC envelope of 4 GiB", grpc("application/grpc", envelope(0xffffffff)), 200, "resource_exhausted"],
  ["a gRPC envelope of garbage", grpc("application/grpc", envelope(3, "\n\u0005a")), 200, "invalid_argument"],
  [
    "a gRPC stream's envelope of garbage",
    grpc("application/grpc", envelope(3, "\n\u0005a"), STATUS),
    200,
    "invalid_argument",
  ],
  ["a gRPC timeout beyond the limit", grpcTimeout("99999999H"), 200, "invalid_argument"],
  ["a gRPC call of an unknown service", grpc("application/grpc", envelope(0), "/a.B/C"), 200, "unimplemented"],
  [
    "a compressed gRPC message without an encoding",
    grpc("application/grpc", envelope(1, "x", 1)),
    200,
    "invalid_argument",
  ],
];

function check(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.code, code, answer.text);
  assert.notEqual(answer.text, "", "the answer says something");
  assert.doesNotMatch(answer.text, /node_modules|\bat .*:\d+:\d+/);
}

for (const [title, question, status, code] of TABLE) {
  test(`${title} - answered ${status} ${code}`, async () => {
    check(await askHttp1(question, false), status, code);
    check(await askHttp1(question, true), status, code);
    check(await askHttp2(question), status, code);
  });
}

for (const [title, question, status, code] of GRPC_TABLE) {
  test(`${title} - answered ${code}`, async () => {
    const answer = await askHttp2(question);
    assert.equal(answer.status, status);
    assert.equal(answer.code, code);
  });
}

test("a body that does not arrive in time - answered deadline_exceeded over HTTP/2", async () => {
  const session = http2Connect(server.url);
  const slow = session.request({ ":path": SUBMIT, ":method": "POST", "content-type": JSON_TYPE });
  slow.write("{");
  const chunks: Buffer[] = [];
  for await (const chunk of slow) chunks.push(chunk as Buffer);
  session.destroy();
  assert.equal(JSON.parse(Buffer.concat(chunks).toString()).code, "deadline_exceeded");
});

test("all of these leave nothing open", async () => {
  await eventually(() => server.connections === 0 && server.streams === 0, { what: "no connection, no stream" });
});

test("a call past its own deadline ends with our detail, whether its handler listens or not", async () => {
  for (const pool of ["polite", "forever"]) {
    const answer = await askHttp1(timeout("20", JSON.stringify({ pool })), false);
    const { message, details } = JSON.parse(answer.text) as { message: string; details: { type: string }[] };
    assert.equal(message, "the call's own deadline has passed");
    assert.equal(details[0]?.type, "poolmesh.v1.ErrorDetail");
  }
});

test("a refused content type is named beside those that this call accepts", async () => {
  const { text } = await askHttp1({ type: "text/x-own", body: "hi" }, false);
  assert.match(text, /unsupported media type text\/x-own: use one of application\/json, /);
  const stream = await askHttp1({ path: STATUS, type: JSON_TYPE, body: "{}" }, false);
  assert.match(stream.text, /unsupported media type application\/json: use one of application\/connect\+json, /);
});

test("an unknown service or method ends a gRPC call with its headers, as Unimplemented", async () => {
  for (const path of ["/a.B/C", "/poolmesh.v1.ManagerService/Nope"]) {
    const session = http2Connect(server.url);
    const headers = { ":path": path, ":method": "POST", "content-type": "application/grpc", te: "trailers" };
    const call = session.request(headers);
    call.write(envelope(0));
    const [head, flags] = await new Promise<[Record<string, unknown>, number]>((resolve, reject) => {
      call.on("response", (head, flags) => resolve([head, flags]));
      call.on("error", reject);
    });
    assert.equal(head["grpc-status"], "12");
    assert.ok((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, "the headers end the stream");
    session.destroy();
  }
});

test("what is refused before its handler carries our detail in every protocol", async () => {
  const large = { pool: "p", input: { case: "payload", value: new Uint8Array(8 << 20) } };
  for (const [name, transport] of Object.entries(TRANSPORTS)) {
    const error = await errorOf(managerClient(transport(server.url)).submit(large as never));
    assert.equal(error.code, Code.ResourceExhausted, name);
    assert.equal(error.findDetails(ErrorDetailSchema)[0]?.reason, "payload_too_large", `${name}: ${error.message}`);
    assert.doesNotMatch(error.rawMessage, /readMaxBytes/, name);
  }
  const garbage = JSON.parse((await askHttp1({ type: JSON_TYPE, body: "{" }, false)).text) as { details: unknown[] };
  assert.equal(garbage.details.length, 1);
});
