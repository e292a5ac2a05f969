/** A document that is followed from its first block to its last: its files, commands, log lines and changes. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { logText, parseLogLine, stackLines } from "../../../cli/up/log-line.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { run, startProcess } from "../process.js";
import { without } from "../tools.js";
import { eventually } from "../wait.js";
import { STEP_LIMIT_MS } from "./packed.js";
import { atMesh, direct, placeOf, type ReaderMesh, runShown, startReaderMesh } from "./reader.js";
import { nameOf, type Snippet, stepsOf } from "./snippets.js";
import { linePattern, type Step } from "./transcript.js";

/** Languages whose blocks only a walkthrough takes. */
export const WALKED: readonly string[] = ["python", "log", "diff"];

/** A worker that says when it is ready: it stays while the rest is done. */
const STAYS = /^npx (poolmesh worker |tsx \S+-worker\.ts)/;

/** Follows documents in one project, all in the mesh that the first of them starts. */
export class Walkthrough {
  readonly #t: TestContext;
  readonly #project: string;
  #mesh: ReaderMesh | undefined;
  /** What a line exports holds for the nats commands below it, as in the reader's own shell. */
  #exported = "";

  constructor(t: TestContext, project: string) {
    this.#t = t;
    this.#project = project;
  }

  async follow(snippets: readonly Snippet[]): Promise<void> {
    for (const snippet of snippets) {
      const name = nameOf(snippet);
      if (name !== undefined) await this.#save(name, snippet.code);
      else if (snippet.language === "log") await this.#logHas(snippet);
      else if (snippet.language === "diff") await this.#change(snippet);
      else for (const step of stepsOf(snippet)) await this.#type(snippet, step);
    }
  }

  /** Ends the mesh as Ctrl-C does. */
  async end(): Promise<void> {
    assert.equal((await this.#running.process.stop()).code, 0);
  }

  get #running(): ReaderMesh {
    assert.ok(this.#mesh, "a document begins with poolmesh up");
    return this.#mesh;
  }

  async #save(name: string, code: string): Promise<void> {
    await writeFile(join(this.#project, name), this.#mesh === undefined ? code : atMesh(this.#mesh, code));
  }

  async #type(snippet: Snippet, step: Step): Promise<void> {
    const { command } = step;
    const [, packages] = /^npm install (.*)$/.exec(command) ?? [];
    if (packages !== undefined) return this.#isInstalled(packages.split(" "));
    if (command.startsWith("npx poolmesh up ")) {
      this.#mesh = await startReaderMesh(this.#t, this.#project, command, { POOLMESH_DURABLE: "true" });
    } else if (STAYS.test(command)) await this.#stay(snippet, command);
    else if (this.#mesh === undefined) await this.#prepare(command);
    else if (command.startsWith("export ")) this.#exported = `${command.replace(/ +#.*/, "")} && `;
    else {
      // A reader sees both streams.
      await runShown(this.#t, this.#mesh, snippet, {
        ...step,
        command: `${command.startsWith("nats ") ? this.#exported : ""}${direct(command)} 2>&1`,
      });
    }
  }

  async #prepare(command: string): Promise<void> {
    const { code, stderr } = await run(this.#t, "bash", ["-c", command], {
      cwd: this.#project,
      limitMs: STEP_LIMIT_MS,
    });
    assert.equal(code, 0, stderr);
  }

  #isInstalled(packages: readonly string[]): void {
    for (const name of packages) assert.ok(existsSync(join(this.#project, "node_modules", name)), name);
  }

  async #stay(snippet: Snippet, command: string): Promise<void> {
    const missing = command.includes("python3") ? without("python3") : false;
    if (missing !== false) return this.#t.diagnostic(`not run here: ${placeOf(snippet)}: ${missing}`);
    const { env } = this.#running;
    const worker = startProcess(this.#t, "bash", ["-c", `exec ${direct(command)}`], { cwd: this.#project, env });
    await worker.line(/^ready$|"msg":"ready"/);
  }

  /** The log has lines such as a terminal shows them. */
  async #logHas(snippet: Snippet): Promise<void> {
    const shown = (): string[] =>
      this.#running.process.stderr.split("\n").flatMap((text) => {
        const { process: service, level, ...rest } = json(text);
        const line = parseLogLine(JSON.stringify({ level: LEVELS[String(level)], ...rest }));
        if (line === undefined) return [];
        const stack = stackLines(line, packageRoot()).map((each) => `    ${each}`);
        return [`${String(service)}: ${logText(line)}`, ...stack];
      });
    for (const wanted of snippet.code.trimEnd().split("\n")) {
      const pattern = new RegExp(`^${linePattern(wanted)}$`);
      await eventually(() => shown().some((line) => pattern.test(`${line}\n`)), { what: placeOf(snippet) }).catch(
        (error: Error) => assert.fail(`${error.message}; the log has:\n${shown().join("\n")}`),
      );
    }
  }

  /** Replaces a line of one of the files that were saved. */
  async #change(snippet: Snippet): Promise<void> {
    const [, before = "", after = ""] = /^-(.*)\n\+(.*)\n$/.exec(snippet.code) ?? [];
    const [file] = /\S+\.ts/.exec(this.#textBefore(snippet)) ?? [];
    assert.ok(file, `${placeOf(snippet)}: which file?`);
    const path = join(this.#project, file);
    const text = await readFile(path, "utf8");
    assert.ok(text.includes(before), `${placeOf(snippet)}: ${file} has no such line`);
    await writeFile(path, text.replace(before, after));
  }

  /** The paragraph above a block. */
  #textBefore({ before }: Snippet): string {
    return before.trimEnd().split("\n\n").at(-1)?.replaceAll("`", " ") ?? "";
  }
}

const LEVELS: Readonly<Record<string, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

function json(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
