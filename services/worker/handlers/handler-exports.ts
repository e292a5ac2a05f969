/**
 * What a handler file exports, found and checked: `run` or a default export, and
 * perhaps `pool` (the definition of a typed pool), `middleware`, `codec`, `setup` and `teardown`.
 *
 * Pure. Functions are called on the object that exports them, so that
 * `export default new Handler()` finds its `this`.
 */
import { PoolError } from "../../../mesh/errors.js";
import { CODECS, type Codec, json } from "../../../mesh/job/codec.js";
import { isPoolDefinition } from "../../../mesh/job/pool-definition.js";
import { type JobMiddleware, readMiddleware, withMiddleware } from "./around/job-middleware.js";
import { typedHandler } from "./around/typed-handler.js";
import type { CodecPair, Handler } from "./handler.js";
import type { HandlerContext, LoadedHandler } from "./loaded-handler.js";

/** What may name a codec: one of ours by name, a codec, or one for each direction. */
export type CodecChoice = string | Codec | CodecPair;

type Exports = Readonly<Record<string, unknown>>;
type AnyFunction = (...args: never[]) => unknown;

/**
 * The handler among a module's exports.
 *
 * @param module the module's namespace
 * @param shown the file's name, for messages
 * @param codec used instead of the module's own
 * @param middleware around the module's own
 * @throws PoolError `invalid_argument`, field "handler", "middleware" or "codec"
 */
export function readExports(
  module: Exports,
  shown: string,
  codec?: CodecChoice,
  middleware: readonly JobMiddleware[] = [],
): LoadedHandler {
  const layers = layersOf(module);
  const { codec: own } = layers.find((layer) => layer.codec !== undefined) ?? {};
  const handler = {
    run: withMiddleware(findRun(layers, shown), [
      ...middleware,
      ...readMiddleware(
        layers.map((each) => each.middleware).find((each) => each !== undefined),
        shown,
      ),
    ]),
    codecs: toCodecs(codec ?? (own === undefined ? json : (own as CodecChoice))),
    setup: findHook(layers, "setup", shown),
    teardown: findHook(layers, "teardown", shown),
  };
  const definition = layers.map(({ pool }) => pool).find(isPoolDefinition);
  if (definition === undefined) return handler;
  if (codec !== undefined || own !== undefined) throw noCodec();
  return typedHandler(handler, definition);
}

/** The schemas of a typed pool say how its payloads travel. */
export function noCodec(): PoolError {
  return refuse("codec", "the pool's definition says how its payloads travel: leave the codec out");
}

/**
 * Refuses what would fail every job: a class cannot be called, and what a generator gives is no result.
 *
 * @throws PoolError `invalid_argument`, field "handler"
 */
export function checkRun(run: AnyFunction, what: string): void {
  if (isClass(run)) {
    const name = run.name === "" || run.name === "default" ? "Handler" : run.name;
    throw refuse("handler", `${what} is a class, which cannot be called; export an object of it: new ${name}()`);
  }
  if (GENERATORS.has(Object.prototype.toString.call(run))) {
    throw refuse(
      "handler",
      `${what} is a generator; return the result, and send what comes before it by job.progress()`,
    );
  }
}

/**
 * A choice of codec as a pair of codecs.
 *
 * @throws PoolError `invalid_argument`, field "codec"
 */
export function toCodecs(choice: CodecChoice): CodecPair {
  if (typeof choice === "object" && choice !== null && "input" in choice && "output" in choice) {
    return { input: toCodec(choice.input), output: toCodec(choice.output) };
  }
  const codec = toCodec(choice);
  return { input: codec, output: codec };
}

/** A refusal of a handler file. */
export function refuse(field: string, why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field, cause });
}

function toCodec(choice: unknown): Codec {
  if (typeof choice === "string" && Object.hasOwn(CODECS, choice))
    return CODECS[choice as keyof typeof CODECS] as Codec;
  const codec = choice as Partial<Codec> | null | undefined;
  if (typeof codec?.encode === "function" && typeof codec.decode === "function") return codec as Codec;
  throw refuse("codec", `use ${Object.keys(CODECS).join(", ")} or an object with encode and decode`);
}

/** The module itself, then what its default export holds. A CommonJS module shows its exports below `default`, once or twice. */
function layersOf(module: Exports): Exports[] {
  const layers = [module];
  for (let depth = 0; depth < 2; depth += 1) {
    const inner = layers.at(-1)?.default;
    if (
      (typeof inner !== "object" && typeof inner !== "function") ||
      inner === null ||
      layers.includes(inner as Exports)
    )
      break;
    layers.push(inner as Exports);
  }
  return layers;
}

function findRun(layers: readonly Exports[], shown: string): Handler {
  for (const layer of layers) {
    const isFunctionWithRun = typeof layer === "function" && !isClass(layer as AnyFunction);
    if (typeof layer.run !== "function" || isFunctionWithRun) continue;
    checkRun(layer.run as AnyFunction, `run of ${shown}`);
    return layer.run.bind(layer) as Handler;
  }
  const run = layers.map((layer) => layer.default).find((each) => typeof each === "function");
  if (run === undefined) throw refuse("handler", `${shown} exports no function run(job) and no default function`);
  checkRun(run as AnyFunction, `the default export of ${shown}`);
  return run as Handler;
}

function findHook(layers: readonly Exports[], name: "setup" | "teardown", shown: string): AnyHook | undefined {
  const layer = layers.find((each) => each[name] !== undefined);
  const hook = layer?.[name];
  if (hook === undefined) return undefined;
  if (typeof hook !== "function" || isClass(hook as AnyFunction))
    throw refuse("handler", `${name} of ${shown} is ${typeof hook === "function" ? "a class" : "not a function"}`);
  return hook.bind(layer) as AnyHook;
}

type AnyHook = (context?: HandlerContext) => unknown;

const GENERATORS: ReadonlySet<string> = new Set(["[object GeneratorFunction]", "[object AsyncGeneratorFunction]"]);

function isClass(value: AnyFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}
