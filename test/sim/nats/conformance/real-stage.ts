/** A script on real brokers. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type ConnectionOptions, connect, type NatsConnection } from "nats";
import { Broker } from "../../../../broker/broker.js";
import { Cluster } from "../../../../broker/cluster.js";
import type { Connection } from "../../../../mesh/link/connection.js";
import { cleanUp, type Owner } from "../../../support/clean-up.js";
import { TcpProxy } from "../../../support/proxy/tcp-proxy.js";
import { eventually, within } from "../../../support/wait.js";
import type { Stage } from "./play.js";
import type { ClientOptions, Script, ScriptPermissions } from "./script.js";

/** How long it may take until what the model has shown is there, and until a round trip has ended, in milliseconds. */
const LIMIT_MS = 15_000;
/** The same for a round trip while a broker or wires stand still: then it may take for ever. */
const DISTURBED_LIMIT_MS = 100;
/** The least that nats-server takes, in milliseconds; a grace has to be less. */
const LAME_DUCK_MS = 30_000;
const GRACE_MS = 20_000;
const USERS_FILE = "users.conf";

const SIGNALS = { pause: "SIGSTOP", resume: "SIGCONT", lameDuck: "SIGUSR2" } as const;

/** Real brokers as a stage. What the model saw is what is waited for. */
export class RealStage implements Stage {
  readonly #owner: Owner;
  readonly #script: Script;
  readonly #expected: readonly unknown[];
  readonly #brokers: Broker[] = [];
  readonly #proxies = new Map<string, TcpProxy>();
  readonly #connections: NatsConnection[] = [];
  readonly #binary: string;
  readonly #password = randomUUID();
  #usersFolder = "";
  #cluster: Cluster | undefined;
  #settled = 0;
  /** Brokers that stand still, are gone, or take nobody new. */
  readonly #away = new Set<Broker>();
  /** Clients whose wires are held. */
  readonly #held = new Set<string>();

  private constructor(owner: Owner, script: Script, binary: string, expected: readonly unknown[]) {
    this.#owner = owner;
    this.#script = script;
    this.#binary = binary;
    this.#expected = expected;
  }

  /**
   * Starts the brokers of a script.
   *
   * @param expected what the model showed at each `settle`
   */
  static async start(owner: Owner, script: Script, binary: string, expected: readonly unknown[]): Promise<RealStage> {
    const stage = new RealStage(owner, script, binary, expected);
    const count = script.brokers ?? 1;
    if (count > 1) await stage.#startCluster(count);
    else stage.#brokers.push(await stage.#startBroker("any", script.maxPayload));
    return stage;
  }

  async connect(client: string, options: ClientOptions, once: boolean): Promise<Connection | undefined> {
    const broker = this.#brokers[options.at ?? 0] as Broker;
    const servers = options.wired ? (await this.#proxy(client, broker)).url : broker.url;
    try {
      const connection = await connect({ servers, ...this.#credentials(options), ...natsOptions(options) });
      this.#connections.push(connection);
      cleanUp(this.#owner, () => connection.close());
      return connection;
    } catch (error) {
      if (once) return undefined;
      throw error;
    }
  }

  nameOf(server: string): string {
    const port = server.split(":").at(-1);
    const proxied = [...this.#proxies.values()].some((proxy) => proxy.url.endsWith(`:${port}`));
    return proxied ? "b0" : `b${this.#brokers.findIndex((broker) => String(broker.port) === port)}`;
  }

  wires(client: string, what: "hold" | "release" | "reset"): void {
    const proxy = this.#proxies.get(client);
    if (proxy === undefined) throw new Error(`the script gives ${client} no wires of its own`);
    if (what === "hold") this.#held.add(client);
    else this.#held.delete(client);
    if (what === "hold") proxy.set("both", { mode: "pause" });
    else if (what === "release") proxy.heal();
    else proxy.reset();
  }

  async broker(number: number, what: "kill" | "pause" | "resume" | "lameDuck"): Promise<void> {
    const broker = this.#brokers[number] as Broker;
    if (what === "resume") this.#away.delete(broker);
    else this.#away.add(broker);
    if (what === "kill") return broker.crash();
    broker.signal(SIGNALS[what]);
    if (what === "pause") await eventually(() => isStopped(broker.pid), { what: "the broker stops" });
  }

  async start(number: number, maxPayload: number | undefined): Promise<void> {
    const broker = this.#brokers[number] as Broker;
    if (maxPayload === undefined) {
      this.#away.delete(broker);
      await broker.revive();
      return this.#cluster?.ready();
    }
    const { port } = broker;
    await broker.stop();
    this.#brokers[number] = await this.#startBroker(port, maxPayload);
  }

  async permit(permissions: ScriptPermissions): Promise<void> {
    await this.#writeUsers(permissions);
    (this.#brokers[0] as Broker).signal("SIGHUP");
  }

  async addStream(name: string, subjects: readonly string[]): Promise<void> {
    await this.#administer(`$JS.API.STREAM.CREATE.${name}`, { name, subjects, storage: "memory" });
  }

  async removeStream(name: string): Promise<void> {
    await this.#administer(`$JS.API.STREAM.DELETE.${name}`, {});
  }

  async until(check: () => boolean, what: string): Promise<void> {
    await eventually(check, { what });
  }

  /**
   * Waits for what the model has shown, if it comes, for a round trip of everybody after it, and until every broker knows
   * what was subscribed to at the others.
   */
  async settle(look: () => unknown): Promise<void> {
    const expected = this.#expected[this.#settled];
    this.#settled += 1;
    const isSame = (): boolean => isDeepStrictEqual(look(), expected);
    await eventually(isSame, { limitMs: LIMIT_MS }).catch(() => undefined);
    const limitMs = this.#away.size + this.#held.size > 0 ? DISTURBED_LIMIT_MS : LIMIT_MS;
    const flushes = this.#connections.map((each) => within(each.flush(), { limitMs }));
    await Promise.allSettled(flushes);
    const here = this.#brokers.filter((broker) => !this.#away.has(broker));
    await Promise.all(here.map((broker) => this.#tellOthers(broker, here)));
  }

  /**
   * Waits until the other brokers of a cluster know what was subscribed to at one: it confirms a subscription before it
   * passes it on, and passes them on in their order.
   */
  async #tellOthers(broker: Broker, all: readonly Broker[]): Promise<void> {
    const others = all.filter((other) => other !== broker);
    if (others.length === 0) return;
    const here = await connect({ servers: broker.url, ...this.#credentials({}) });
    for (const other of others) {
      const there = await connect({ servers: other.url, ...this.#credentials({}) });
      const subject = `told.${randomUUID()}`;
      let isTold = false;
      here.subscribe(subject, {
        callback: () => {
          isTold = true;
        },
      });
      await here.flush();
      const ask = (): boolean => {
        there.publish(subject);
        return isTold;
      };
      await eventually(ask, { what: "subscriptions to be known at the other broker" });
      await there.close();
    }
    await here.close();
  }

  async #administer(subject: string, request: object): Promise<void> {
    const admin = await connect({ servers: (this.#brokers[0] as Broker).url });
    const answer = (await admin.request(subject, JSON.stringify(request), { timeout: LIMIT_MS })).json<{
      error?: unknown;
    }>();
    await admin.close();
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  }

  async #startBroker(port: number | "any", maxPayload: number | undefined): Promise<Broker> {
    const broker = new Broker({
      port,
      binary: this.#binary,
      extraConfig: `${this.#lameDuck()}\n${await this.#users()}`,
      ...(maxPayload === undefined ? {} : { maxPayloadBytes: maxPayload }),
    });
    cleanUp(this.#owner, () => broker.stop());
    await broker.start();
    return broker;
  }

  async #startCluster(count: number): Promise<void> {
    const cluster = new Cluster(count, { binary: this.#binary, extraConfig: this.#lameDuck() });
    cleanUp(this.#owner, () => cluster.stop());
    await cluster.start();
    this.#cluster = cluster;
    this.#brokers.push(...cluster.brokers);
  }

  async #proxy(client: string, broker: Broker): Promise<TcpProxy> {
    const proxy = new TcpProxy(broker.url);
    cleanUp(this.#owner, () => proxy.stop());
    await proxy.start();
    this.#proxies.set(client, proxy);
    return proxy;
  }

  #lameDuck(): string {
    const graceMs = this.#script.graceMs ?? GRACE_MS;
    return `lame_duck_duration: "${LAME_DUCK_MS}ms"\nlame_duck_grace_period: "${graceMs}ms"`;
  }

  /** Users stand in a file of their own, which can be written again. Includes are relative to the server's file. */
  async #users(): Promise<string> {
    if (this.#script.permissions === undefined) return "";
    this.#usersFolder = await mkdtemp(join(tmpdir(), "poolmesh-script-"));
    cleanUp(this.#owner, () => rm(this.#usersFolder, { recursive: true, force: true }));
    await this.#writeUsers(this.#script.permissions);
    return `include "../${basename(this.#usersFolder)}/${USERS_FILE}"`;
  }

  async #writeUsers(permissions: ScriptPermissions): Promise<void> {
    const rules = Object.entries(permissions).map(([what, subjects]) => `${what}: ${JSON.stringify(subjects)}`);
    const password = JSON.stringify(this.#password);
    const users = [
      `{ user: "free", password: ${password} }`,
      `{ user: "limited", password: ${password}, permissions: { ${rules.join(", ")} } }`,
    ];
    const text = `authorization { users: [ ${users.join(", ")} ] }\n`;
    await writeFile(join(this.#usersFolder, USERS_FILE), text, { mode: 0o600 });
  }

  #credentials({ limited }: ClientOptions): ConnectionOptions {
    if (this.#script.permissions === undefined) return {};
    return { user: limited ? "limited" : "free", pass: this.#password };
  }
}

/** A signal is not handled when it has been sent; where there is no /proc nobody can tell. */
async function isStopped(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "State:\tT");
  return /^State:\s+T/m.test(status);
}

/** The options that a bus gives. */
function natsOptions({ pingIntervalMs, timeoutMs }: ClientOptions): ConnectionOptions {
  return {
    waitOnFirstConnect: false,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectDelayHandler: () => 100 + Math.random() * 200,
    pingInterval: pingIntervalMs ?? 60_000,
    maxPingOut: 2,
    timeout: timeoutMs ?? 5_000,
    ignoreAuthErrorAbort: false,
  };
}
