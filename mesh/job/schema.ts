/**
 * Schemas: how a typed value is checked, and how it becomes a payload. Pure.
 *
 * A schema is one of any library with the Standard Schema interface, or that of
 * a protobuf message. Whoever writes a value checks it, and so does whoever
 * reads it. With a Standard Schema the value travels as JSON, as it was before
 * the schema changed it: the reader's schema makes the same changes again.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { PoolError, type SchemaIssue } from "../errors.js";
import { type Codec, json } from "./codec.js";
import { protobufIssues } from "./protobuf-issues.js";

/** A schema of any library with the Standard Schema interface (zod, valibot, arktype, …), or of a protobuf message. */
export type Schema = StandardSchemaV1 | DescMessage;

/** What a schema takes: the type of who writes the value. */
export type SchemaInput<S extends Schema> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<S>
  : S extends DescMessage
    ? MessageInitShape<S>
    : never;

/** What a schema gives: the type of who reads the value. */
export type SchemaOutput<S extends Schema> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : S extends DescMessage
    ? MessageShape<S>
    : never;

/** A value that was checked. */
export type Checked =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

/** What a schema does at both ends of the mesh. */
export interface Contract {
  /** How a value that was checked becomes bytes, and how bytes become a value that read() takes. */
  readonly codec: Codec;
  /** Checks a value that is to be sent. What comes of it is for the codec. Throws what the schema throws. */
  write(value: unknown): Checked | Promise<Checked>;
  /** Checks a value that the codec has decoded. What comes of it is for the program. Throws what the schema throws. */
  read(value: unknown): Checked | Promise<Checked>;
}

/**
 * What a schema does.
 *
 * @param what such as "input", for the message
 * @throws PoolError `invalid_argument`, field `what`, when it is no schema
 */
export function contractOf(schema: Schema, what: string): Contract {
  if (isStandard(schema)) return standardContract(schema);
  if ((schema as Partial<DescMessage> | undefined)?.kind === "message") return protobufContract(schema as DescMessage);
  const message = `${what}: use a schema with the Standard Schema interface, or that of a protobuf message`;
  throw new PoolError("invalid_argument", message, { field: what });
}

/** What an error tells of the issues: paths with the words of the schema's library, at most so many. */
export function tellIssues(issues: readonly SchemaIssue[]): string {
  return list(issues, ({ path, message }) => `${path || "the value"}: ${message}`, "; ");
}

/** Only the paths: for a log, since the words of some libraries quote the value. */
export function tellPaths(issues: readonly SchemaIssue[]): string {
  return list(issues, ({ path }) => path || "the value", ", ");
}

const MAX_TOLD_ISSUES = 5;
const MAX_ISSUES = 100;
const MAX_ISSUE_LENGTH = 120;
const MAX_PATH_LENGTH = 80;

function list(issues: readonly SchemaIssue[], tell: (issue: SchemaIssue) => string, separator: string): string {
  const told = issues.slice(0, MAX_TOLD_ISSUES).map(tell).join(separator);
  const more = issues.length - MAX_TOLD_ISSUES;
  return more > 0 ? `${told}${separator}and ${more} more` : told;
}

/** Schemas of some libraries are functions. */
function isStandard(schema: unknown): schema is StandardSchemaV1 {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return false;
  return typeof (schema as Partial<StandardSchemaV1>)["~standard"]?.validate === "function";
}

function standardContract(schema: StandardSchemaV1): Contract {
  const validate = (value: unknown, keep: boolean): Checked | Promise<Checked> => {
    const toChecked = (result: StandardSchemaV1.Result<unknown>): Checked =>
      result.issues === undefined
        ? { ok: true, value: keep ? value : result.value }
        : { ok: false, issues: result.issues.slice(0, MAX_ISSUES).map(toIssue) };
    const result = schema["~standard"].validate(value);
    return result instanceof Promise ? result.then(toChecked) : toChecked(result);
  };
  return { codec: json, write: (value) => validate(value, true), read: (value) => validate(value, false) };
}

function toIssue({ path = [], message }: StandardSchemaV1.Issue): SchemaIssue {
  const keys = path.map((step) => (typeof step === "object" ? step.key : step));
  const steps = keys.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key).slice(0, MAX_PATH_LENGTH)}`));
  return short({ path: steps.join(""), message });
}

function protobufContract(schema: DescMessage): Contract {
  const codec: Codec = {
    name: `protobuf:${schema.typeName}`,
    encode: (value) => toBinary(schema, toMessage(schema, value)),
    decode: (payload) => {
      try {
        return fromBinary(schema, payload);
      } catch (cause) {
        throw new PoolError("invalid_argument", "payload: not valid protobuf", { field: "payload", cause });
      }
    },
  };
  return {
    codec,
    write: (value) => {
      try {
        const message = toMessage(schema, value);
        const issues = protobufIssues(schema, message).slice(0, MAX_ISSUES);
        return issues.length === 0 ? { ok: true, value: message } : { ok: false, issues: issues.map(short) };
      } catch (thrown) {
        return { ok: false, issues: [short({ path: "", message: (thrown as Error).message })] };
      }
    },
    read: (value) => ({ ok: true, value }),
  };
}

/** @throws Error when it is none, also where it has a message inside that is none */
function toMessage(schema: DescMessage, value: unknown): MessageShape<DescMessage> {
  if (typeof value !== "object" || value === null) throw new Error(`expected a message ${schema.typeName}`);
  return isMessage(value, schema) ? value : create(schema, value as MessageInitShape<DescMessage>);
}

function short({ path, message }: SchemaIssue): SchemaIssue {
  return { path: cut(path), message: cut(message) };
}

function cut(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.length > MAX_ISSUE_LENGTH ? `${line.slice(0, MAX_ISSUE_LENGTH - 1)}…` : line;
}
