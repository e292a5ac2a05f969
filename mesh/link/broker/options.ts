/**
 * How a connection to a broker is made, and why it could not be.
 *
 * Decided here: options of ours become options of the NATS client. The client
 * is given addresses without credentials, so that no error, event or log line
 * of it can show a secret. Not decided here: how often a connection is tried.
 */
import { type ConnectionOptions, connect } from "nats";
import { PoolError } from "../../errors.js";
import {
  type BrokerAddress,
  type BrokerCredential,
  parseBrokerUrl,
  splitBrokerUrls,
} from "../../process/broker-urls.js";
import { knownCredential } from "../../process/files/broker-file.js";
import type { Connection } from "../connection.js";
import { systemRuntime } from "../runtime.js";
import type { BusOptions } from "./bus-options.js";
import { type BrokerFiles, readBrokerFiles } from "./files.js";
import { askBroker, isTimeout, whyNoConnection } from "./probe.js";
import { ReconnectDelays } from "./reconnect-delays.js";

const DEFAULT_URL = "nats://127.0.0.1:4222";
/** How long the client waits for a broker's greeting by default, in milliseconds. */
const CONNECT_LIMIT_MS = 5_000;

/** The broker's part of a program's options, read and checked. */
export class BrokerOptions {
  readonly #options: BusOptions;
  readonly #addresses: readonly BrokerAddress[];
  readonly #files: BrokerFiles;

  /**
   * Reads what the options name.
   *
   * @throws PoolError `invalid_argument` for a URL or a file that is not what it should be, and for options that
   * contradict each other; names the option
   */
  static async read(options: BusOptions): Promise<BrokerOptions> {
    const said = readAddresses(options.servers).map((each) => withPassword(each, options));
    requireOneCredential(options, said);
    const addresses = hasCredential(options) ? said : said.map(withKnownCredential);
    return new BrokerOptions(options, addresses, await readBrokerFiles(options));
  }

  private constructor(options: BusOptions, addresses: readonly BrokerAddress[], files: BrokerFiles) {
    this.#options = options;
    this.#addresses = addresses;
    this.#files = files;
  }

  /** Tries every broker once, in any order. Rejects with what the NATS client throws: see {@link explain}. */
  async connect(): Promise<Connection> {
    const addresses = shuffled(this.#addresses);
    const credentials = new Credentials(addresses, toCredential(this.#options));
    const delays = new ReconnectDelays(systemRuntime);
    const connection = await connect({
      ...this.#toNats(addresses),
      // The client calls this before each broker that it tries.
      reconnectDelayHandler: () => {
        credentials.onNextBroker();
        return delays.next();
      },
      ...(this.#files.authenticator === undefined
        ? { authenticator: () => credentials.current() }
        : { authenticator: this.#files.authenticator }),
    });
    credentials.onConnected(() => connection.getServer());
    const knowsOthers = addresses.length > 1;
    return Object.assign(connection, { avoidBroker: () => delays.avoidLast(), knowsOthers });
  }

  /** What a failed connect() becomes: `unauthenticated`, or `bus_unavailable` with the cause at each broker. */
  async explain(error: unknown): Promise<PoolError> {
    const message = error instanceof Error ? error.message : String(error);
    if (/authorization|authentication/i.test(message)) {
      return new PoolError("unauthenticated", "the broker refuses the credentials", { cause: error });
    }
    const causes = await this.#causes(error);
    const brokers = this.#addresses.map(({ tls, address }, i) => `${tls ? "tls" : "nats"}://${address}: ${causes[i]}`);
    return new PoolError("bus_unavailable", `no broker at ${brokers.join("; ")}`, { cause: error });
  }

  /** The client tells only of the broker that it tried last, and not always why: the others are asked. */
  #causes(error: unknown): Promise<string[]> {
    const said = whyNoConnection(error);
    if (this.#addresses.length === 1 && !isTimeout(error)) return Promise.resolve([said]);
    const tls = this.#tls();
    return Promise.all(this.#addresses.map(async ({ address }) => (await askBroker(address, tls)) ?? said));
  }

  #toNats(addresses: readonly BrokerAddress[]): ConnectionOptions {
    const { name, pingIntervalMs, inboxPrefix } = this.#options;
    const tls = this.#tls();
    return {
      servers: addresses.map(({ address }) => address),
      noRandomize: true,
      name: name ?? "poolmesh",
      // Waiting is done by Bus.connect(), which can be told to give up.
      waitOnFirstConnect: false,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 20,
      pingInterval: pingIntervalMs ?? 5_000,
      maxPingOut: 2,
      timeout: this.#options.connectTimeoutMs ?? CONNECT_LIMIT_MS,
      ignoreAuthErrorAbort: false,
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      ...(tls === undefined ? {} : { tls }),
    };
  }

  /** With a value the NATS client takes TLS or nothing. */
  #tls(): BrokerFiles["tls"] {
    return this.#files.tls ?? (this.#addresses.some(({ tls }) => tls) ? {} : undefined);
  }
}

/** Whose credential is due: that of the broker which is tried, or else the only one there is. */
class Credentials {
  readonly #addresses: readonly BrokerAddress[];
  readonly #shared: BrokerCredential | undefined;
  #tried = 0;
  #address: () => string;
  #last: BrokerCredential | undefined;

  /** @param addresses in the order in which they are tried */
  constructor(addresses: readonly BrokerAddress[], shared: BrokerCredential | undefined) {
    this.#addresses = addresses;
    this.#shared = shared ?? onlyOne(addresses);
    this.#address = () => addresses[this.#tried - 1]?.address ?? "";
  }

  onNextBroker(): void {
    this.#tried += 1;
  }

  /** From now on the connection knows which broker it tries. */
  onConnected(address: () => string): void {
    this.#address = address;
  }

  /** The fields of a CONNECT. A broker that is known from its cluster alone gets what the one before it took. */
  current(): { user: string; pass: string } | { auth_token: string } | undefined {
    const own = this.#addresses.find(({ address }) => address === this.#address())?.credential;
    this.#last = own ?? this.#shared ?? this.#last;
    if (this.#last === undefined) return undefined;
    if ("token" in this.#last) return { auth_token: this.#last.token };
    return { user: this.#last.user, pass: this.#last.password };
  }
}

function readAddresses(servers: BusOptions["servers"]): BrokerAddress[] {
  try {
    const urls = (typeof servers === "string" ? [servers] : (servers ?? [])).flatMap(splitBrokerUrls);
    return (urls.length === 0 ? [DEFAULT_URL] : urls).map(parseBrokerUrl);
  } catch (error) {
    throw error instanceof PoolError ? refused("servers", error.message) : error;
  }
}

/** A URL that names a user alone takes its password from the option; without the option the name is a token. */
function withPassword(address: BrokerAddress, { user, password }: BusOptions): BrokerAddress {
  const { credential } = address;
  if (user !== undefined || password === undefined || credential === undefined || !("token" in credential)) {
    return address;
  }
  return { ...address, credential: { user: credential.token, password } };
}

function hasCredential({ user, token, credsFile, nkeyFile, tlsCertFile }: BusOptions): boolean {
  return [user, token, credsFile, nkeyFile, tlsCertFile].some((each) => each !== undefined);
}

/** A broker that `poolmesh up` of this user has started is reached without being told how. */
function withKnownCredential(address: BrokerAddress): BrokerAddress {
  if (address.credential !== undefined) return address;
  return { ...address, credential: knownCredential(process.env, address) };
}

/** @throws PoolError `invalid_argument`: of two ways to say who connects, one would be ignored without a word */
function requireOneCredential(options: BusOptions, addresses: readonly BrokerAddress[]): void {
  const { user, password, token, credsFile, nkeyFile } = options;
  const said = Object.entries({ user, token, credsFile, nkeyFile }).filter(([, value]) => value !== undefined);
  const [first, second] = said.map(([field]) => field);
  if (second !== undefined) throw refused(second, `contradicts ${first}: say one of them`);
  const inUrls = addresses.map(({ credential }) => credential).filter((each) => each !== undefined);
  if (first === undefined) return requireUserOf(password, inUrls);
  const same = toCredential(options);
  if (inUrls.every((each) => isSame(each, same))) return;
  throw refused(first, "contradicts the user or token in the broker's URL: say one of them");
}

function requireUserOf(password: string | undefined, inUrls: readonly BrokerCredential[]): void {
  if (password === undefined) return;
  if (inUrls.length === 0) throw refused("password", "says nothing without a user");
  if (inUrls.every((each) => "password" in each && each.password === password)) return;
  throw refused("password", "contradicts the password in the broker's URL: say one of them");
}

function toCredential({ user, password, token }: BusOptions): BrokerCredential | undefined {
  if (token !== undefined) return { token };
  return user === undefined ? undefined : { user, password: password ?? "" };
}

function onlyOne(addresses: readonly BrokerAddress[]): BrokerCredential | undefined {
  const [first, ...others] = addresses.map(({ credential }) => credential).filter((each) => each !== undefined);
  return others.every((each) => isSame(each, first)) ? first : undefined;
}

function isSame(a: BrokerCredential, b: BrokerCredential | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, place: systemRuntime.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `configuration:\n  ${field}: ${why}`, { field });
}
