/** The unit tests of what the services share, in one process; and that none is forgotten. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { OF_SERVICES, OF_SHARED_PARTS } from "./folders.js";
import { importTests } from "./import-tests.js";

test("unit tests - each folder is run by one of the two processes", () => {
  const folders = readdirSync(new URL(".", import.meta.url), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  assert.deepEqual([...OF_SERVICES, ...OF_SHARED_PARTS].sort(), folders.map(({ name }) => name).sort());
});

await importTests(OF_SHARED_PARTS);
