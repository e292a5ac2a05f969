/** A connection to a broker that publishes header blocks as they are, malformed ones too. */
import { connect, type Socket } from "node:net";
import { cleanUp, type Owner } from "../clean-up.js";
import type { FuzzMessage } from "./fuzz-messages.js";

export class RawNats {
  readonly #socket: Socket;
  #said = "";
  #closed = false;
  #onPong: (() => void)[] = [];

  /** @param login of the CONNECT message */
  constructor(t: Owner, url: string, login: Readonly<Record<string, unknown>>) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#pong();
    });
    this.#socket.on("data", (chunk: Buffer) => this.#hear(chunk.toString("latin1")));
    this.#socket.write(
      `CONNECT ${JSON.stringify({ verbose: false, headers: true, no_responders: false, ...login })}\r\n`,
    );
    cleanUp(t, () => this.#socket.destroy());
  }

  /** What the broker said against it; "" for nothing. */
  get refused(): string {
    return /-ERR .*/.exec(this.#said)?.[0] ?? (this.#closed ? "closed" : "");
  }

  publish({ subject, reply, headers, payload }: FuzzMessage): void {
    const to = reply === "" ? subject : `${subject} ${reply}`;
    if (headers === undefined) this.#socket.write(`PUB ${to} ${payload.length}\r\n`);
    else this.#socket.write(`HPUB ${to} ${headers.length} ${headers.length + payload.length}\r\n`);
    if (headers !== undefined) this.#socket.write(headers);
    this.#socket.write(payload);
    this.#socket.write("\r\n");
  }

  /** A round trip to the broker. */
  async flush(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#onPong.push(resolve);
      this.#socket.write("PING\r\n");
    });
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-4_096);
    if (text.includes("PING\r\n")) this.#socket.write("PONG\r\n");
    if (text.includes("PONG\r\n")) this.#pong();
  }

  #pong(): void {
    for (const resolve of this.#onPong.splice(0)) resolve();
  }
}
