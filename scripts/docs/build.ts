/**
 * Builds the site of documents and references: `npm run docs`, or
 * `node --import tsx scripts/docs/build.ts [FOLDER]`; the default is site/.
 *
 * The pages are README.md, CHANGELOG.md and docs/ as they are, the reference of what `poolmesh`, `poolmesh/browser` and
 * `poolmesh/testing` export, from the docstrings, and that of the .proto files, from their comments. It needs no
 * network. It fails when a link leads nowhere, and when TypeDoc warns of anything.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { packageRoot } from "../../mesh/process/identity.js";
import { deadLinks } from "./links.js";
import { protoPages } from "./proto-pages.js";
import { SECTIONS } from "./sections.js";
import { type Staged, stageDocuments } from "./stage.js";

const ROOT = packageRoot();
const STAGE = join(ROOT, ".cache", "docs-site");
/** Those that the sources use; what is generated bears one of its own. */
const BLOCK_TAGS =
  "category default defaultValue deprecated example generated module param returns see throws typeParam"
    .split(" ")
    .map((name) => `@${name}`);
const REPOSITORY_FILES = "docs/ and scripts/docs/";

const site = resolve(process.argv[2] ?? join(ROOT, "site"));
const beganAt = performance.now();
const staged = stageDocuments(ROOT, STAGE, protoPages(descriptors()));
rmSync(site, { recursive: true, force: true });
typedoc(staged);
const dead = deadLinks(site);
if (dead.length > 0) fail(`links that lead nowhere; they are made from ${REPOSITORY_FILES}:\n${dead.join("\n")}`);
const seconds = ((performance.now() - beganAt) / 1_000).toFixed(0);
console.log(`${join(site, "index.html")}: every link leads somewhere (${seconds} s)`);

/** All .proto files, with their comments. */
function descriptors(): ReturnType<typeof readDescriptors> {
  const file = `${STAGE}.binpb`;
  run("buf", join(ROOT, "node_modules/@bufbuild/buf/bin/buf"), ["build", "--as-file-descriptor-set", "-o", file]);
  return readDescriptors(file);
}

function readDescriptors(file: string) {
  return fromBinary(FileDescriptorSetSchema, readFileSync(file));
}

function typedoc({ folder, documents }: Staged): void {
  const options = join(folder, "typedoc.json");
  const at = (path: string): string => join(folder, path);
  writeFileSync(
    options,
    JSON.stringify({
      entryPoints: ["index.ts", "browser.ts", "testing.ts"].map((name) => join(ROOT, name)),
      tsconfig: join(ROOT, "scripts/docs/tsconfig.json"),
      out: site,
      plugin: [join(ROOT, "scripts/docs/paths-router.js")],
      router: "paths",
      name: "Poolmesh",
      readme: at("README.md"),
      projectDocuments: documents.map(at),
      customCss: join(ROOT, "scripts/docs/site.css"),
      favicon: join(ROOT, "services/meter/page/public/favicon.svg"),
      treatWarningsAsErrors: true,
      logLevel: "Warn",
      validation: { notExported: false, invalidLink: true, invalidPath: true, rewrittenLink: true },
      blockTags: BLOCK_TAGS,
      excludeTags: ["@generated"],
      excludeExternals: true,
      disableSources: true,
      hideGenerator: true,
      includeVersion: true,
      searchInDocuments: true,
      searchInComments: true,
      navigation: { includeCategories: true, includeGroups: false, includeFolders: false },
      categoryOrder: SECTIONS.map(({ title }) => title),
      sort: ["documents-first", "kind", "alphabetical-ignoring-documents"],
      sortEntryPoints: false,
      highlightLanguages: ["ts", "js", "json", "sh", "console", "yaml", "go", "python", "proto", "text", "log", "diff"],
    }),
  );
  const hook = join(ROOT, "scripts/docs/typescript-for-docs.js");
  run("TypeDoc", process.execPath, [
    "--import",
    hook,
    join(ROOT, "node_modules/typedoc/bin/typedoc"),
    "--options",
    options,
  ]);
}

function run(what: string, command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) fail(`${what} failed\n${stdout}${stderr}`);
}

function fail(message: string): never {
  console.error(`docs: ${message.trim()}`);
  process.exit(1);
}
