/**
 * JSON as text: checked, put on one line or indented, never turned into values.
 *
 * A value would change on the way: 12345678901234567890 and 1e400 are no
 * doubles, and of two equal keys one would go. Pure.
 */
import { parseJson } from "../../mesh/job/codec.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A piece of JSON that stands in a larger one as it is. */
export class JsonText {
  /** @param text valid JSON on one line */
  constructor(readonly text: string) {}
}

/** Bytes as UTF-8 text; undefined when they are not. A byte order mark is kept. */
export function utf8Text(payload: Uint8Array): string | undefined {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined;
  }
}

/** Whether `text` is valid JSON. */
export function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * An object as one line of JSON; members that are undefined are left out.
 *
 * @param fields values for JSON.stringify, or pieces of JSON
 */
export function jsonLine(fields: Readonly<Record<string, unknown>>): string {
  let line = "";
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    const text = value instanceof JsonText ? value.text : JSON.stringify(value);
    if (text !== undefined) line += `${line === "" ? "" : ","}${JSON.stringify(name)}:${text}`;
  }
  return `{${line}}`;
}

/** Valid JSON on one line: as it is when it has no line end, else without the white space between its tokens. */
export function oneLineJson(text: string): string {
  if (!/[\n\r]/.test(text)) return text.trim();
  let line = "";
  for (const token of tokens(text)) line += token;
  return line;
}

/** Valid JSON with a line for each member, indented by two spaces a level; every name and value as it was written. */
export function indentedJson(text: string): string {
  const pieces: string[] = [];
  let depth = 0;
  let before = "";
  for (const token of tokens(text)) {
    const isEmpty = (before === "{" && token === "}") || (before === "[" && token === "]");
    if (token === "}" || token === "]") depth -= 1;
    if (before === "," || (isOpening(before) && !isEmpty) || (isClosing(token) && !isEmpty))
      pieces.push(newLine(depth));
    pieces.push(token === ":" ? ": " : token);
    if (isOpening(token)) depth += 1;
    before = token;
  }
  return pieces.join("");
}

function isOpening(token: string): boolean {
  return token === "{" || token === "[";
}

function isClosing(token: string): boolean {
  return token === "}" || token === "]";
}

function newLine(depth: number): string {
  return `\n${"  ".repeat(depth)}`;
}

const BETWEEN = /[ \t\n\r]*/y;
const WORD = /[^ \t\n\r{}[\],:"]+/y;

/** The tokens of valid JSON, without the white space between them. */
function* tokens(text: string): Generator<string> {
  for (let at = skip(text, 0); at < text.length; ) {
    const end = tokenEnd(text, at);
    yield text.slice(at, end);
    at = skip(text, end);
  }
}

function tokenEnd(text: string, at: number): number {
  const first = text[at] as string;
  if (first === '"') return stringEnd(text, at);
  if (/[{}[\],:]/.test(first)) return at + 1;
  WORD.lastIndex = at;
  return WORD.test(text) ? WORD.lastIndex : at + 1;
}

/** Behind the quotation mark that ends the string at `at`: the first one that no odd number of backslashes precedes. */
function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let first = quote;
    while (text[first - 1] === "\\") first -= 1;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
  return text.length;
}

function skip(text: string, at: number): number {
  BETWEEN.lastIndex = at;
  BETWEEN.test(text);
  return BETWEEN.lastIndex;
}
