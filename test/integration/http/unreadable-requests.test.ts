/** A request that cannot be read is the caller's mistake: the same code, detail and text for every service and protocol. */
import assert from "node:assert/strict";
import { connect as http2Connect } from "node:http2";
import { before, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, type ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { ExternalScaler } from "../../../gen/externalscaler/externalscaler_pb.js";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { DurableService } from "../../../gen/poolmesh/v1/durable_pb.js";
import { ErrorDetailSchema } from "../../../gen/poolmesh/v1/error_pb.js";
import { JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { Capacity } from "../../../gen/relay/relay_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";
import { HttpServer } from "../../../mesh/http/server.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { leakGuard } from "../../support/leak-guard.js";

leakGuard();

const SERVICES: readonly DescService[] = [
  ManagerService,
  DurableService,
  JobService,
  MeterService,
  ExternalScaler,
  WorkerStatus,
  Capacity,
];

let called = 0;
const server = new HttpServer({
  listen: { host: "127.0.0.1", port: 0 },
  services: SERVICES,
  isReady: () => true,
  access: { controlToken: CONTROL_TOKEN },
  routes: (router) => {
    for (const service of SERVICES) router.service(service, allOf(service));
  },
});
before(() => server.start());
cleanUp(WHOLE_FILE, () => server.stop());

/** Handlers that no unreadable request reaches. */
function allOf({ methods }: DescService): Partial<ServiceImpl<typeof ManagerService>> {
  const reached = (): never => {
    called += 1;
    throw new Error("reached");
  };
  return Object.fromEntries(methods.map(({ localName }) => [localName, reached]));
}

/** A field whose text ends before its length. */
const CUT = Buffer.from([0x0a, 0x05, 0x61]);
const NOT_ENCODED = "received compressed envelope, but do not know how to decompress";

function envelope(data: Uint8Array, flags: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly trailer: Headers;
}

async function ask(path: string, type: string, body: Buffer): Promise<Answer> {
  const session = http2Connect(server.url);
  try {
    const authorization = `Bearer ${CONTROL_TOKEN}`;
    const stream = session.request({ ":path": path, ":method": "POST", "content-type": type, authorization });
    let status = 0;
    const trailer = new Headers();
    const keep = (fields: Record<string, unknown>): void => {
      status = Number(fields[":status"] ?? status);
      for (const [name, value] of Object.entries(fields))
        if (name.startsWith("grpc-")) trailer.set(name, String(value));
    };
    stream.on("response", keep);
    stream.on("trailers", keep);
    stream.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { status, body: Buffer.concat(chunks), trailer };
  } finally {
    session.destroy();
  }
}

/** What each protocol says of the same bytes. */
const WAYS: Readonly<Record<string, (path: string, data: Buffer, flags: number) => Promise<ConnectError | undefined>>> =
  {
    gRPC: async (path, data, flags) =>
      findTrailerError((await ask(path, "application/grpc+proto", envelope(data, flags))).trailer),
    "gRPC-Web": async (path, data, flags) => {
      const { body, trailer } = await ask(path, "application/grpc-web+proto", envelope(data, flags));
      return findTrailerError(body[0] === trailerFlag ? trailerParse(body.subarray(5)) : trailer);
    },
  };

function methodsOf(kind: DescMethod["methodKind"]): string[] {
  return [...SERVICES, Health].flatMap(({ typeName, methods }) =>
    methods.filter(({ methodKind }) => methodKind === kind).map(({ name }) => `/${typeName}/${name}`),
  );
}

function check(error: ConnectError | undefined, what: string): string {
  assert.equal(error?.code, Code.InvalidArgument, `${what}: ${error?.message}`);
  assert.equal(error?.findDetails(ErrorDetailSchema)[0]?.reason, "invalid_argument", what);
  return error?.rawMessage ?? "";
}

for (const [name, call] of Object.entries(WAYS)) {
  for (const kind of ["unary", "server_streaming"] as const) {
    test(`${name}: a ${kind} request that does not parse is invalid_argument with our detail, and the text of Connect`, async () => {
      const { body } = await ask("/poolmesh.v1.ManagerService/Submit", "application/proto", CUT);
      const said = check(errorFromJsonBytes(body, undefined, new Error("none") as ConnectError), "Connect");
      const paths = methodsOf(kind);
      assert.ok(paths.length > 1);
      for (const path of paths) assert.equal(check(await call(path, CUT, 0), path), said, path);
      assert.equal(called, 0);
    });

    test(`${name}: a ${kind} request that is compressed, and does not say how, is invalid_argument with our detail`, async () => {
      for (const path of methodsOf(kind)) assert.equal(check(await call(path, CUT, 1), path), NOT_ENCODED, path);
      assert.equal(called, 0);
    });
  }
}

test("a bug of the server stays internal in every protocol", async () => {
  for (const call of Object.values(WAYS)) {
    const error = await call("/poolmesh.v1.ManagerService/Submit", Buffer.alloc(0), 0);
    assert.deepEqual([error?.code, error?.rawMessage], [Code.Internal, "internal error"]);
  }
});
