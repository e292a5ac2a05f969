/**
 * Digests files: SHA-256, size and gzip size. CPU-bound, so run it in threads:
 * `poolmesh worker --pool digest --handler examples/handlers/digest.ts --isolation thread`.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import type { Job } from "../../index.js";

/** What is known of one file. */
export interface Digest {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly gzipBytes: number;
}

/** A path in, its digest out; several paths in, their digests out. The worker needs to see the same files as the caller. */
export async function run(job: Job): Promise<Digest | Digest[]> {
  if (!Array.isArray(job.payload)) return digest(job.payload);
  const digests: Digest[] = [];
  for (const path of job.payload) digests.push(await digest(path));
  return digests;
}

async function digest(path: unknown): Promise<Digest> {
  if (typeof path !== "string") throw new Error("the payload is not a path");
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`the file cannot be read (${error.code})`);
  });
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { file: path, bytes: content.length, sha256, gzipBytes: gzipSync(content).length };
}
