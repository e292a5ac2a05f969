/** The site of the documents: what finds its dead links, and what it is made of. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { packageRoot } from "../../../mesh/process/identity.js";
import { deadLinksOf } from "../../../scripts/docs/links.js";
import { protoPages } from "../../../scripts/docs/proto-pages.js";
import { inOrder, SECTIONS, sectionOf } from "../../../scripts/docs/sections.js";
import { addressOf, withFrontMatter } from "../../../scripts/docs/stage.js";

const root = packageRoot();

test("site - a link to a page, picture or heading that is not there is found, and one that is there is not", () => {
  const page = (body: string): string => `<html><body>${body}</body></html>`;
  const dead = deadLinksOf(
    new Map([
      [
        "index.html",
        page('<a href="docs/a.html#one">1</a><a class="x" href="docs/a.html#none">2</a><img src="no.png">'),
      ],
      [
        "docs/a.html",
        page('<h2 id="one">1</h2><a href="../index.html">3</a><a href="#two">4</a><a href="b.html">5</a>'),
      ],
    ]),
    new Set(["index.html", "docs/a.html", "yes.png"]),
  );
  assert.deepEqual(dead, [
    "index.html links to docs/a.html#none, which has no such place",
    "index.html links to no.png, which is not there",
    "docs/a.html links to #two, which has no such place",
    "docs/a.html links to b.html, which is not there",
  ]);
});

test("site - links to other sites and within escaped addresses are left alone", () => {
  const html =
    '<a href="https://example.com/x#y">1</a><a href="mailto:a@b.c">2</a><a href="a%20b.html?q=1&amp;r=2#%C3%A9">3</a>';
  const pages = new Map([
    ["index.html", html],
    ["a b.html", '<p id="é">'],
  ]);
  assert.deepEqual(deadLinksOf(pages, new Set(pages.keys())), []);
});

test("site - every document of the repository stands in one section, and every section names documents that are there", () => {
  const documents = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !/^adr\/\d/.test(name))
    .map((name) => `docs/${name}`);
  assert.deepEqual(
    documents.filter((path) => sectionOf(path) === undefined),
    [],
  );
  const named = SECTIONS.flatMap((section) => section.documents).filter((path) => path !== "proto/");
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  );
});

test("site - documents come in the order of their sections, those of a folder by name with README first", () => {
  const shuffled = ["CHANGELOG.md", "docs/migration/celery.md", "docs/glossary.md", "docs/migration/README.md"];
  assert.deepEqual(inOrder(shuffled), [
    "docs/glossary.md",
    "docs/migration/README.md",
    "docs/migration/celery.md",
    "CHANGELOG.md",
  ]);
});

test("site - a document's address is its path, and a README's that of its folder", () => {
  assert.equal(addressOf("docs/keda.md"), "docs/keda");
  assert.equal(addressOf("docs/adr/README.md"), "docs/adr/index");
  assert.equal(addressOf("CHANGELOG.md"), "changelog");
});

test("site - the title of a document is its first heading, without marks of code", () => {
  assert.match(
    withFrontMatter("docs/keda.md", '# The `x` of "y"\n\nText.\n'),
    /^---\ntitle: "The x of \\"y\\""\npath: "docs\/keda"\n/,
  );
  assert.throws(() => withFrontMatter("docs/keda.md", "Text.\n"), /docs\/keda\.md has no title/);
});

test("site - a page of a .proto file has its comments, and types lead to where they are explained", () => {
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "a/v1/one.proto",
        package: "a.v1",
        messageType: [
          {
            name: "Ask",
            field: [
              { name: "what", number: 1, typeName: ".a.v1.Kind", type: FieldDescriptorProto_Type.ENUM },
              { name: "text", number: 2, type: FieldDescriptorProto_Type.STRING },
            ],
          },
        ],
        service: [{ name: "Asker", method: [{ name: "Do", inputType: ".a.v1.Ask", outputType: ".a.v1.Ask" }] }],
        sourceCodeInfo: { location: [{ path: [4, 0, 2, 1], leadingComments: " Any text,\n also *none* | this.\n" }] },
      },
      { name: "a/v1/two.proto", package: "a.v1", enumType: [{ name: "Kind", value: [{ name: "KIND_A", number: 0 }] }] },
    ],
  });
  const page = protoPages(set).get("proto/a/v1/one.md") ?? "";
  assert.ok(page.includes("| 1 | `what` | [`Kind`](../../../proto/a/v1/two.md#kind) |"), page);
  assert.ok(page.includes("| 2 | `text` | `string` | Any text, also \\*none\\* \\| this. |"), page);
  assert.ok(page.includes("| `Do` | [`Ask`](#ask) | [`Ask`](#ask) |"), page);
});
