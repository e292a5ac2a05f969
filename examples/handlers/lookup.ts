/**
 * Looks words up in a table that is loaded once: a handler with a life.
 * `poolmesh worker --pool lookup --handler examples/handlers/lookup.ts`, then `poolmesh submit lookup '"one"'`.
 */
import { readFile } from "node:fs/promises";
import type { HandlerContext, Job } from "../../index.js";

const TABLE = new URL("./lookup.json", import.meta.url);

/** What went wrong, with a code that a caller can compare. */
class LookupError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** A word in, its entry out. `setup` has run before the first job, `teardown` runs after the last. */
class Lookup {
  #entries = new Map<string, string>();

  async setup({ signal }: HandlerContext): Promise<void> {
    const table = JSON.parse(await readFile(TABLE, { encoding: "utf8", signal })) as Record<string, string>;
    this.#entries = new Map(Object.entries(table));
  }

  run(job: Job): string {
    const entry = this.#entries.get(String(job.payload));
    if (entry === undefined) throw new LookupError("the table has no such word", "word.unknown");
    return entry;
  }

  teardown(): void {
    this.#entries.clear();
  }
}

export default new Lookup();
