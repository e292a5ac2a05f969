/**
 * What has no JSON form: what `JSON.stringify` refuses, and what it would lose
 * without a word. A Map becomes `{}`, NaN becomes null, a function goes.
 *
 * Pure. Two things are taken as everybody expects them: a member that is
 * undefined is left out, and undefined in an array is null.
 */

const TEXT_OR_BYTES = 'read it first, or return bytes with codec "bytes"';
const TEXT = "make it a string";
const BYTES = 'use codec "bytes"';
const AWAIT = "await it";
const FINITE = "use null or a string";
const OWN_CODEC = "use a codec of your own";
const PLAIN = `make it an array or a plain object, or ${OWN_CODEC}`;
const READ = `read it into an array first, such as [...value], or ${OWN_CODEC}`;
const READ_ASYNC = `read it into an array first, such as with "for await", or ${OWN_CODEC}`;
const LEAVE_OUT = `leave it out, or ${OWN_CODEC}`;

/** The longest place that is told, in characters. */
const MAX_PATH_LENGTH = 200;

/** By Object.prototype.toString: what to do with what has no JSON form. */
const ADVICE: Readonly<Record<string, string>> = {
  Map: PLAIN,
  Set: PLAIN,
  WeakMap: PLAIN,
  WeakSet: PLAIN,
  Error: "throw it, or return its message",
  Promise: AWAIT,
  ArrayBuffer: BYTES,
  SharedArrayBuffer: BYTES,
  DataView: BYTES,
  Blob: TEXT_OR_BYTES,
  Response: TEXT_OR_BYTES,
  Request: TEXT_OR_BYTES,
  ReadableStream: TEXT_OR_BYTES,
};

/** Objects that JSON takes for the value inside. */
const BOXES: ReadonlySet<string> = new Set(["Number", "String", "Boolean"]);

/** Why a value has no JSON form, such as "a Map at .rows[2] has no JSON form: …"; undefined when nothing is lost. */
export function jsonLoss(value: unknown): string | undefined {
  // bytes as the whole value are meant as bytes, even where they have a toJSON
  if (ArrayBuffer.isView(value)) return `${withArticle(value)} has no JSON form: ${BYTES}`;
  const lost = isObject(value) ? firstLoss(value, hasOwnForm(value)) : lossOfPrimitive(value);
  if (lost === undefined) return undefined;
  const where = pathTo(value, lost.culprit);
  return `${lost.what}${placeIn(where)} has no JSON form: ${lost.advice}`;
}

/** What makes `JSON.stringify` throw, such as "a BigInt at .rows[2].id has no JSON form: …"; undefined: it is the value's own code, or its depth. */
export function jsonObstacle(value: unknown): string | undefined {
  // the objects around the member that is looked at, and the way to them
  const around: unknown[] = [];
  const steps: string[] = [];
  let found: string | undefined;
  const look = function (this: unknown, key: string, member: unknown): unknown {
    while (around.length > 0 && around.at(-1) !== this) {
      around.pop();
      steps.pop();
    }
    const step = around.length === 0 ? "" : Array.isArray(this) ? `[${key}]` : stepTo(key.slice(0, 64));
    const [what, advice] = obstacle(member, around);
    if (what !== undefined) {
      found = `${what}${placeIn(steps.join("") + step)} has no JSON form: ${advice}`;
      throw new Error("found");
    }
    if (isObject(member)) {
      around.push(member);
      steps.push(step);
    }
    return member;
  };
  try {
    JSON.stringify(value, look);
  } catch {
    // found, or it throws as it did before
  }
  return found;
}

function obstacle(member: unknown, around: readonly unknown[]): readonly [what?: string, advice?: string] {
  if (typeof member === "bigint") return ["a BigInt", TEXT];
  if (!isObject(member)) return [];
  if (ArrayBuffer.isView(member)) return [withArticle(member), BYTES];
  if (tagOf(member) === "BigInt") return ["a BigInt", TEXT];
  return around.includes(member) ? ["a circle", "leave it out"] : [];
}

function placeIn(path: string): string {
  if (path === "") return "";
  return ` at ${path.length > MAX_PATH_LENGTH ? `${path.slice(0, MAX_PATH_LENGTH)}…` : path}`;
}

interface Loss {
  readonly culprit: unknown;
  readonly what: string;
  readonly advice: string;
}

/**
 * Walks without recursion: what JSON.stringify took is finite, but may be deep.
 *
 * @param byItself whether the toJSON of `root` counts; those of the objects inside always do
 */
function firstLoss(root: object, byItself: boolean): Loss | undefined {
  if (byItself) return lossOfForm(root);
  const open: object[] = [root];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    const isArray = Array.isArray(each);
    const loss = isArray ? undefined : lossOfObject(each);
    if (loss !== undefined) return loss;
    for (const inner of isArray ? (each as unknown[]) : Object.values(each)) {
      if (!isObject(inner)) {
        const lost = lossOfPrimitive(inner);
        // JSON takes an object's own toJSON for no member
        if (lost !== undefined && !(hasOwnForm(each) && inner === (each as { toJSON: unknown }).toJSON)) return lost;
      } else if (hasOwnForm(inner)) {
        const lost = lossOfForm(inner);
        if (lost !== undefined) return lost;
      } else open.push(inner);
    }
  }
  return undefined;
}

/** What is lost of what an object's own toJSON gives. */
function lossOfForm(value: object): Loss | undefined {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? lossOf(value, "an invalid date", "check it first") : undefined;
  }
  if (ArrayBuffer.isView(value)) return undefined;
  const form: unknown = (value as { toJSON(key: string): unknown }).toJSON("");
  // what toJSON gives is taken as it is: its own toJSON is not asked
  const lost = isObject(form) ? firstLoss(form, false) : lossOfPrimitive(form);
  return lost && lossOf(value, `${lost.what} that toJSON gives`, lost.advice);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hasOwnForm(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}

function lossOf(culprit: unknown, what: string, advice: string): Loss {
  return { culprit, what, advice };
}

function lossOfPrimitive(value: unknown): Loss | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : lossOf(value, String(value), FINITE);
    case "symbol":
      return lossOf(value, "a symbol", LEAVE_OUT);
    case "function":
      return hasOwnForm(value) ? undefined : lossOf(value, "a function", LEAVE_OUT);
    default:
      return undefined;
  }
}

function lossOfObject(value: object): Loss | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null;
  if (isPlain && isThenable(value)) return lossOf(value, "a promise", AWAIT);
  // or of another realm
  if (isPlain || (Object.getPrototypeOf(prototype) === null && tagOf(value) === "Object")) return lossOfPlain(value);
  const advice = adviceFor(value);
  return advice === undefined ? undefined : lossOf(value, withArticle(value), advice);
}

/** JSON takes no value that an iterator gives. */
function lossOfPlain(value: object): Loss | undefined {
  const advice = iterableAdvice(value);
  return advice === undefined ? undefined : lossOf(value, withArticle(value), advice);
}

function iterableAdvice(value: object): string | undefined {
  if (isIterable(value, Symbol.asyncIterator)) return READ_ASYNC;
  return isIterable(value, Symbol.iterator) ? READ : undefined;
}

function isIterable(value: object, how: typeof Symbol.iterator | typeof Symbol.asyncIterator): boolean {
  return typeof (value as Record<symbol, unknown>)[how] === "function";
}

function isThenable(value: object): boolean {
  return typeof (value as { then?: unknown }).then === "function";
}

function adviceFor(value: object): string | undefined {
  const tag = tagOf(value);
  const known = Object.hasOwn(ADVICE, tag) ? ADVICE[tag] : undefined;
  if (known !== undefined || value instanceof Error) return known ?? ADVICE.Error;
  if (ArrayBuffer.isView(value)) return BYTES;
  if (isThenable(value)) return AWAIT;
  const { pipe, getReader } = value as Record<string, unknown>;
  if (typeof pipe === "function" || typeof getReader === "function") return TEXT_OR_BYTES;
  if (tag === "Number" && !Number.isFinite(Number(value))) return FINITE;
  if (BOXES.has(tag)) return undefined;
  // an object of a class is its public fields, also where it can be iterated over besides
  if (Object.values(value).every(isLeftOut)) return iterableAdvice(value) ?? PLAIN;
  return isIterable(value, Symbol.asyncIterator) ? READ_ASYNC : undefined;
}

/** What JSON leaves out of an object. */
function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === "function" || typeof value === "symbol";
}

/** Such as `.rows[2].when`; "" for the value itself, and where a getter gives another object each time. */
function pathTo(value: unknown, culprit: unknown): string {
  if (Object.is(value, culprit) || typeof value !== "object" || value === null || hasOwnForm(value)) return "";
  for (const [key, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? `[${key}]` : stepTo(key.slice(0, 64));
    if (Object.is(inner, culprit)) return step;
    const rest = pathTo(inner, culprit);
    if (rest !== "") return step + rest;
  }
  return "";
}

function stepTo(key: string): string {
  return /^[\p{L}\p{N}_$-]+$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function withArticle(value: object): string {
  const own: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof own === "string" && /^[\w$]{1,64}$/.test(own) && own !== "Object" ? own : tagOf(value);
  if (name === "Object") return namelessObject(value);
  return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`;
}

/** Its class has no name that says more. */
function namelessObject(value: object): string {
  if (isIterable(value, Symbol.asyncIterator)) return "an async iterable";
  return isIterable(value, Symbol.iterator) ? "an iterable" : "an object that is not plain";
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
