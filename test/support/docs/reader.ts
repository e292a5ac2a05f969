/**
 * A reader of the documents: a project with the packed package, a mesh that `poolmesh up` has started there, and what is
 * typed in.
 *
 * Addresses that may be taken on this machine are replaced by those that `poolmesh up` prints, and WORKER by the id of a
 * worker.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { TestContext } from "node:test";
import { findCli } from "../../../broker/find.js";
import { type Exit, run, startProcess, type TestProcess } from "../process.js";
import { without } from "../tools.js";
import type { Snippet } from "./snippets.js";
import { exitOfStep, type Step } from "./transcript.js";

const READY_LINE = /^ready nats=(\S+) manager=(\S+) meter=(\S+)/;
/** What production starts instead of npx, from the project's folder. */
export const ENTRY = "node_modules/poolmesh/dist/cli/main.js";
/** Without it a test runner that is started within a test runs nothing, and succeeds. */
export const OWN_TEST_RUNNER = { NODE_TEST_CONTEXT: undefined };
/** Tools that a reader may not have. */
const TOOLS = ["nats", "curl", "python3"] as const;

/** A running `poolmesh up` and its addresses. */
export interface ReaderMesh {
  readonly process: TestProcess;
  /** The folder that everything is typed in. */
  readonly project: string;
  readonly nats: string;
  readonly manager: string;
  readonly meter: string;
  /** The id of one of its workers. */
  readonly worker: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Starts `up` as a document does. npx would not pass on SIGTERM, so the command is called directly. */
export async function startReaderMesh(
  t: TestContext,
  project: string,
  command: string,
  more: Readonly<Record<string, string>> = {},
): Promise<ReaderMesh> {
  const [, ...args] = command.replace(/ +#.*/, "").split(" ").slice(1);
  const PATH = await pathWithNats();
  const child = startProcess(t, process.execPath, [ENTRY, ...args], {
    cwd: project,
    env: { NATS_URL: undefined, PATH, ...more },
  });
  const [, nats = "", manager = "", meter = ""] = await child.line(READY_LINE, 60_000);
  const mesh = {
    process: child,
    project,
    nats,
    manager,
    meter,
    worker: "",
    env: { NATS_URL: nats, PATH, ...OWN_TEST_RUNNER },
  };
  const { stdout } = await poolmesh(t, mesh, ["workers", "--json"]);
  const [first] = JSON.parse(stdout) as { worker: string }[];
  return { ...mesh, worker: first?.worker ?? "" };
}

/** Runs `poolmesh ARGS` of the project. */
export function poolmesh(t: TestContext, mesh: ReaderMesh, args: readonly string[]): Promise<Exit> {
  return run(t, process.execPath, [ENTRY, ...args], { cwd: mesh.project, env: mesh.env, limitMs: 60_000 });
}

/** Runs one command of a document, and compares what it prints and how it ends. */
export async function runShown(t: TestContext, mesh: ReaderMesh, snippet: Snippet, step: Step): Promise<void> {
  const missing = without(...TOOLS.filter((tool) => new RegExp(`(^|&& )${tool} `).test(step.command)));
  if (missing !== false) return t.diagnostic(`not run here: ${placeOf(snippet)}: ${missing}`);
  const command = step.command
    .replace("localhost:8080", new URL(mesh.manager).host)
    .replace("top --once", `top --once --meter ${mesh.meter}`)
    .replace("WORKER", mesh.worker);
  const { code, stderr } = await exitOfStep(t, { ...step, command }, mesh.env, mesh.project).catch((error: Error) => {
    throw new Error(`${placeOf(snippet)}: ${error.message}`, { cause: error });
  });
  assert.equal(code, snippet.exitCode, `${placeOf(snippet)}: $ ${command}\n${stderr}`);
}

/** A program of a document, with the addresses of a mesh in the place of the usual ones. */
export function atMesh(mesh: ReaderMesh, code: string): string {
  return code.replaceAll("nats://127.0.0.1:4222", mesh.nats).replaceAll("http://127.0.0.1:8080", mesh.manager);
}

/** A command as npx runs it: to find it takes npx longer than most commands take. */
export function direct(command: string): string {
  return command.replace(/\bnpx poolmesh /g, `node ${ENTRY} `).replace(/\bnpx tsx /g, "node --import tsx ");
}

/** Where a block stands. */
export function placeOf({ file, line }: Snippet): string {
  return `${file}:${line}`;
}

async function pathWithNats(): Promise<string> {
  const nats = await findCli();
  return [process.env.PATH ?? "", ...(nats === undefined ? [] : [dirname(nats.path)])].join(":");
}
