/**
 * Transcripts: text files that show commands and their output, to read and to run.
 *
 * A line that begins with "$ " is a command; the lines up to the next empty one
 * are its output; anything else is prose. "…" stands for any text, on a line of
 * its own for any number of lines.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Owner } from "../clean-up.js";
import { type Exit, run } from "../process.js";

/** One command and what it prints. */
export interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

/** The steps of a transcript. */
export async function readTranscript(path: string): Promise<Step[]> {
  const lines = (await readFile(path, "utf8")).split("\n");
  return lines.flatMap((line, index) => {
    if (!line.startsWith("$ ")) return [];
    const rest = lines.slice(index + 1);
    const end = rest.indexOf("");
    return [{ command: line.slice(2), expected: rest.slice(0, end < 0 ? rest.length : end) }];
  });
}

/** Runs one step in bash and compares what it prints. Its exit code does not count. */
export async function runStep(t: Owner, step: Step, env: Readonly<Record<string, string>>): Promise<void> {
  await exitOfStep(t, step, env, process.cwd());
}

/** Runs one step in bash in a folder, compares what it prints, and tells how it ended. */
export async function exitOfStep(
  t: Owner,
  step: Step,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Promise<Exit> {
  const bash = ["-o", "pipefail", "-c", step.command];
  const exit = await run(t, "bash", bash, { env, cwd, limitMs: 60_000 });
  const { stdout, stderr } = exit;
  const pattern = new RegExp(`^${step.expected.map(linePattern).join("")}$`);
  const printed = stdout.trimEnd() === "" ? "" : `${stdout.trimEnd()}\n`;
  assert.ok(
    pattern.test(printed),
    `$ ${step.command}\nprinted:\n${printed}${stderr}expected:\n${step.expected.join("\n")}`,
  );
  return exit;
}

/** The pattern, with its line end, of a line in which "…" stands for any text; "…" alone for any number of lines. */
export function linePattern(line: string): string {
  if (line === "…") return "(?:.*\\n)*?";
  const parts = line.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return `${parts.join(".*")}\\n`;
}
