/**
 * What is played against the model and against a real broker: steps as data.
 */

/** How a client of a script connects. */
export interface ClientOptions {
  /** Which broker, counted from 0; default 0. */
  at?: number;
  /** Behind wires of its own, which steps can hold, release and reset. */
  wired?: boolean;
  /** Default 60,000: no ping in a script that does not ask for it. */
  pingIntervalMs?: number;
  /** How long one attempt to connect may take, in milliseconds; default 5,000. */
  timeoutMs?: number;
  /** Bound by the permissions of the script. */
  limited?: boolean;
}

/** How a client of a script subscribes. */
export interface SubscribeOptions {
  queue?: string;
  max?: number;
  /** Its callback unsubscribes when it has got so many. */
  leaveAfter?: number;
}

/** How a client of a script publishes. */
export interface PublishStep {
  payload?: string;
  /** The payload is so many bytes instead. */
  bytes?: number;
  reply?: string;
  header?: string;
  /** Headers by name, besides. */
  headers?: Readonly<Record<string, string>>;
  /** So many times, with the payloads "1", "2" and so on; default once. */
  times?: number;
}

/** One step. Nothing waits but `connect`, `tryConnect`, `await` and `settle`. */
export type Step = ConnectStep | ClientStep | BrokerStep | { readonly do: "settle" };

/** A client connects. */
export interface ConnectStep {
  readonly do: "connect" | "tryConnect";
  readonly client: string;
  readonly options: ClientOptions;
}

/** What a client that is connected does. */
export type ClientStep =
  | {
      readonly do: "subscribe";
      readonly client: string;
      readonly name: string;
      readonly subject: string;
      readonly options: SubscribeOptions;
    }
  | { readonly do: "publish"; readonly client: string; readonly subject: string; readonly options: PublishStep }
  | { readonly do: "unsubscribe" | "drain"; readonly client: string; readonly name: string }
  | ({ readonly do: "ask"; readonly client: string } & Question)
  | {
      readonly do: "respond";
      readonly client: string;
      readonly name: string;
      readonly payload: string;
      readonly reply?: string;
    }
  | { readonly do: "flush" | "reconnect" | "close" | "info"; readonly client: string }
  | { readonly do: "hold" | "release" | "reset"; readonly client: string }
  | { readonly do: "await"; readonly client: string; readonly line: string };

/** A request, and what of its answer is logged. */
export interface Question {
  readonly subject: string;
  readonly payload: string | object;
  readonly headers?: Readonly<Record<string, string>>;
  /** Fields of an answer in JSON, such as "state.messages"; none for what is no JSON. */
  readonly see: readonly string[];
}

/** What happens to brokers. */
export type BrokerStep =
  | { readonly do: "kill" | "pause" | "resume" | "lameDuck"; readonly broker: number }
  | { readonly do: "permit"; readonly permissions: ScriptPermissions }
  | { readonly do: "start"; readonly broker: number; readonly maxPayload?: number }
  | { readonly do: "addStream" | "removeStream"; readonly name: string; readonly subjects: readonly string[] };

/** Lines that each client has seen, by its name, in order. */
export type Log = Readonly<Record<string, readonly string[]>>;

/** What a limited client may do. */
export interface ScriptPermissions {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

/** A script. */
export interface Script {
  /** The promise, in the present tense. */
  readonly title: string;
  /** How many brokers; more than one are a cluster. Default 1. */
  readonly brokers?: number;
  readonly maxPayload?: number;
  /** The model has JetStream, as real brokers do; default false. */
  readonly jetStream?: boolean;
  /** How long a lame duck waits before it closes its clients, in milliseconds; default 20,000. */
  readonly graceMs?: number;
  /** What a limited client may do. */
  readonly permissions?: ScriptPermissions;
  readonly steps: readonly Step[];
  /** The version of nats-server that does so first; default all of them. */
  readonly since?: readonly [major: number, minor: number];
  /** What of the log is compared; default the whole of it. */
  readonly view?: (log: Log) => unknown;
}

/** Opens a connection; its status is part of the log from then on. */
export function connect(client: string, options: ClientOptions = {}): Step {
  return { do: "connect", client, options };
}

/** Tries once; logs "connected" or "no connection". */
export function tryConnect(client: string, options: ClientOptions = {}): Step {
  return { do: "tryConnect", client, options };
}

/** Subscribes under a name of the script, which stands before what comes. */
export function subscribe(client: string, name: string, subject: string, options: SubscribeOptions = {}): Step {
  return { do: "subscribe", client, name, subject, options };
}

/** Publishes once, or several times in one turn. */
export function publish(client: string, subject: string, options: PublishStep = {}): Step {
  return { do: "publish", client, subject, options };
}

/** Asks, and logs what is answered. */
export function ask(client: string, question: Question): Step {
  return { do: "ask", client, ...question };
}

/** Answers the message that came last to a subscription. @param reply where the answer is answered */
export function respond(client: string, name: string, payload: string, reply?: string): Step {
  return { do: "respond", client, name, payload, ...(reply === undefined ? {} : { reply }) };
}

/** Ends a subscription. */
export function unsubscribe(client: string, name: string): Step {
  return { do: "unsubscribe", client, name };
}

/** Begins to drain a subscription; logs its end. */
export function drain(client: string, name: string): Step {
  return { do: "drain", client, name };
}

/** Begins a flush; logs its end. */
export function flush(client: string): Step {
  return { do: "flush", client };
}

/** Forces a new connection; logs that the call has ended. */
export function reconnect(client: string): Step {
  return { do: "reconnect", client };
}

/** Closes a connection; logs its end. */
export function close(client: string): Step {
  return { do: "close", client };
}

/** Logs the broker's limit and the URLs that it told. */
export function info(client: string): Step {
  return { do: "info", client };
}

/** Does something to a client's wires. */
export function wires(client: string, what: "hold" | "release" | "reset"): Step {
  return { do: what, client };
}

/** Does something to a broker. */
export function broker(number: number, what: "kill" | "pause" | "resume" | "lameDuck"): Step {
  return { do: what, broker: number };
}

/** Runs a killed broker again. */
export function start(number: number, maxPayload?: number): Step {
  return { do: "start", broker: number, ...(maxPayload === undefined ? {} : { maxPayload }) };
}

/** Adds a JetStream stream. */
export function addStream(name: string, subjects: readonly string[]): Step {
  return { do: "addStream", name, subjects };
}

/** Changes what limited clients may do. */
export function permit(permissions: ScriptPermissions): Step {
  return { do: "permit", permissions };
}

/** Removes a JetStream stream. */
export function removeStream(name: string): Step {
  return { do: "removeStream", name, subjects: [] };
}

/** Waits until a client has seen this line. */
export function until(client: string, line: string): Step {
  return { do: "await", client, line };
}

/** Waits until nothing more comes; the logs are compared then. */
export const settle: Step = { do: "settle" };

/** View: what came to each subscription, in order. Which of two on one connection is first, is the broker's choice. */
export function bySubscription(log: Log): Record<string, readonly string[]> {
  const lines = new Map<string, string[]>();
  for (const [client, seen] of Object.entries(log)) {
    for (const line of seen) {
      const name = /^\S+(?=: )/.exec(line)?.[0] ?? client;
      lines.set(name, [...(lines.get(name) ?? []), line]);
    }
  }
  return Object.fromEntries(lines);
}

/** View: what came to anybody, whoever got it. */
export function together(log: Log): readonly string[] {
  const withoutName = (line: string): string => line.replace(/^\S+: /, "");
  return Object.values(log).flat().map(withoutName).sort();
}

/** View: who got which share of all messages, when it is as expected within a quarter; else the share itself. */
export function shares(expected: Readonly<Record<string, number>>): (log: Log) => Record<string, string> {
  return (log) => {
    const names = Object.values(log)
      .flat()
      .filter((line) => /^\S+: /.test(line))
      .map((line) => line.split(":")[0] ?? "");
    const entries = Object.entries(expected).map(([name, share]) => {
      const seen = names.filter((each) => each === name).length / names.length;
      return [name, Math.abs(seen - share) < share / 4 ? `about ${share.toFixed(2)}` : seen.toFixed(2)];
    });
    return Object.fromEntries(entries) as Record<string, string>;
  };
}
