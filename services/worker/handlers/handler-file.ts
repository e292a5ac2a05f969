/**
 * Loads a handler file: TypeScript or JavaScript that exports `run`, or has it
 * as its default export, and perhaps `codec`.
 *
 * Used where the handler runs: in the worker, in a thread or in a child.
 */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { PoolError } from "../../../mesh/errors.js";
import { CODECS, type Codec, json } from "../../../mesh/wire/codec.js";
import type { CodecPair, Handler } from "./handler.js";

/** A handler and its codecs. */
export interface LoadedHandler {
  readonly run: Handler;
  readonly codecs: CodecPair;
}

/** What may name a codec: one of ours by name, a codec, or one for each direction. */
export type CodecChoice = string | Codec | CodecPair;

/**
 * Loads and checks a file.
 *
 * @param codec used instead of the file's own
 * @throws PoolError `invalid_argument`, field "handler" or "codec"
 */
export async function loadHandlerFile(path: string, codec?: CodecChoice): Promise<LoadedHandler> {
  const exported = await importFile(path);
  const run = [exported.run, exported.default].find((each) => typeof each === "function");
  if (run === undefined) throw refuse("handler", `${shown(path)} exports no function run(job) and no default function`);
  return { run: run as Handler, codecs: toCodecs(codec ?? (exported.codec as CodecChoice | undefined) ?? json) };
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

function toCodec(choice: unknown): Codec {
  if (typeof choice === "string" && Object.hasOwn(CODECS, choice))
    return CODECS[choice as keyof typeof CODECS] as Codec;
  const codec = choice as Partial<Codec> | null | undefined;
  if (typeof codec?.encode === "function" && typeof codec.decode === "function") return codec as Codec;
  throw refuse("codec", `use ${Object.keys(CODECS).join(", ")} or an object with encode and decode`);
}

async function importFile(path: string): Promise<Record<string, unknown>> {
  const full = resolve(path);
  if (!(await stat(full).catch(() => undefined))?.isFile()) throw refuse("handler", `there is no file ${shown(path)}`);
  if (/\.[cm]?tsx?$/.test(full)) await registerTypeScript();
  try {
    return flatten((await import(pathToFileURL(full).href)) as Record<string, unknown>);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw refuse("handler", `cannot load ${shown(path)}: ${why}`, thrown);
  }
}

/** A CommonJS module shows its exports below `default`, once or twice. */
function flatten(module: Record<string, unknown>): Record<string, unknown> {
  let exported = module;
  for (let depth = 0; depth < 2; depth += 1) {
    const inner = exported.default;
    if (exported.run !== undefined || typeof inner !== "object" || inner === null) break;
    exported = inner as Record<string, unknown>;
  }
  return exported;
}

/** Node 22.18 and later strip types by themselves; a main thread that runs our own sources has a loader already. */
async function registerTypeScript(): Promise<void> {
  const { typescript } = process.features as { typescript?: unknown };
  if (typescript || (isMainThread && import.meta.url.endsWith(".ts"))) return;
  const [commonJs, modules] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]);
  // a .ts file in a folder without "type": "module" is CommonJS
  commonJs.register();
  modules.register();
}

function shown(path: string): string {
  return JSON.stringify(path);
}

function refuse(field: string, why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field, cause });
}
