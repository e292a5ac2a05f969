/**
 * The documents of the repository as TypeDoc takes them: the same files, with a front matter that has their title and
 * section. The repository's own have none, since GitHub shows it as a table.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { inOrder, sectionOf } from "./sections.js";

/** What was staged. */
export interface Staged {
  /** The folder, laid out as the repository. */
  readonly folder: string;
  /** Paths of the documents in it, in the site's order, without those that are children of another one. */
  readonly documents: readonly string[];
}

/** The page that has the decisions as its children. */
const DECISIONS = "docs/adr/README.md";
/** Where it is told what a document of this folder is about. */
const README = "README.md";

/**
 * Copies README.md, CHANGELOG.md and docs/ of `root` into `folder`, with the pages of `more` besides.
 *
 * @param more path → Markdown
 * @throws Error when a document is in no section
 */
export function stageDocuments(root: string, folder: string, more: ReadonlyMap<string, string>): Staged {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, "docs"), join(folder, "docs"), { recursive: true });
  const pages = new Map<string, string>(more);
  for (const path of ["CHANGELOG.md", ...markdownUnder(root, "docs")])
    pages.set(path, readFileSync(join(root, path), "utf8"));
  const decisions = [...pages.keys()].filter((path) => isDecision(path)).sort();
  const documents = inOrder([...pages.keys()].filter((path) => !isDecision(path)));
  const homeless = [...pages.keys()].filter((path) => !isDecision(path) && !documents.includes(path));
  if (homeless.length > 0) throw new Error(`in no section of scripts/docs/sections.ts: ${homeless.join(", ")}`);
  for (const [path, text] of pages) {
    const children = path === DECISIONS ? decisions.map((each) => `./${relative(dirname(path), each)}`) : [];
    write(join(folder, path), withFrontMatter(path, text, children));
  }
  write(join(folder, README), withoutTitle(readFileSync(join(root, README), "utf8")));
  return { folder, documents };
}

/** A document with its title, address and section in front. Pure. */
export function withFrontMatter(path: string, text: string, children: readonly string[] = []): string {
  const section = sectionOf(path)?.title;
  const lines = [
    `title: ${JSON.stringify(titleOf(path, text))}`,
    `path: ${JSON.stringify(addressOf(path))}`,
    ...(section === undefined ? [] : [`category: ${JSON.stringify(section)}`]),
    ...(children.length === 0 ? [] : ["children:", ...children.map((each) => `  - ${each}`)]),
  ];
  return `---\n${lines.join("\n")}\n---\n\n${text}`;
}

function titleOf(path: string, text: string): string {
  const title = /^# (.*)$/m.exec(text)?.[1];
  if (title === undefined) throw new Error(`${path} has no title: begin it with "# "`);
  return path.startsWith("proto/") ? basename(title) : title.replaceAll("`", "");
}

function withoutTitle(text: string): string {
  return text.replace(/^# .*\n+/m, "");
}

/** Where a document is in the site, without ".html". Pure. */
export function addressOf(path: string): string {
  return path
    .toLowerCase()
    .replace(/\.md$/, "")
    .replace(/(^|\/)readme$/, "$1index");
}

function isDecision(path: string): boolean {
  return /^docs\/adr\/\d/.test(path);
}

function markdownUnder(root: string, folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".md")).map((name) => join(folder, name));
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
