/** The brokers that a client knows, in the order in which it tries them; nats.js' own rules. */
import type { Info } from "../wire/commands.js";

/** A broker as a client knows it. */
export interface KnownServer {
  readonly name: string;
  /** Whether a broker told of it; such a one is forgotten when no broker tells of it any more. */
  readonly gossiped: boolean;
  /** Wall clock of the last attempt; 0 before the first. */
  lastTriedAtMs: number;
}

/** Known brokers of one connection. */
export class ServerList {
  #servers: KnownServer[];
  #current: KnownServer;
  #isFirst = true;

  /**
   * @param names at least one
   * @param random for their order
   */
  constructor(names: readonly string[], random: () => number) {
    this.#servers = shuffled(names, random).map((name) => ({ name, gossiped: false, lastTriedAtMs: 0 }));
    this.#current = this.#servers[0] as KnownServer;
  }

  get current(): KnownServer {
    return this.#current;
  }

  /** The next one to try. */
  next(): KnownServer {
    if (this.#isFirst) {
      this.#isFirst = false;
      return this.#current;
    }
    const server = this.#servers.shift();
    if (server === undefined) return this.#current;
    this.#servers.push(server);
    this.#current = server;
    return server;
  }

  /** Takes the brokers that INFO names; says which are new and which are gone. */
  update({ connect_urls: names = [] }: Info): { added: string[]; deleted: string[] } {
    const reported = new Set(names);
    const gone = (server: KnownServer): boolean =>
      server.gossiped && server.name !== this.#current.name && !reported.has(server.name);
    const deleted = this.#servers.filter(gone).map((server) => server.name);
    const known = new Set(this.#servers.map((server) => server.name));
    const added = [...reported].filter((name) => !known.has(name));
    this.#servers = this.#servers.filter((server) => !gone(server));
    for (const name of added) this.#servers.push({ name, gossiped: true, lastTriedAtMs: 0 });
    return { added, deleted };
  }
}

function shuffled(names: readonly string[], random: () => number): string[] {
  const result = [...names];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as string, result[i] as string];
  }
  return result;
}
