/**
 * The command line as a whole: finds the command, runs it, and turns every
 * error into one line and an exit code.
 *
 * Only the chosen command's file is loaded, so that help comes at once.
 */
import { Command, CommanderError } from "commander";
import { plainText } from "../mesh/plain-text.js";
import { nearest } from "../mesh/process/config.js";
import { packageVersion } from "../mesh/process/identity.js";
import { COMMANDS } from "./commands.js";
import { EXIT, errorText, exitCodeOf } from "./exit-codes.js";
import { fitHelp, MIN_TEXT_WIDTH } from "./output/fit-help.js";
import type { Output } from "./output/output.js";
import { wrapHanging } from "./output/wrap.js";
import type { Shell } from "./shell.js";

/** The longest line of a message, in characters. */
const MAX_LINE_LENGTH = 2_000;
const EXAMPLES = `Examples:
  poolmesh up --pool adder --handler adder.ts --workers 2
  poolmesh submit adder 41
  seq 1000 | poolmesh map adder > results.ndjson
  poolmesh top

Environment:
  Options of programs that serve and of the broker are variables, too:
  --log-level is POOLMESH_LOG_LEVEL.
  NATS_URL names the broker, NO_COLOR turns colours off.`;

/** Runs the command that `shell.argv` names and sets `shell.exitCode`. Never rejects. */
export async function runProgram(shell: Shell): Promise<void> {
  try {
    const program = await makeProgram(shell);
    if (shell.argv.length === 0) return program.outputHelp();
    refuseUnknown(program, (shell.argv[0] === "help" ? shell.argv[1] : shell.argv[0]) ?? "help");
    await program.parseAsync([...shell.argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      shell.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    shell.exitCode = exitCodeOf(error);
    await shell.stderr.line(failureLine(shell.stderr, printable(errorText(error))));
  }
}

async function makeProgram(shell: Shell): Promise<Command> {
  const program = new Command("poolmesh");
  program
    .usage("COMMAND [OPTIONS]")
    .description("A worker pool manager over NATS.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [COMMAND]", "print help for a command")
    .addHelpText("after", `\n${EXAMPLES}`)
    .exitOverride()
    .configureOutput(outputs(shell))
    .configureHelp({ showGlobalOptions: false, minWidthToWrap: MIN_TEXT_WIDTH, ...helpStyles(shell.stdout) });
  const chosen = chosenNames(shell.argv);
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).helpGroup(entry.group).description(sentence(entry.summary));
    command.summary(entry.summary).helpOption("-h, --help", "print this help").showHelpAfterError(false);
    if (chosen.has(entry.name)) (await entry.load()).define(command, shell);
  }
  return program;
}

/** @throws CommanderError with the nearest command */
function refuseUnknown(program: Command, word: string): void {
  const names = COMMANDS.map(({ name }) => name);
  if (word.startsWith("-") || word === "help" || names.includes(word)) return;
  const near = nearest(word, names);
  const hint = near === undefined ? "see poolmesh --help" : `did you mean ${near}?`;
  program.error(`unknown command ${JSON.stringify(word.slice(0, 40))}; ${hint}`, { exitCode: EXIT.usage });
}

/** The names of commands in what was typed before "--"; one of them is the command. */
function chosenNames(argv: readonly string[]): Set<string> {
  const first = argv.find((word) => !word.startsWith("-"));
  if (first !== "help") return new Set(first === undefined ? [] : [first]);
  return new Set(argv);
}

function outputs(shell: Shell) {
  return {
    writeOut: (text: string) => void shell.stdout.write(fitHelp(text, Math.min(100, shell.stdout.columns))),
    writeErr: (text: string) => void shell.stderr.write(text),
    getOutHelpWidth: () => Math.min(100, shell.stdout.columns),
    getErrHelpWidth: () => Math.min(100, shell.stderr.columns),
    getOutHasColors: () => shell.stdout.color,
    getErrHasColors: () => shell.stderr.color,
    outputError: (text: string, write: (text: string) => void) => {
      const said = inOurWords(text.replace(/^error: /, "").trimEnd());
      write(`${failureLine(shell.stderr, printable(said + helpHint(shell.argv, said)))}\n`);
    },
  };
}

/** Two messages of commander that are no sentences of ours. */
function inOurWords(said: string): string {
  return said
    .replace(/^(too many arguments) for '[^']*'\. Expected (\d+) arguments? but got (\d+)\.$/, "$1: $3 where $2 may be")
    .replace(/^command-argument value '([\s\S]*)' is invalid for argument '([A-Z_]+)'\./, "$2 '$1' is invalid.");
}

/** What to do about a word too many or too few; "" where the message says it. */
function helpHint([name = ""]: readonly string[], said: string): string {
  const isVague =
    /^(missing required argument|unknown option|too many arguments)/.test(said) && !/did you mean/i.test(said);
  return isVague && COMMANDS.some((each) => each.name === name) ? `; see poolmesh ${name} --help` : "";
}

function helpStyles(out: Output) {
  return {
    styleTitle: (text: string) => out.style("bold", text),
    styleCommandText: (text: string) => out.style("cyan", text),
    styleSubcommandText: (text: string) => out.style("cyan", text),
    styleOptionText: (text: string) => out.style("cyan", text),
    styleArgumentText: (text: string) => out.style("cyan", text),
  };
}

/** On a terminal it is broken between words. */
function failureLine(out: Output, text: string): string {
  const [first = "", ...rest] = `${NAME} ${text}`.split("\n").flatMap((line) => wrapHanging(line, out.room));
  return [out.style("red", NAME) + first.slice(NAME.length), ...rest].join("\n");
}

const NAME = "poolmesh:";

/**
 * What was typed comes back without control characters and without what may be
 * secret: the value of `--name=value` that is quoted, and the user of a URL.
 */
function printable(text: string): string {
  return text
    .replace(/unknown option '(-[^=']*)=[\s\S]*?'(?=\n|$)/, "unknown option '$1'")
    .split("\n")
    .map((line) => plainText(line.replace(QUOTED_FLAG, "$1$2$1").replace(/\/\/\S*@/g, "//"), MAX_LINE_LENGTH))
    .join("\n");
}

const QUOTED_FLAG = /(['"])(-{1,2}[\w-]+)=.*\1/g;

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
