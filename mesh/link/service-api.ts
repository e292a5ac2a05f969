/**
 * The NATS service API (ADR-32): answers $SRV.PING, INFO and STATS, so that
 * `nats micro ls`, `info` and `stats` show a service.
 *
 * Decided here: the shape of the answers. Not decided here: what is counted;
 * the counters are asked for when an answer is made.
 */
import type { Msg } from "nats";
import { PoolError } from "../errors.js";
import { Lifecycle } from "../process/lifecycle.js";
import { SERVICE_VERBS } from "../wire/subjects.js";
import type { Bus } from "./bus.js";
import type { Subscription } from "./subscription.js";

/** One endpoint of a service, with its counters since the start. */
export interface ServiceEndpoint {
  readonly name: string;
  readonly subject: string;
  readonly queueGroup?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Requests taken. */
  readonly requests: number;
  /** Requests that ended as an error. */
  readonly errors: number;
  /** The last error, such as "pool_full: no room"; default none. */
  readonly lastError?: string;
  /** Time spent on all requests, in milliseconds; default 0. */
  readonly processingMs?: number;
  /** More counters, JSON. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** How a service registers. */
export interface ServiceApiOptions {
  readonly bus: Bus;
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  /** Unique among the instances of `name`; letters, digits, `_` and `-`. */
  readonly id: string;
  /** Semantic version. */
  readonly version: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** The endpoints as they are now. */
  readonly endpoints: () => readonly ServiceEndpoint[];
  /** Wall clock, milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

const TOKEN = /^[A-Za-z0-9_-]+$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
type Verb = (typeof SERVICE_VERBS)[number];

/** Answers for one instance of a service. */
export class ServiceApi extends Lifecycle {
  readonly #options: ServiceApiOptions;
  readonly #subscriptions: Subscription[] = [];
  #startedMs = 0;

  /** @throws PoolError `invalid_argument` for a name, id or version that ADR-32 does not allow */
  constructor(options: ServiceApiOptions) {
    super();
    check("name", options.name, TOKEN);
    check("id", options.id, TOKEN);
    check("version", options.version, VERSION);
    this.#options = options;
  }

  protected override async onStart(): Promise<void> {
    const { bus, name, id, now = this.#options.bus.runtime.wallNow } = this.#options;
    this.#startedMs = now();
    for (const verb of SERVICE_VERBS) {
      for (const subject of [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`]) {
        this.#subscriptions.push(bus.subscribe(subject, (msg) => this.#answer(verb, msg)));
      }
    }
    await bus.flush();
  }

  protected override async onStop(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #answer(verb: Verb, { reply }: Msg): void {
    const { bus } = this.#options;
    if (!bus.mayAnswer(reply)) return;
    const answer = {
      ...this.#identity(),
      type: `io.nats.micro.v1.${verb.toLowerCase()}_response`,
      ...this.#body(verb),
    };
    bus.publish(reply, Buffer.from(JSON.stringify(answer)));
  }

  #identity() {
    const { name, id, version, metadata = {} } = this.#options;
    return { name, id, version, metadata };
  }

  #body(verb: Verb) {
    const { description = "", endpoints } = this.#options;
    switch (verb) {
      case "PING":
        return {};
      case "INFO":
        return { description, endpoints: endpoints().map(toInfo) };
      case "STATS":
        return { started: new Date(this.#startedMs).toISOString(), endpoints: endpoints().map(toStats) };
    }
  }
}

function toInfo({ name, subject, queueGroup = "", metadata = {} }: ServiceEndpoint) {
  return { name, subject, queue_group: queueGroup, metadata };
}

/** Clients decode the counters as integers and the times as nanoseconds. */
function toStats(endpoint: ServiceEndpoint) {
  const { name, subject, queueGroup = "", requests, errors, lastError = "", processingMs = 0, data } = endpoint;
  return {
    name,
    subject,
    queue_group: queueGroup,
    num_requests: requests,
    num_errors: errors,
    last_error: lastError,
    processing_time: Math.round(processingMs * 1e6),
    average_processing_time: requests === 0 ? 0 : Math.round((processingMs * 1e6) / requests),
    ...(data === undefined ? {} : { data }),
  };
}

function check(field: string, value: string, rule: RegExp): void {
  if (rule.test(value)) return;
  throw new PoolError("invalid_argument", `service ${field}: not allowed by the NATS service API`, { field });
}
