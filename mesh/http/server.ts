/**
 * The HTTP face of a program: RPCs, health, reflection, metrics and plain HTTP
 * on one port.
 *
 * Decided here: the order in which a request passes the gates, and the order of
 * stopping. Not decided here: what the program serves.
 */
import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { type AccessOptions, Gate } from "../auth/gate.js";
import { Lifecycle } from "../process/lifecycle.js";
import { type Logger, silentLog } from "../process/log.js";
import type { Listen } from "../process/options.js";
import type { Exemplars } from "../trace/open-metrics.js";
import { MAX_TIMEOUT_MS } from "../wire/headers.js";
import { passGates } from "./gates.js";
import { type HealthSource, healthRoutes, ReadyHealth } from "./health.js";
import { isLoopback, type OriginRule } from "./origin-rule.js";
import { answerPlain } from "./plain-routes.js";
import { HttpPort, type PortLimits } from "./port.js";
import { requireSafe } from "./public-rule.js";
import { reflectionRoutes } from "./reflection.js";
import { CallGuard, type StreamLimits } from "./rpc/call-guard.js";
import { type HttpRequest, type HttpResponse, isHttp2 } from "./rpc/exchange.js";
import { serverGzip } from "./rpc/gzip.js";
import { addressOf, nameAddress } from "./rpc/peer.js";
import { Rpcs } from "./rpc/rpc.js";
import { STRICT_JSON } from "./rpc/strict-json.js";
import { TlsFiles, type TlsOptions } from "./tls/tls-files.js";
import { TrustedProxies } from "./trusted-proxies.js";

/** How a program is served. */
export interface HttpServerOptions {
  /** Beyond loopback it needs TLS and a policy, or `insecure`; port 0 is any free one. */
  listen: Listen;
  /** The certificate to serve with; undefined: in the clear. */
  tls?: TlsOptions;
  /** Listen beyond loopback without TLS or without a policy; default false. */
  insecure?: boolean;
  /** Host names to answer to besides loopback ones, and whose pages may call; lower case, without a port. */
  allowedHosts?: readonly string[];
  /** Addresses and ranges of proxies whose `X-Forwarded-For` says who called them; default none. */
  trustedProxy?: readonly string[];
  /** Who may do what; by default everybody may view and submit, and nobody may control workers. */
  access?: AccessOptions;
  /** Registers the program's services. @param gate checks what only a handler can know */
  routes: (router: ConnectRouter, gate: Gate) => void;
  /** The same services, for reflection and health. */
  services: readonly DescService[];
  /** True, or the reason why it is not ready. */
  isReady: () => true | string;
  /** Status by name; default: every service as isReady says. */
  health?: HealthSource;
  /** Prometheus text for /metrics. */
  metrics?: () => Promise<string>;
  /** Traces beside buckets of its histograms: for a scraper that accepts OpenMetrics. */
  exemplars?: () => Exemplars;
  /** More plain HTTP, such as a page; true when it answered. */
  plain?: (req: HttpRequest, res: HttpResponse) => boolean;
  /** The largest message of a request, in bytes, after decompression; default 4 MiB. */
  readMaxBytes?: number;
  /** The longest timeout that a client may ask for, in milliseconds; default 2,147,483,647. */
  maxTimeoutMs?: number;
  /** Streams open at once; more are `resource_exhausted`. Default 5,000. */
  maxStreams?: number;
  /** With a policy, streams open at once to one caller. Default 1,000. */
  maxCallerStreams?: number;
  /** Limits of connections. */
  limits?: PortLimits;
  log?: Logger;
}

const DEFAULT_READ_MAX_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_STREAMS = 5_000;
const DEFAULT_MAX_CALLER_STREAMS = 1_000;
/** With a policy, callers that show nothing have at most one part of so many of all streams. */
const STRANGERS_PART = 2;
const DEFAULT_BODY_MS = 60_000;

/** Serves a program over HTTP. */
export class HttpServer extends Lifecycle {
  readonly #options: HttpServerOptions;
  readonly #log: Logger;
  readonly #guard: CallGuard;
  readonly #gate: Gate;
  readonly #rule: OriginRule;
  readonly #proxies: TrustedProxies | undefined;
  readonly #port: HttpPort;
  readonly #rpcs: Rpcs;

  constructor(options: HttpServerOptions) {
    super();
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#gate = new Gate(options.access ?? {}, this.#log);
    this.#guard = new CallGuard(this.#streamLimits(), this.#log);
    this.#rule = {
      allowedHosts: options.allowedHosts ?? [],
      listenHost: options.listen.host.toLowerCase(),
      anyAddress: !isLoopback(options.listen.host),
    };
    const { trustedProxy = [] } = options;
    this.#proxies = trustedProxy.length === 0 ? undefined : new TrustedProxies(trustedProxy);
    this.#rpcs = new Rpcs(this.#router(), this.#gate, options.limits?.requestMs ?? DEFAULT_BODY_MS, this.#log);
    this.#port = new HttpPort({
      listen: options.listen,
      listener: (req, res) => this.#answer(req, res),
      limits: options.limits,
      log: this.#log,
      tls: options.tls === undefined ? undefined : new TlsFiles(options.tls, this.#log),
    });
  }

  /** Where it listens; the real port after start(). */
  get address(): Listen {
    return this.#port.address;
  }

  /** Its address for a client on this machine, without a slash at the end. */
  get url(): string {
    const { host, port } = this.address;
    const scheme = this.#options.tls === undefined ? "http" : "https";
    if (host === "0.0.0.0" || host === "::") return `${scheme}://127.0.0.1:${port}`;
    return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Streams open now. */
  get streams(): number {
    return this.#guard.streams;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#port.connections;
  }

  /** Answers new calls `unavailable` and is not ready, while open calls go on: the first half of stop(). */
  refuse(): void {
    this.#guard.refuse();
  }

  protected override async onStart(): Promise<void> {
    requireSafe(this.#options, this.#log);
    this.#gate.start();
    await this.#port.start();
    this.#log.info({ url: this.url }, "listening");
  }

  protected override async onStop(): Promise<void> {
    this.#guard.end();
    await this.#port.stop();
    this.#gate.stop();
  }

  #answer(req: HttpRequest, res: HttpResponse): void {
    req.on("error", () => {});
    res.on("error", () => {});
    if (this.#proxies !== undefined) nameAddress(req, this.#proxies.addressOf(req, addressOf(req)));
    if (this.#guard.refusing && !isHttp2(req)) res.setHeader("connection", "close");
    if (!passGates(req, res, this.#rule)) return;
    if (this.#rpcs.answer(req, res)) return;
    const { metrics, exemplars, plain } = this.#options;
    const sources = { gate: this.#gate, isReady: () => this.#isReady(), metrics, exemplars, plain };
    void answerPlain(req, res, sources, this.#log);
  }

  #streamLimits(): StreamLimits {
    const { maxStreams = DEFAULT_MAX_STREAMS, maxCallerStreams = DEFAULT_MAX_CALLER_STREAMS } = this.#options;
    if (!this.#gate.hasPolicy) return { all: maxStreams, ofOneCaller: maxStreams, ofStrangers: maxStreams };
    const ofStrangers = Math.max(1, Math.floor(maxStreams / STRANGERS_PART));
    return { all: maxStreams, ofOneCaller: maxCallerStreams, ofStrangers };
  }

  #isReady(): true | string {
    return this.#guard.refusing ? "stopping" : this.#options.isReady();
  }

  #router(): ConnectRouter {
    const { routes, services, readMaxBytes, maxTimeoutMs, health } = this.#options;
    const router = createConnectRouter({
      acceptCompression: [serverGzip],
      interceptors: [this.#guard.interceptor, this.#gate.interceptor],
      jsonOptions: STRICT_JSON,
      maxTimeoutMs: maxTimeoutMs ?? MAX_TIMEOUT_MS,
      readMaxBytes: readMaxBytes ?? DEFAULT_READ_MAX_BYTES,
      shutdownSignal: this.#guard.shutdownSignal,
    });
    routes(router, this.#gate);
    const names = services.map((service) => service.typeName);
    healthRoutes(router, health ?? new ReadyHealth(names, () => this.#isReady() === true));
    reflectionRoutes(router, [...services, Health]);
    return router;
  }
}
