/** A handler that throws, rejects, returns or reports a random value; the payload is the seed of it. */
import type { Job } from "../../../index.js";
import { FuzzDraw, seededRandom } from "../random.js";

const DEEPEST = 4;
const KEYS = ["message", "name", "stack", "cause", "code", "then", "toJSON", "errors", "length", "constructor", "a"];
const LEAVES: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => -0,
  () => 10n ** 400n,
  () => Symbol("s"),
  () => "\ud800\u0000\r\n\u001b[2J",
  () => "x".repeat(100_000),
  () => "postgres://bob:hunter2@db/1",
  () => new Date(Number.NaN),
  () => new Uint8Array(3),
  () => new Map([[1, 2]]),
  () => new WeakMap(),
  () => /x/,
  () => () => 1,
  () => (function* () {})(),
  () => new Proxy({}, { get: fail, has: fail, getPrototypeOf: fail, ownKeys: fail }),
  () => new Proxy(() => 1, { apply: fail, get: fail }),
  () => Object.create(null),
  () => new Response("x"),
];

function fail(): never {
  throw new Error("from a trap");
}

class Values {
  readonly #draw: FuzzDraw;

  constructor(draw: FuzzDraw) {
    this.#draw = draw;
  }

  next(depth = 0): unknown {
    const kind = depth >= DEEPEST ? 0 : this.#draw.whole(7);
    if (kind < 2) return this.#draw.pick(LEAVES)();
    if (kind === 2) return Array.from({ length: this.#draw.whole(4) }, () => this.next(depth + 1));
    if (kind === 3) return this.#adorn({}, depth);
    if (kind === 4) return this.#adorn(new (this.#draw.pick([Error, TypeError, RangeError]))("m"), depth);
    if (kind === 5) return this.#adorn(() => 1, depth);
    return this.#adorn(new (class extends Array {})(), depth);
  }

  /** A few properties, some of them getters that throw; now and then it is frozen, or in a circle. */
  #adorn(object: object, depth: number): object {
    for (let i = this.#draw.whole(4); i > 0; i -= 1) {
      const drawn = this.#draw.whole(6) === 0 ? object : this.next(depth + 1);
      const key = this.#draw.pick(KEYS);
      // one that never calls back is a handler that hangs, which is another test
      const value =
        key === "then" && typeof drawn === "function" ? (onValue: (it: unknown) => void) => onValue(1) : drawn;
      const property = this.#draw.whole(4) === 0 ? { get: fail } : { value, writable: true };
      Reflect.defineProperty(object, key, { ...property, enumerable: true, configurable: true });
    }
    return this.#draw.whole(8) === 0 ? Object.freeze(object) : object;
  }
}

export function run(job: Job): unknown {
  const seed = job.payload as number | "beside";
  if (seed === "beside") return seed;
  const draw = new FuzzDraw(seededRandom(seed));
  const how = draw.whole(4);
  const value = new Values(draw).next();
  if (how === 0) throw value;
  if (how === 1) return value;
  if (how === 2) return Promise.reject(value);
  job.progress(value);
  return 1;
}
