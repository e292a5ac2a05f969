/**
 * The generated part of docs/permissions.md: the table of rights, for people and
 * for a broker.
 *
 * `node --import tsx scripts/permissions-doc.ts` prints it; with --write it is put
 * between the document's markers.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { confUser } from "../cli/rights/formats.js";
import type { Holder, Right, Rights, Role } from "../cli/rights/right.js";
import { rightsOf } from "../cli/rights/table.js";

const BEGIN = "<!-- rights -->";
const END = "<!-- /rights -->";
const DOCUMENT = fileURLToPath(new URL("../docs/permissions.md", import.meta.url));

/** One example of each role. */
const EXAMPLES: readonly (readonly [role: Role, what: string, rights: Rights])[] = [
  ["client", "A client `C` of pool `P`", rightsOf({ role: "client", pools: ["P"], name: "C" })],
  ["worker", "A worker `W` of pool `P`", rightsOf({ role: "worker", pools: ["P"], name: "W" })],
  ["manager", "A manager `M`", rightsOf({ role: "manager", name: "M" })],
  ["meter", "A meter `T`", rightsOf({ role: "meter", name: "T" })],
  ["operator", "An operator `O`: who runs commands such as `drain`", rightsOf({ role: "operator", name: "O" })],
];

/** What the durable lane adds, for a pool and for all of them. */
const DURABLE: readonly (readonly [what: string, holder: Holder])[] = [
  ["client `C` of pool `P`", { role: "client", pools: ["P"], name: "C" }],
  ["manager `M` of pool `P`", { role: "manager", pools: ["P"], name: "M" }],
  ["manager `M` of all pools", { role: "manager", name: "M" }],
  ["meter `T` of pool `P` that is started with `--durable`", { role: "meter", pools: ["P"], name: "T" }],
  ["operator `O` of pool `P`", { role: "operator", pools: ["P"], name: "O" }],
];

/** What large payloads add. */
const LARGE: readonly (readonly [what: string, holder: Holder])[] = [
  ["client `C` of pool `P`", { role: "client", pools: ["P"], name: "C" }],
  [
    "client `C` of pool `P` with the durable lane, all of it",
    { role: "client", pools: ["P"], name: "C", durable: true },
  ],
  [
    "worker `W` of pool `P`, which runs with `--inbox-prefix _INBOX.worker.W` then",
    { role: "worker", pools: ["P"], name: "W" },
  ],
  ["manager `M` of pool `P` with the durable lane", { role: "manager", pools: ["P"], name: "M", durable: true }],
];

/** A mesh whose users are in the example configuration. */
const MESH: readonly Rights[] = [
  rightsOf({ role: "client", pools: ["adder"], name: "shop" }),
  rightsOf({ role: "worker", pools: ["adder"], name: "w1" }),
  rightsOf({ role: "manager", name: "m1" }),
  rightsOf({ role: "meter", name: "t1" }),
  rightsOf({ role: "operator", name: "ops" }),
];

/** The generated part as Markdown, with a line end. */
export function rightsMarkdown(): string {
  const lines = EXAMPLES.flatMap(([role, what, rights]) => [
    `### ${role}`,
    "",
    `${what}. ${inbox(rights)}`,
    "",
    ...table(rights),
    "",
  ]);
  return [
    ...lines,
    "### With the durable lane",
    "",
    ...wrapped(
      "`--durable` adds what follows. A worker needs nothing more: it does not know by which lane a job came. A meter " +
        "needs it only to show the lane on its page. An operator or a meter of all pools has `*` in place of each " +
        "stream, as the manager of all pools has.",
    ),
    "",
    ...DURABLE.flatMap(([what, holder]) => [
      `A ${what}:`.replace("A operator", "An operator"),
      "",
      ...added(holder, { durable: true }),
      "",
    ]),
    "### With payloads over the broker's limit",
    "",
    ...wrapped(
      "`--large-payloads` adds what follows. A core manager, a meter and an operator need nothing more. The buckets " +
        "are made beforehand by who may make streams: who may make a stream may have it take any subject.",
    ),
    "",
    ...LARGE.flatMap(([what, holder]) => [`A ${what}:`, "", ...added(holder, { large: true }), ""]),
    "### All of them in one configuration",
    "",
    "<!-- not run: test/integration/edge/permissions-mesh.test.ts starts a broker with such users -->",
    "```",
    "authorization {",
    "  users = [",
    ...MESH.flatMap((rights) => confUser(rights).map((line) => `    ${line}`)),
    "  ]",
    "}",
    "```",
    "",
  ].join("\n");
}

/** What stands between the markers of the document; undefined when they are not there. */
export function rightsIn(document: string): string | undefined {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  return from === -1 || to < from ? undefined : document.slice(from + BEGIN.length + 2, to);
}

function inbox({ inboxPrefix }: Rights): string {
  return inboxPrefix === undefined
    ? "It asks nothing, so it has no inbox."
    : `It runs with \`--inbox-prefix ${inboxPrefix}\`.`;
}

/** What a holder has more when it takes part in this, too. */
function added(holder: Holder, too: Partial<Holder>): string[] {
  const [base, more] = [rightsOf(holder), rightsOf({ ...holder, ...too })];
  const isNew = (list: readonly Right[]) => (right: Right) => !list.some((each) => each.subject === right.subject);
  const publish = more.publish.filter(isNew(base.publish));
  const subscribe = more.subscribe.filter(isNew(base.subscribe));
  return table({ publish, subscribe, responses: undefined });
}

/** Text in lines of at most 120 characters. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= 120) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function table({ publish, subscribe, responses }: Pick<Rights, "publish" | "subscribe" | "responses">): string[] {
  return [
    "| it may | subject | for |",
    "| --- | --- | --- |",
    ...publish.map((right) => row("publish", right)),
    ...subscribe.map((right) => row("subscribe", right)),
    ...(responses === undefined
      ? []
      : [
          `| answer | \`allow_responses\`: ${responses.max}, within ${responses.withinMs / 1_000} s | questions that it received |`,
        ]),
  ];
}

function row(may: string, { subject, queue, why }: Right): string {
  return `| ${may} | \`${subject}\`${queue === undefined ? "" : `, queue group \`${queue}\` only`} | ${why} |`;
}

function main(write: boolean): void {
  if (!write) {
    process.stdout.write(rightsMarkdown());
    return;
  }
  const document = readFileSync(DOCUMENT, "utf8");
  const old = rightsIn(document);
  if (old === undefined) throw new Error(`docs/permissions.md has no ${BEGIN} … ${END}`);
  writeFileSync(
    DOCUMENT,
    document.replace(`${BEGIN}\n\n${old}${END}`, () => `${BEGIN}\n\n${rightsMarkdown()}${END}`),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes("--write"));
