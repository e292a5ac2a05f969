/**
 * A typed pool: its name, and the schemas of what goes in and what comes out. Pure.
 *
 * One definition serves all ends: `client.for(definition)` checks what it sends
 * and what comes back, `new Worker({ pool: definition, run })` checks what comes
 * in and what the handler returns. Decided here: what is told when a value does
 * not fit, and under which code.
 */
import { PoolError, type SchemaIssue } from "../errors.js";
import { thrownText } from "../thrown.js";
import { checkName } from "../wire/subjects.js";
import {
  type Checked,
  type Contract,
  contractOf,
  type Schema,
  type SchemaInput,
  type SchemaOutput,
  tellIssues,
} from "./schema.js";

/**
 * A typed pool, made by {@link definePool}.
 *
 * @typeParam Payload what a caller submits
 * @typeParam Given what the handler gets as `job.payload`
 * @typeParam Returned what the handler returns
 * @typeParam Value what the caller gets
 */
// biome-ignore lint/suspicious/noExplicitAny: a definition of any types, as its users are generic in them
export interface PoolDefinition<Payload = any, Given = any, Returned = any, Value = any> {
  readonly name: string;
  readonly input: Schema;
  readonly output: Schema;
  /** Only for types; it is never there. */
  readonly "~types"?: {
    readonly payload: Payload;
    readonly given: Given;
    readonly returned: Returned;
    readonly value: Value;
  };
}

/** What a caller submits to a typed pool. */
export type PayloadOf<D extends PoolDefinition> = NonNullable<D["~types"]>["payload"];
/** What a handler of a typed pool gets as `job.payload`. */
export type GivenOf<D extends PoolDefinition> = NonNullable<D["~types"]>["given"];
/** What a handler of a typed pool returns. */
export type ReturnedOf<D extends PoolDefinition> = NonNullable<D["~types"]>["returned"];
/** What a caller of a typed pool gets. */
export type ValueOf<D extends PoolDefinition> = NonNullable<D["~types"]>["value"];

/** The code of an error: a payload does not fit. The reason is `invalid_argument`. */
export const INPUT_CODE = "schema.input";
/** The code of an error: what a handler returned does not fit. The reason is `job_failed`. */
export const OUTPUT_CODE = "schema.output";
/** The code of an error: a result does not fit the caller's own definition. The reason is `job_failed`. */
export const RESULT_CODE = "schema.result";

/** The mark of every definition: a handler file may have loaded another copy of this package than its worker. */
const MARK = Symbol.for("poolmesh.PoolDefinition");

/**
 * Defines a typed pool, for callers and workers alike.
 *
 * @throws PoolError `invalid_argument`, field "pool", "input" or "output"
 */
export function definePool<const I extends Schema, const O extends Schema>({
  name,
  input,
  output,
}: {
  /** The pool's name. */
  readonly name: string;
  /** The schema of a job's payload: of a library with the Standard Schema interface, or of a protobuf message. */
  readonly input: I;
  /** The schema of its result. */
  readonly output: O;
}): PoolDefinition<SchemaInput<I>, SchemaOutput<I>, SchemaInput<O>, SchemaOutput<O>> {
  contractOf(input, "input");
  contractOf(output, "output");
  return Object.freeze({ [MARK]: true, name: checkName("pool", name), input, output });
}

/** Whether a value was made by {@link definePool}, of this copy of the package or of another. */
export function isPoolDefinition(value: unknown): value is PoolDefinition {
  return typeof value === "object" && value !== null && MARK in value;
}

/** The name of a pool that is given by its name or by its definition. */
export function poolName(pool: string | PoolDefinition): string {
  return checkName("pool", isPoolDefinition(pool) ? pool.name : pool);
}

/** What both schemas of a definition do. */
export interface PoolContracts {
  readonly input: Contract;
  readonly output: Contract;
}

const contracts = new WeakMap<PoolDefinition, PoolContracts>();

/** What both schemas of a definition do. */
export function contractsOf(definition: PoolDefinition): PoolContracts {
  let made = contracts.get(definition);
  if (made === undefined) {
    made = { input: contractOf(definition.input, "input"), output: contractOf(definition.output, "output") };
    contracts.set(definition, made);
  }
  return made;
}

/** A payload does not fit. */
export function inputError({ name }: PoolDefinition, issues: readonly SchemaIssue[], cause?: unknown): PoolError {
  const message = `payload: does not fit the schema of pool ${name}: ${tellIssues(issues)}`;
  return new PoolError("invalid_argument", message, { field: "payload", jobCode: INPUT_CODE, issues, cause });
}

/** What a handler returned does not fit. */
export function outputError({ name }: PoolDefinition, issues: readonly SchemaIssue[]): PoolError {
  const message = `result: does not fit the schema of pool ${name}: ${tellIssues(issues)}`;
  return new PoolError("job_failed", message, { jobCode: OUTPUT_CODE, issues });
}

/** A result came back, and does not fit the definition of who asked for it. */
export function resultError({ name }: PoolDefinition, issues: readonly SchemaIssue[], cause?: unknown): PoolError {
  const message = `result: came back, but does not fit the schema of pool ${name} here: ${tellIssues(issues)}`;
  return new PoolError("job_failed", message, { jobCode: RESULT_CODE, maybeExecuted: true, issues, cause });
}

/**
 * A value as the payload of a job.
 *
 * @throws PoolError `invalid_argument`, field "payload", code "schema.input" when it does not fit
 */
export async function encodePayload(definition: PoolDefinition, value: unknown): Promise<Uint8Array> {
  const { codec, write } = contractsOf(definition).input;
  const checked = await guarded(
    () => write(value),
    (issues, cause) => inputError(definition, issues, cause),
  );
  if (!checked.ok) throw inputError(definition, checked.issues);
  return codec.encode(checked.value);
}

/**
 * The payload of a result as a value.
 *
 * @throws PoolError `job_failed`, code "schema.result" when it does not fit
 */
export async function decodeResult(definition: PoolDefinition, payload: Uint8Array): Promise<unknown> {
  const { codec, read } = contractsOf(definition).output;
  const checked = await guarded(
    () => read(codec.decode(payload)),
    (issues, cause) => resultError(definition, issues, cause),
  );
  if (!checked.ok) throw resultError(definition, checked.issues);
  return checked.value;
}

/** A codec that refuses and a schema that throws are issues of the whole value. */
async function guarded(
  check: () => Checked | Promise<Checked>,
  toError: (issues: readonly SchemaIssue[], cause: unknown) => PoolError,
): Promise<Checked> {
  try {
    return await check();
  } catch (thrown) {
    throw toError([{ path: "", message: thrownText(thrown).slice(0, 120) }], thrown);
  }
}
