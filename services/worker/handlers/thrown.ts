/**
 * What a thrown value says: its message, code, stack and causes, as bounded text.
 *
 * Pure. Anything can be thrown: a string, a plain object, an object whose getters
 * throw, a revoked Proxy. So every property is read under a guard, and what comes
 * out of here is text.
 */
import { isJobCode, isPermanent, isReason, withoutUrlUsers } from "../../../mesh/errors.js";
import { attempt, isA } from "../../../mesh/thrown.js";

/** What is known of a thrown value. Only text, so that it crosses to another thread or process. */
export interface Thrown {
  /** Whether it was a PermanentError: the job will never succeed. */
  readonly permanent: boolean;
  /** For the caller: the message with those of its causes. Not yet checked for paths. */
  readonly message: string;
  /** The handler's own code for it, when it is one (see isJobCode). */
  readonly code: string | undefined;
  /** For the log: name, message and frames. */
  readonly stack: string | undefined;
  /** For the log: the stacks of the causes, the nearest first. */
  readonly cause: string | undefined;
}

const MAX_CAUSES = 5;
const MAX_TOLD_CAUSES = 2;
const MAX_STACK_LENGTH = 8_192;
const MAX_SHOWN_LENGTH = 200;
const MAX_MESSAGE_READ = 4_096;

/** Reads a thrown value; never throws. */
export function readThrown(thrown: unknown): Thrown {
  const causes = causesOf(thrown);
  const stacks = causes.map((each) => stackOf(each) ?? messageOf(each) ?? shown(each));
  return {
    permanent: attempt(() => isPermanent(thrown)) ?? false,
    message: withoutUrlUsers(toldMessage(thrown, causes)),
    code: codeOf(thrown),
    stack: stackOf(thrown),
    cause: stacks.length === 0 ? undefined : withoutUrlUsers(stacks.join("\n")).slice(0, MAX_STACK_LENGTH),
  };
}

/** "fetch failed (cause: connect ECONNREFUSED 127.0.0.1:80)": a cause is told unless the message has it already. */
function toldMessage(thrown: unknown, causes: readonly unknown[]): string {
  let told = messageOf(thrown) ?? `the handler threw ${shown(thrown)}`;
  for (const cause of causes.slice(0, MAX_TOLD_CAUSES)) {
    const message = messageOf(cause) ?? shown(cause);
    if (!told.includes(message)) told += ` (cause: ${message})`;
  }
  return told.slice(0, MAX_MESSAGE_READ);
}

/** The message of an error or of an object that has one; an error without one is told by its name. */
function messageOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const message = read(value, "message");
  if (typeof message === "string" && message.trim() !== "") return message.slice(0, MAX_MESSAGE_READ);
  if (message !== undefined && message !== "" && typeof message !== "string") return shown(message);
  if (!isA(value, Error)) return undefined;
  const name = read(value, "name");
  return typeof name === "string" && name !== "" ? name.slice(0, MAX_SHOWN_LENGTH) : "Error";
}

/** The chain of `cause`, and the `errors` of an AggregateError. */
function causesOf(thrown: unknown): unknown[] {
  const found: unknown[] = [];
  for (let each = thrown; isObject(each) && found.length < MAX_CAUSES; ) {
    const errors = attempt(() => firstOf(read(each as object, "errors") as Iterable<unknown>)) ?? [];
    found.push(...errors.filter((inner) => isObject(inner) && messageOf(inner) !== undefined));
    const next: unknown = read(each, "cause");
    if (next === undefined || next === null || next === thrown || found.includes(next)) break;
    found.push(next);
    each = next;
  }
  return found.slice(0, MAX_CAUSES);
}

/** There may be a million of them, or no end. */
function firstOf(values: Iterable<unknown>): unknown[] {
  const first: unknown[] = [];
  for (const each of values) {
    if (first.length === MAX_CAUSES) break;
    first.push(each);
  }
  return first;
}

function codeOf(thrown: unknown): string | undefined {
  if (!isObject(thrown)) return undefined;
  const own = [read(thrown, "jobCode"), read(thrown, "code")].find(isJobCode);
  if (own !== undefined || read(thrown, "name") !== "PoolError") return own;
  // an error of ours, such as that of a job which the handler submitted itself
  const reason = read(thrown, "reason");
  return typeof reason === "string" && isReason(reason) ? reason : undefined;
}

function stackOf(value: unknown): string | undefined {
  const stack = isObject(value) ? read(value, "stack") : undefined;
  return typeof stack === "string" && stack !== ""
    ? withoutUrlUsers(stack.slice(0, 2 * MAX_STACK_LENGTH)).slice(0, MAX_STACK_LENGTH)
    : undefined;
}

/** A value as a person would write it, such as `"text"`, `7`, `{"status":503}` or `a Response`. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MAX_SHOWN_LENGTH));
  if (typeof value === "function") return "a function";
  if (!isObject(value)) return String(value).slice(0, MAX_SHOWN_LENGTH);
  const written = attempt(() => JSON.stringify(value));
  if (typeof written === "string" && written !== "{}") return written.slice(0, MAX_SHOWN_LENGTH);
  const name = attempt(() => (value as { constructor: { name: unknown } }).constructor.name);
  return typeof name === "string" && /^[\w$]{1,64}$/.test(name) ? `an object of ${name}` : "an object";
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function read(value: object, key: string): unknown {
  return attempt(() => (value as Record<string, unknown>)[key]);
}

/**
 * Where it was thrown, such as " (at /app/handler.ts:3:7)": the first line of the stack that names a file, unless the
 * message names one.
 */
export function placeOf(message: string, stack: string | undefined): string {
  if (/[\\/][^\s:]+:\d+/.test(message)) return "";
  for (const line of stack?.split("\n") ?? []) {
    const place = /(?:^|\(|at )(?:file:\/\/)?((?:\/|[A-Za-z]:[\\/])[^():]*:\d+(?::\d+)?)\)?$/.exec(line.trim())?.[1];
    if (place !== undefined && !/[\\/]node_modules[\\/]/.test(place)) return ` (at ${place})`;
  }
  return "";
}
