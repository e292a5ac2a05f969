/**
 * A TCP proxy that does what bad networks do, per direction: pause, drop,
 * delay, cut after some bytes, reset.
 */
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { Lifecycle } from "../../../mesh/process/lifecycle.js";
import { DelayQueue } from "./delay-queue.js";

/** What happens to bytes that go one way. */
export interface Way {
  /** pass: carried. pause: left unread, so that the sender's buffers fill. drop: read and thrown away. */
  mode: "pass" | "pause" | "drop";
  /** Time that each byte is held back, in milliseconds. */
  delayMs: number;
  /** Connections are reset once this many more bytes have gone this way. */
  cutAfterBytes: number;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

const PASS: Way = { mode: "pass", delayMs: 0, cutAfterBytes: Number.POSITIVE_INFINITY };

/** Stands between clients and a server on loopback. Start it, point clients to `url`, then change its ways. */
export class TcpProxy extends Lifecycle {
  readonly #target: URL;
  readonly #links = new Set<Link>();
  readonly #toServer: Way = { ...PASS };
  readonly #toClient: Way = { ...PASS };
  readonly #queues = new Set<DelayQueue>();
  #server: Server | undefined;
  #listening: Promise<void> | undefined;
  #refusing = false;

  /** @param url of the server, such as a broker's "nats://127.0.0.1:4222" */
  constructor(url: string) {
    super();
    this.#target = new URL(url);
  }

  /** The address for clients, with the target's scheme. */
  get url(): string {
    const address = this.#server?.address();
    if (address === null || typeof address !== "object") throw new Error("the proxy is not started");
    return `${this.#target.protocol}//127.0.0.1:${address.port}`;
  }

  /** How many connections it carries. */
  get connections(): number {
    return this.#links.size;
  }

  /** Changes what happens to bytes on their way, of connections old and new. */
  set(direction: "to-server" | "to-client" | "both", way: Partial<Way>): void {
    if (direction !== "to-client") Object.assign(this.#toServer, way);
    if (direction !== "to-server") Object.assign(this.#toClient, way);
    for (const link of this.#links) this.#applyPause(link);
  }

  /** Everything passes again; what was paused goes on. */
  heal(): void {
    this.#refusing = false;
    this.set("both", PASS);
  }

  /** Resets every connection; with `refuse` new ones too, until {@link heal}. */
  reset(options: { refuse?: boolean } = {}): void {
    this.#refusing = options.refuse ?? this.#refusing;
    for (const link of this.#links) resetLink(link);
  }

  protected async onStart(): Promise<void> {
    const server = createServer((client) => this.#onClient(client));
    this.#server = server;
    this.#listening = new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    await this.#listening;
  }

  protected async onStop(): Promise<void> {
    for (const queue of this.#queues) queue.stop();
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    await this.#listening?.catch(() => undefined);
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #onClient(client: Socket): void {
    client.on("error", () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = dial(Number(this.#target.port), this.#target.hostname);
    server.on("error", () => undefined);
    const link = { client, server };
    this.#links.add(link);
    this.#carry(link, client, server, this.#toServer);
    this.#carry(link, server, client, this.#toClient);
    this.#applyPause(link);
  }

  #carry(link: Link, from: Socket, to: Socket, way: Way): void {
    const queue = new DelayQueue();
    this.#queues.add(queue);
    const inOrder = (act: () => void): void => queue.push(way.delayMs, act);
    from.on("data", (bytes) => {
      if (way.mode === "drop") return;
      inOrder(() => this.#forward(link, to, way, bytes));
    });
    from.once("end", () => inOrder(() => to.end()));
    from.once("close", () => {
      this.#links.delete(link);
      inOrder(() => {
        to.destroy();
        this.#queues.delete(queue);
      });
    });
  }

  #forward(link: Link, to: Socket, way: Way, bytes: Buffer): void {
    const passed = bytes.subarray(0, way.cutAfterBytes);
    way.cutAfterBytes -= passed.length;
    if (way.cutAfterBytes > 0) {
      to.write(passed);
      return;
    }
    to.write(passed, () => resetLink(link));
    way.cutAfterBytes = Number.POSITIVE_INFINITY;
  }

  #applyPause({ client, server }: Link): void {
    if (this.#toServer.mode === "pause") client.pause();
    else client.resume();
    if (this.#toClient.mode === "pause") server.pause();
    else server.resume();
  }
}

function resetLink({ client, server }: Link): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}
