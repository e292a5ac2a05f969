/** Requests that no client of ours would send, from a seeded source. */
import { FuzzDraw } from "../random.js";

const PATHS = [
  "/",
  "/healthz",
  "/readyz",
  "/metrics",
  "/page-config.json",
  "/assets/main.js",
  "/poolmesh.v1.ManagerService/Submit",
  "/poolmesh.v1.ManagerService/SubmitMany",
  "/poolmesh.v1.ManagerService/GetOutcome",
  "/poolmesh.v1.ManagerService/ListWorkers",
  "/poolmesh.v1.JobService/ListJobs",
  "/poolmesh.v1.JobService/GetJob",
  "/poolmesh.v1.JobService/WatchJobs",
  "/poolmesh.v1.MeterService/GetCapacity",
  "/poolmesh.v1.MeterService/ControlWorker",
  "/poolmesh.v1.MeterService/GetHistory",
  ...[
    "Enqueue",
    "EnqueueMany",
    "GetJob",
    "WaitOutcome",
    "ListJobs",
    "GetLanes",
    "ListDead",
    "GetDead",
    "RetryDead",
  ].map((method) => `/poolmesh.v1.DurableService/${method}`),
  ...["PurgeDead", "PausePool", "ResumePool", "SetCron", "ListCron", "RemoveCron", "SetLimit", "ListLimits"].map(
    (method) => `/poolmesh.v1.DurableService/${method}`,
  ),
  "/solpipe.WorkerStatus/OnStatus",
  "/relay.Capacity/OnStatus",
  "/externalscaler.ExternalScaler/GetMetrics",
  "/grpc.health.v1.Health/Check",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
const TYPES = [
  "application/json",
  "application/proto",
  "application/connect+json",
  "application/connect+proto",
  "application/grpc",
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "text/plain",
  "",
];
const METHODS = ["GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "CONNECT", "TRACE", "PRI"];
const HEADERS = [
  "connect-protocol-version",
  "connect-timeout-ms",
  "grpc-timeout",
  "content-encoding",
  "grpc-encoding",
  "authorization",
  "pool",
  "origin",
  "accept-encoding",
  "te",
  "x-grpc-web",
  "transfer-encoding",
];
const VALUES = [
  "",
  "1",
  "9",
  "-1",
  "1e308",
  "gzip",
  "gzip",
  "br",
  "chunked",
  "Bearer x",
  "99999999H",
  "a b",
  "\t",
  "trailers",
];
const HOSTS = ["localhost", "localhost:1", "127.0.0.1", "[::1]", "localhost:99999", "evil.example", "", "a b", "[:::]"];
const BODIES = [
  "{}",
  '{"pool":"fuzz","text":""}',
  '{"pool":"fuzz","json":',
  '{"pool":"fuzz","payload":"%%%"}',
  '{"job":{"pool":"fuzz"}}',
  '{"selector":{}}',
  '{"pool":"fuzz","text":"1","then":[{"pool":"fuzz"},{"pool":"a b"}],"runAt":"0001-01-01T00:00:00Z"}',
  '{"pool":"fuzz","text":"1","delayMs":"18446744073709551615","concurrencyKey":"\u0000","backoff":{"capMs":"-1"}}',
  '{"pool":"fuzz","jobId":"x","waitMs":4294967295,"form":99,"pageSize":-1,"pageToken":"%"}',
  '{"pool":"fuzz","cron":{"name":"n","schedule":"99 * * * * *","timeZone":"Mars/Base"},"text":"1"}',
  '{"pool":"fuzz","limit":{"target":"key:","running":4294967295},"target":"each-key"}',
  '{"selector":{"pool":"fuzz","jobIds":["a","a",""],"reason":"no_such","olderThanMs":"-1"}}',
  `{"pool":${'"\\u0000'.repeat(3)}"}`,
  `${"[".repeat(500)}`,
  `{"${"x".repeat(5_000)}":1}`,
];

/** One kind of odd request after another. */
export class FuzzRequests {
  readonly #random: () => number;
  readonly #draw: FuzzDraw;

  /** @param random 0 to 1, such as seededRandom() makes it */
  constructor(random: () => number) {
    this.#random = random;
    this.#draw = new FuzzDraw(random);
  }

  /** The bytes of one connection. */
  next(): Buffer {
    const kind = this.#random();
    if (kind < 0.15) return this.#draw.bytes(400);
    if (kind < 0.3) return this.#http2();
    const request = this.#http1();
    return kind < 0.6 ? this.#draw.spoil(request, 1 + this.#draw.whole(8)) : request;
  }

  #http1(): Buffer {
    const body = this.#random() < 0.6 ? Buffer.from(this.#draw.pick(BODIES)) : this.#envelope();
    const lines = [
      `${this.#draw.pick(METHODS)} ${this.#path()} HTTP/1.${this.#random() < 0.9 ? 1 : 0}`,
      `Host: ${this.#random() < 0.7 ? "localhost" : this.#draw.pick(HOSTS)}`,
      `Content-Type: ${this.#draw.pick(TYPES)}`,
      `Content-Length: ${this.#random() < 0.9 ? body.length : this.#draw.whole(1e9)}`,
      "Connection: close",
    ];
    for (let i = this.#draw.whole(4); i > 0; i -= 1)
      lines.push(`${this.#draw.pick(HEADERS)}: ${this.#draw.pick(VALUES)}`);
    return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
  }

  /** The preface, settings, and frames of random types, flags and contents. */
  #http2(): Buffer {
    const frames = Array.from({ length: 1 + this.#draw.whole(6) }, () => {
      const data = this.#draw.bytes(60);
      const head = Buffer.from([
        0,
        0,
        data.length,
        this.#draw.whole(12),
        this.#draw.whole(256),
        0,
        0,
        0,
        this.#draw.whole(4),
      ]);
      return Buffer.concat([head, data]);
    });
    const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0", "latin1");
    return Buffer.concat([preface, ...frames]);
  }

  #envelope(): Buffer {
    const data = this.#draw.bytes(80);
    const head = Buffer.alloc(5);
    head.writeUInt8(this.#random() < 0.7 ? 0 : this.#draw.whole(256), 0);
    head.writeUInt32BE(this.#random() < 0.7 ? data.length : this.#draw.whole(2 ** 32), 1);
    return Buffer.concat([head, data]);
  }

  #path(): string {
    const path = this.#draw.pick(PATHS);
    const kind = this.#random();
    if (kind < 0.7) return path;
    if (kind < 0.8)
      return `${path}?${this.#draw.pick(["connect=v9", "encoding=json&message=%7B", "message=%", "&&=="])}`;
    return kind < 0.9 ? `${path}/../..%2f${this.#draw.whole(9)}` : `//${path}`;
  }
}
