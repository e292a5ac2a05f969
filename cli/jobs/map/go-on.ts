/** How to go on after an interrupted run. Pure. */
import type { DonePrefix } from "./prefix.js";
import type { SourceFlags } from "./sources.js";

/** Lines for stderr. */
export function againLines(
  argv: readonly string[],
  flags: Pick<SourceFlags, "files" | "lines">,
  done: DonePrefix,
): string[] {
  const command = ["poolmesh", ...withSkip(argv, done.length)].map(quoted).join(" ");
  const fromStdin = flags.files === undefined && (flags.lines === undefined || flags.lines === "-");
  const more = done.beyond === 0 ? "" : `, and ${done.beyond} after the first gap, which will run again`;
  return [
    `stopped: the first ${done.length} inputs are done${more}`,
    `go on with: ${command}${fromStdin ? "   (and the same stdin)" : ""}`,
  ];
}

/** The same arguments with `--skip` set anew. */
function withSkip(argv: readonly string[], skip: number): string[] {
  const kept: string[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] as string;
    if (word === "--skip") i += 1;
    else if (!word.startsWith("--skip=")) kept.push(word);
  }
  return [...kept, "--skip", String(skip)];
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}
