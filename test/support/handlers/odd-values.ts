/**
 * A handler that throws, returns, reports or encodes what no sane handler would:
 * the payload names which.
 */

import { type Job, PermanentError } from "../../../index.js";
import { PoolError } from "../../../mesh/errors.js";
import { type Codec, json } from "../../../mesh/job/codec.js";

const lazy = (get: () => unknown): object => Object.defineProperty({}, "message", { get });
const withMessage = (message: unknown): Error => Object.assign(new Error("x"), { message });
const THEN = String("then");
const withThen = (then: unknown, base: object = {}): object => Object.defineProperty(base, THEN, { value: then });
const fail = (): never => {
  throw new Error("from a getter");
};

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Every trap throws. */
function hostile(): object {
  return new Proxy(
    {},
    { get: fail, has: fail, getPrototypeOf: fail, ownKeys: fail, getOwnPropertyDescriptor: fail, set: fail },
  );
}

class GoneForGood extends PermanentError {
  override readonly name = "GoneForGood";
}

/** What can be thrown, and what the outcome must be. */
export const THROWN: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
  "a message that is a list": [() => withMessage(["a"]), /^job_failed: \["a"\]$/],
  "a message that is an object": [() => withMessage({ a: 1 }), /^job_failed: \{"a":1\}$/],
  "a message that is a number": [() => withMessage(7), /^job_failed: 7$/],
  "a message that is a symbol": [() => withMessage(Symbol("s")), /^job_failed: Symbol\(s\)$/],
  "a message that is a proxy": [() => withMessage(hostile()), /^job_failed: an object$/],
  "a message that throws": [() => lazy(fail), /^job_failed: the handler threw an object/],
  "a name that throws": [() => Object.defineProperty(new Error(""), "name", { get: fail }), /^job_failed: Error$/],
  "a stack that throws": [() => Object.defineProperty(new Error("s"), "stack", { get: fail }), /^job_failed: s$/],
  "a code that throws": [() => Object.defineProperty(new Error("c"), "code", { get: fail }), /^job_failed: c$/],
  "a cause that is itself": [
    () => {
      const error = new Error("round");
      error.cause = error;
      return error;
    },
    /^job_failed: round$/,
  ],
  "a cause that throws": [() => Object.defineProperty(new Error("c"), "cause", { get: fail }), /^job_failed: c$/],
  "a revoked proxy": [revoked, /^job_failed: the handler threw an object$/],
  "a hostile proxy": [hostile, /^job_failed: the handler threw an object$/],
  "an object with code and message": [() => ({ code: "E7", message: "seven" }), /^job_failed: seven$/],
  "an object": [() => ({ status: 503 }), /^job_failed: the handler threw \{"status":503\}$/],
  "a Response": [() => new Response("x"), /^job_failed: the handler threw an object of Response$/],
  "a function": [() => () => 1, /^job_failed: the handler threw a function$/],
  "a symbol": [() => Symbol("s"), /^job_failed: the handler threw Symbol\(s\)$/],
  "a bigint": [() => 7n, /^job_failed: the handler threw 7$/],
  undefined: [() => undefined, /^job_failed: the handler threw undefined$/],
  "an object without prototype": [() => Object.create(null), /^job_failed: the handler threw an object$/],
  "an error of ours": [() => new PoolError("unauthenticated", "inner"), /^job_failed: inner$/],
  "an aggregate": [() => new AggregateError([new Error("first"), "b"], "none"), /^job_failed: none \(cause: first\)$/],
  "an error with a cause": [
    () => new Error("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:9") }),
    /^job_failed: fetch failed \(cause: connect ECONNREFUSED 127\.0\.0\.1:9\)$/,
  ],
  "a subclass of PermanentError": [() => new GoneForGood("gone"), /^job_rejected: gone$/],
  "a foreign PermanentError": [() => Object.assign(new Error("f"), { name: "PermanentError" }), /^job_rejected: f$/],
  "control characters": [() => new Error("a\r\nPool-Reply: result"), /^job_failed: a Pool-Reply: result$/],
  "a message of ten million characters": [() => new Error("x".repeat(10_000_000)), /^job_failed: x{511}…$/],
};

/** What can be returned, and what the outcome must be. */
export const RETURNED: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
  "a revoked proxy": [revoked, /^job_failed: /],
  "a hostile proxy": [hostile, /^job_failed: from a getter$/],
  "a then that throws": [
    () =>
      Object.defineProperty({}, THEN, {
        get: fail,
      }),
    /^job_failed: from a getter$/,
  ],
  "a then that throws when called": [() => withThen(fail), /^job_failed: from a getter$/],
  "a then that calls back twice": [
    () =>
      withThen((ok: (value: unknown) => void, no: (error: unknown) => void) => {
        ok(1);
        no(new Error("late"));
        fail();
      }),
    /^1$/,
  ],
  "a promise whose then throws": [() => withThen(fail, Promise.resolve(1)), /^job_failed: from a getter$/],
  "a promise of a proxy": [async () => [hostile()], /^job_failed: result: /],
  "a rejection with a proxy": [() => Promise.reject(hostile()), /^job_failed: the handler threw an object$/],
  "a toJSON that throws": [() => ({ toJSON: fail }), /^job_failed: result: not valid json: from a getter$/],
  "a getter that throws": [() => Object.defineProperty({}, "a", { get: fail, enumerable: true }), /from a getter$/],
  "a bigint": [() => ({ n: 1n }), /^job_failed: result: a BigInt at \.n has no JSON form: make it a string$/],
  "a circle": [
    () => {
      const circle: Record<string, unknown> = {};
      circle.self = circle;
      return circle;
    },
    /^job_failed: result: a circle at \.self has no JSON form: leave it out$/,
  ],
  "a Map": [() => new Map(), /^job_failed: result: a Map has no JSON form/],
  "a stream": [() => new ReadableStream(), /^job_failed: result: a ReadableStream has no JSON form.*codec "bytes"$/],
  "a generator": [() => (function* () {})(), /^job_failed: result: a Generator has no JSON form/],
  "a function": [() => () => 1, /^job_failed: result: a function has no JSON form: leave it out, or use a codec/],
  "a function inside": [
    () => ({ ok: true, items: [1, 2, 3, { fn: () => 1 }] }),
    /^job_failed: result: a function at \.items\[3\]\.fn has no JSON form: /,
  ],
  "a symbol inside": [() => [{ kind: Symbol("s") }], /^job_failed: result: a symbol at \[0\]\.kind has no JSON form: /],
  "a Map inside": [() => ({ rows: [new Map([[1, 2]])] }), /^job_failed: result: a Map at \.rows\[0\] has no JSON form/],
  "a toJSON that gives a Map": [() => ({ toJSON: () => new Map() }), /^job_failed: result: a Map that toJSON gives/],
  "an Error": [() => new Error("no"), /^job_failed: result: an Error has no JSON form/],
  "a depth of 100,000": [
    () => {
      let deep: unknown = 1;
      for (let i = 0; i < 100_000; i += 1) deep = [deep];
      return deep;
    },
    /^job_failed: result: the value is nested too deeply for JSON: make it flatter$/,
  ],
};

/** What a codec's encode can give for a result, and what the outcome must be. */
export const ENCODED: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
  undefined: [() => undefined, /^job_failed: result: the codec's encode gave no Uint8Array$/],
  text: [() => "text", /^job_failed: result: the codec's encode gave no Uint8Array$/],
  "a list": [() => [1], /^job_failed: result: the codec's encode gave no Uint8Array$/],
  "a proxy": [hostile, /^job_failed: result: the codec's encode gave no Uint8Array$/],
  "a promise that rejects": [
    () => Promise.reject(new Error("late")),
    /^job_failed: result: .* it must be synchronous$/,
  ],
  "an exception": [fail, /^job_failed: result: from a getter$/],
  "a hostile exception": [
    () => {
      throw hostile();
    },
    /^job_failed: result: /,
  ],
  "bytes with a length of their own": [
    () => {
      class Odd extends Uint8Array {
        override get length(): number {
          return fail();
        }
      }
      return new Odd([0x68, 0x69]);
    },
    /^hi$/,
  ],
};

interface Order {
  readonly do: "throw" | "reject" | "return" | "encode" | "progress" | "beside";
  readonly what: string;
}

let encode: (() => unknown) | undefined;

export const codec: Codec = {
  ...json,
  encode: (value) => {
    const odd = encode;
    encode = undefined;
    return odd === undefined ? json.encode(value) : (odd() as Uint8Array);
  },
};

export function run(job: Job): unknown {
  const { do: how, what } = job.payload as Order;
  if (how === "beside") return job.payload;
  const make = { throw: THROWN, reject: THROWN, return: RETURNED, encode: ENCODED, progress: ENCODED }[how][what]?.[0];
  if (make === undefined) return `unknown: ${what}`;
  if (how === "return") return make();
  if (how === "throw") throw make();
  if (how === "reject") return Promise.reject(make());
  encode = make;
  if (how === "encode") return 1;
  try {
    job.progress(1);
    return "hi";
  } catch {
    return "refused";
  }
}
