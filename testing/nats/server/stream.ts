/**
 * A JetStream stream, as far as others see it: it acknowledges what it captures.
 */
import type { World } from "../../sim/world.js";
import { type Message, plainMessage } from "../wire/commands.js";
import type { Subscriber } from "./route.js";
import type { Router } from "./router.js";
import { SubjectPattern } from "./subject-match.js";

/** How long a stream takes to store a message, in milliseconds. */
const STORE_MS = 0.2;

/** Subject of the request for the names of streams. */
const NAMES_SUBJECT = "$JS.API.STREAM.NAMES";

/** Where a stream listens and answers. */
export type StreamHost = Pick<Router, "add" | "remove" | "route">;

/** One stream. */
export class Stream {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly #world: World;
  #subscribers: Subscriber[] = [];
  #host: StreamHost | undefined;
  #sequence = 0;

  constructor(world: World, name: string, subjects: readonly string[]) {
    this.#world = world;
    this.name = name;
    this.subjects = subjects;
  }

  /** Listens at a broker from now on. What it stored before is still counted. */
  attach(host: StreamHost): void {
    this.detach();
    this.#host = host;
    this.#subscribers = this.subjects.map((subject) => ({
      subject,
      queue: undefined,
      deliver: (message) => this.#store(host, message),
    }));
    for (const each of this.#subscribers) host.add(each);
  }

  /** Listens no more. */
  detach(): void {
    for (const each of this.#subscribers) this.#host?.remove(each);
    this.#subscribers = [];
    this.#host = undefined;
  }

  /** Forgets where it listened, since that is gone. */
  lose(): void {
    this.#subscribers = [];
    this.#host = undefined;
  }

  /** Whether it captures some subject of this pattern. */
  covers(pattern: string): boolean {
    const wanted = new SubjectPattern(pattern);
    return this.subjects.some((each) => new SubjectPattern(each).overlaps(wanted));
  }

  #store(host: StreamHost, { reply }: Message): boolean {
    this.#sequence += 1;
    if (reply === "") return true;
    const text = JSON.stringify({ stream: this.name, seq: this.#sequence });
    this.#answer(host, reply, text);
    return true;
  }

  #answer(host: StreamHost, reply: string, text: string): void {
    const ack = plainMessage(reply, "", Buffer.from(text));
    this.#world.at(this.#world.now() + STORE_MS, () => this.#host === host && host.route(ack));
  }
}

/** The part of JetStream's API that says which streams capture a subject. */
export class StreamNames {
  readonly #streams: () => Iterable<Pick<Stream, "name" | "covers">>;

  constructor(streams: () => Iterable<Pick<Stream, "name" | "covers">>) {
    this.#streams = streams;
  }

  attach(host: StreamHost): void {
    host.add({
      subject: NAMES_SUBJECT,
      queue: undefined,
      deliver: (request) => this.#answer(host, request),
    });
  }

  #answer(host: StreamHost, { reply, bytes, headerBytes }: Message): boolean {
    if (reply === "") return true;
    const { subject = ">" } = JSON.parse(Buffer.from(bytes.subarray(headerBytes)).toString() || "{}") as {
      subject?: string;
    };
    const streams = [...this.#streams()].filter((each) => each.covers(subject)).map((each) => each.name);
    host.route(plainMessage(reply, "", Buffer.from(JSON.stringify({ streams }))));
    return true;
  }
}
