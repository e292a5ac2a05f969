import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../../mesh/process/identity.js";

/** Part → what it may import of ours, and why no more. index.ts, browser.ts and testing.ts are the gates. */
const LAYERS: readonly { part: RegExp; may: RegExp; reason: string }[] = [
  { part: /^gen\//, may: /^gen\//, reason: "generated code stands alone" },
  { part: /^mesh\//, may: /^(gen|mesh)\//, reason: "mesh is what all parts agree on, so it knows none of them" },
  { part: /^client\//, may: /^(gen|mesh|client)\//, reason: "the client must stay light: it embeds no service" },
  { part: /^broker\//, may: /^(mesh|broker)\//, reason: "the broker is NATS itself: it knows nothing of jobs" },
  {
    part: /^(browser\/|browser\.ts$|services\/meter\/page\/)/,
    may: /^(gen|mesh|browser|services\/meter\/page)(\/|\.ts$)/,
    reason: "it runs in a browser, next to nothing of ours but the contract",
  },
  {
    part: /^services\/manager\//,
    may: /^(gen|mesh|client|services\/manager)\//,
    reason: "a service never imports another; a manager submits to another as a client does",
  },
  { part: /^services\/worker\//, may: /^(gen|mesh|services\/worker)\//, reason: "a service never imports another" },
  {
    part: /^services\/meter\//,
    may: /^(gen|mesh|client|services\/meter)\//,
    reason: "a service never imports another; a meter reads the durable lane as a client does",
  },
  {
    part: /^testing(\/|\.ts$)/,
    may: /^(gen|mesh|client|services|testing)(\/|\.ts$)/,
    reason: "the tools for tests use the parts of a mesh as a program does",
  },
  {
    part: /^(cli\/|index\.ts$)/,
    may: /^(gen|mesh|client|broker|browser|services|cli)(\/|\.ts$)/,
    reason: "the product does not depend on its tests, examples or scripts",
  },
];

const BROWSER_GATES = /^(browser\.ts$|services\/meter\/page\/(?!vite\.config))/;
const NOT_IN_A_BROWSER = /^(node:|nats$|pino|piscina$|commander$|prom-client$|@connectrpc\/connect-node)/;
const SIGNALS_AND_EXIT = /\bprocess\.(exit\(|(on|once)\("(SIG|uncaught|unhandled))/;
const OWNS_A_PROCESS = /(^|\/)(main|process|leave-now|[a-z]+-child)\.ts$/;
const IMPURE_MODULE =
  /^(nats$|node:(net|http|http2|https|timers|child_process|worker_threads|fs)|@connectrpc\/connect-node)/;
const IMPURE_CALL = /\b(setTimeout|setInterval|Date\.now|performance\.now)\(/;
const NAMELESS = /(^|\/)(utils?|common|helpers?|lib|types)(\.ts|\/)/;

const root = packageRoot();
const product = ["gen", "mesh", "client", "broker", "browser", "services", "testing", "cli"].flatMap(filesUnder);
const files = [...product, "index.ts", "browser.ts", "testing.ts"].filter((file) => read(file) !== "");

test("import rules - headers of a message are read by headersOf(), which takes malformed ones too", () => {
  report(product, (file) => {
    // the model of NATS makes the messages itself
    if (file === "mesh/wire/wire-headers.ts" || file.startsWith("testing/nats/")) return [];
    return /\bmsg\.headers\b|\{[^}]*\bheaders\b[^}]*\}: Msg\b/.test(read(file))
      ? ["reads msg.headers: nats.js throws there"]
      : [];
  });
});

test("import rules - JSON is parsed by parseJson(), whose error does not quote a payload or a secret", () => {
  report(product, (file) => {
    // the model of NATS has the methods of nats.js
    const mayParse = file === "mesh/job/codec.ts" || file.startsWith("testing/nats/");
    // and a program that starts reads its own package.json before it loads anything else
    if (mayParse || file === "mesh/process/identity.ts") return [];
    return /\bJSON\.parse\b/.test(read(file)) ? ["uses JSON.parse: its error quotes the text"] : [];
  });
});

test("import rules - each part imports only what is below it", () => {
  report(files, (file) => {
    const rule = LAYERS.find((each) => each.part.test(file));
    if (rule === undefined) return [];
    return ownImports(file)
      .filter((target) => !rule.may.test(target))
      .map((target) => `imports ${target}: ${rule.reason}`);
  });
});

test("import rules - no file imports itself through others, not even a type", () => {
  report(files, (file) => {
    const way = wayBack(file);
    return way === undefined ? [] : [`imports itself: ${way.join(" → ")}; put what both need into a file below them`];
  });
});

test("import rules - nothing that a browser loads reaches Node or NATS", () => {
  report(
    files.filter((file) => BROWSER_GATES.test(file)),
    (file) =>
      [...reachable(file)].flatMap((reached) =>
        valueImports(reached)
          .filter((name) => NOT_IN_A_BROWSER.test(name))
          .map((name) => `reaches ${name} through ${reached}: a browser has no such thing`),
      ),
  );
});

/** What a program runs that speaks to the broker and to nobody else. */
const SPEAKS_NATS = [
  "cli/jobs/submit.ts",
  "cli/jobs/map.ts",
  "cli/control/workers.ts",
  "client/client.ts",
  "services/worker/main.ts",
];
const LOADED_WHERE_NEEDED = /^(@connectrpc\/|pino-pretty$)/;

test("import rules - a program that only speaks NATS is not slower to start by Connect, nor by what prints logs for a person", () => {
  report(SPEAKS_NATS, (file) =>
    [...loadedAtOnce(file)].flatMap((loaded) =>
      imports(loaded)
        .filter(({ name, typeOnly, later }) => !(typeOnly || later) && LOADED_WHERE_NEEDED.test(name))
        .map(({ name }) => `loads ${name} through ${loaded}: import it where it is needed`),
    ),
  );
});

/** The pure room: what becomes of a job is decided here. */
const PURE_ROOM = /^(services\/(manager|worker)\/jobs\/|client\/(failover|submission)\.ts$)/;
/** What it may import as values. Types of handlers and of its own service are no code. */
const PURE_IMPORTS = /^(gen|mesh\/(wire|job)|mesh\/errors\.ts|services\/(manager|worker)\/jobs|client)(\/|\.ts$|$)/;
/** NATS and timers live in the link. */
const LINK_ONLY = /\b(setTimeout|setInterval|setImmediate|Date\.now|performance\.now)\(/;

test("import rules - what becomes of a job is decided without a connection, a timer or a clock of its own", () => {
  report(
    files.filter((file) => PURE_ROOM.test(file)),
    (file) => [
      ...ownValueImports(file)
        .filter((target) => !PURE_IMPORTS.test(target))
        .map((target) => `imports ${target}: the simulator and the unit tests run this room on a number for a clock`),
      ...valueImports(file)
        .filter((name) => IMPURE_MODULE.test(name))
        .map((name) => `imports ${name}: this room has no NATS and no I/O; ask for a port`),
      ...(LINK_ONLY.test(code(file)) ? ["calls a timer or a clock: take the time as an argument"] : []),
    ],
  );
});

test("import rules - what travels knows no connection", () => {
  report(
    files.filter((file) => /^mesh\/(wire|job)\//.test(file)),
    (file) =>
      ownImports(file)
        .filter((target) => /^mesh\/(link|process|http)\//.test(target))
        .map((target) => `imports ${target}: mesh/wire and mesh/job are below mesh/link`),
  );
});

test("import rules - the parts of a manager, a worker and a client take time and timers from their bus", () => {
  report(
    files
      .filter((file) => /^(client|mesh\/link|services\/(manager|worker))\//.test(file))
      .filter((file) => !OWN_TIME.test(file)),
    (file) => {
      const call = LINK_ONLY.exec(code(file));
      return call === null
        ? []
        : [`calls ${call[1]}: take it from bus.runtime, so that the simulator can run this file`];
    },
  );
});

/** The runtime itself, and handlers: they run the user's code in real time. */
const OWN_TIME = /^(mesh\/link\/runtime\.ts$|services\/worker\/handlers\/)/;

test("import rules - a file that calls itself pure imports no I/O and asks for no time", () => {
  const pure = files.filter((file) => /\bPure[.:;]/.test(head(file)));
  assert.ok(pure.length > 0);
  report(pure, (file) => {
    const modules = valueImports(file).filter((name) => IMPURE_MODULE.test(name));
    const call = IMPURE_CALL.exec(code(file));
    return [
      ...modules.map((name) => `imports ${name}, although it calls itself pure`),
      ...(call === null ? [] : [`calls ${call[1]}, although it calls itself pure: take the time as an argument`]),
    ];
  });
});

test("import rules - only the main file of a process takes signals and exits", () => {
  report(
    files.filter((file) => !OWNS_A_PROCESS.test(file)),
    (file) => {
      const use = SIGNALS_AND_EXIT.exec(code(file));
      return use === null ? [] : [`uses ${use[0]}…: a library must not decide over its process`];
    },
  );
});

test("import rules - exports have names, and files say what they are", () => {
  report(files, (file) => [
    ...(/^export default/m.test(code(file)) && !file.endsWith(".config.ts")
      ? ["has a default export: an importer could call it anything"]
      : []),
    ...(NAMELESS.test(file) ? ["has a name that says nothing about what is inside"] : []),
  ]);
});

function report(among: readonly string[], problemsOf: (file: string) => string[]): void {
  const problems = among.flatMap((file) => problemsOf(file).map((problem) => `${file} ${problem}`));
  assert.equal(problems.join("\n"), "");
}

/** The files of ours that run when `file` is imported, itself included. */
function reachable(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const name of valueImports(file).filter((each) => each.startsWith("."))) reachable(resolve(file, name), seen);
  return seen;
}

/** The files of ours that are loaded when `file` is, itself included; not what is imported later, by import(). */
function loadedAtOnce(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const here = imports(file).filter(({ name, typeOnly, later }) => !typeOnly && !later && name.startsWith("."));
  for (const { name } of here) loadedAtOnce(resolve(file, name), seen);
  return seen;
}

/** The shortest way from a file to itself; undefined when there is none. */
function wayBack(file: string): string[] | undefined {
  const ways: string[][] = [[file]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const target of importsOf(way.at(-1) as string)) {
      if (target === file) return [...way, file];
      if (seen.has(target)) continue;
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return undefined;
}

const importsByFile = new Map<string, string[]>();

function importsOf(file: string): string[] {
  const known = importsByFile.get(file) ?? ownImports(file);
  importsByFile.set(file, known);
  return known;
}

/** The files of ours that a file imports, as paths from the root. */
function ownImports(file: string): string[] {
  return imports(file)
    .filter(({ name }) => name.startsWith("."))
    .map(({ name }) => resolve(file, name));
}

/** The files of ours that a file imports for more than their types. */
function ownValueImports(file: string): string[] {
  return valueImports(file)
    .filter((name) => name.startsWith("."))
    .map((name) => resolve(file, name));
}

function resolve(file: string, name: string): string {
  return normalize(join(dirname(file), name)).replace(/\.js$/, ".ts");
}

function valueImports(file: string): string[] {
  return imports(file)
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ name }) => name);
}

function imports(file: string): { name: string; typeOnly: boolean; later: boolean }[] {
  const found = code(file).matchAll(
    /^(?:import|export)(\s+type)?\s(?:[^;]*?\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  return [...found].map((match) => ({
    name: match[2] ?? match[3] ?? "",
    typeOnly: match[1] !== undefined,
    later: match[2] === undefined,
  }));
}

/** A file without its comments. */
function code(file: string): string {
  return read(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

/** The module comment. */
function head(file: string): string {
  return /^\/\*\*[\s\S]*?\*\//.exec(read(file))?.[0] ?? "";
}

function read(file: string): string {
  try {
    return readFileSync(join(root, file), "utf8");
  } catch {
    return "";
  }
}

function filesUnder(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  } catch {
    return [];
  }
}
