/** Handler files that a test writes, in a folder of their own, and a journal that they write. */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cleanUp, type Owner } from "../clean-up.js";

/** A folder that goes when its owner ends. */
export class HandlerFolder {
  readonly path = mkdtempSync(join(tmpdir(), "handlers-"));

  constructor(owner: Owner) {
    cleanUp(owner, () => rmSync(this.path, { recursive: true, force: true }));
  }

  /** Writes a file and says where it is. In its text, FOLDER is this folder as a string, and note(text) adds to the journal. */
  write(name: string, text: string): string {
    const file = join(this.path, name);
    mkdirSync(dirname(file), { recursive: true });
    const note = `import { appendFileSync as add } from "node:fs";
const FOLDER = ${JSON.stringify(this.path)};
const note = (text) => add(FOLDER + "/journal", text + "\\n");
`;
    writeFileSync(file, (/\bnote\(|\bFOLDER\b/.test(text) ? note : "") + text);
    return file;
  }

  /** Adds a line to the journal. */
  note(text: string): void {
    appendFileSync(join(this.path, "journal"), `${text}\n`);
  }

  /** The journal's lines so far. */
  journal(): string[] {
    try {
      return readFileSync(join(this.path, "journal"), "utf8").split("\n").slice(0, -1);
    } catch {
      return [];
    }
  }
}
