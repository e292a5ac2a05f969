/** One wildcard inbox for all answers to a connection: each has a counted token as the end of its subject. */
import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";

export class CountedInbox {
  /** Ends with a dot; a token follows it. */
  readonly prefix = `${createInbox()}.`;
  readonly #waiting = new Map<string, (answer: Msg) => void>();
  #counter = 0;

  constructor(nc: NatsConnection) {
    nc.subscribe(`${this.prefix}*`, {
      callback: (_error, msg) => {
        const token = msg.subject.slice(this.prefix.length);
        const onAnswer = this.#waiting.get(token);
        this.#waiting.delete(token);
        onAnswer?.(msg);
      },
    });
  }

  /** A new token, whose one answer `onAnswer` hears. */
  take(onAnswer: (answer: Msg) => void): string {
    this.#counter += 1;
    const token = this.#counter.toString(36);
    this.#waiting.set(token, onAnswer);
    return token;
  }
}
