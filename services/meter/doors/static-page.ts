/**
 * The live page's files, with a content policy that allows nothing from other origins.
 *
 * Decided here: the headers, what a browser may cache, and that only files that were
 * there when the folder was read are served. No path is built from a request. Not
 * decided here: what the page shows.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { answerText, type HttpRequest, type HttpResponse, pathOf } from "../../../mesh/http/rpc/exchange.js";

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
} as const;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
};

const NOT_BUILT = `This meter has no page: it was started from sources, and the page is not built.
Build it with "npm run build", then reload. The meter itself works:

  /metrics   Prometheus
  /healthz   /readyz
  /poolmesh.v1.MeterService/GetCapacity   Connect, gRPC and gRPC-Web

  curl -H "content-type: application/json" -d "{}" http://HOST:PORT/poolmesh.v1.MeterService/GetCapacity`;

/** What the page is told about its meter. */
export interface PageConfig {
  /** Whether it takes control requests. */
  readonly control: boolean;
  /** Whether it shows the durable lane. */
  readonly durable: boolean;
  readonly version: string;
}

interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  readonly gzip: Buffer;
  /** Its name changes with its content. */
  readonly hashed: boolean;
}

/** Serves the page. */
export class StaticPage {
  readonly #folder: string;
  readonly #config: PageConfig;
  #files: ReadonlyMap<string, PageFile>;

  /** @param folder where the built page is; it may be missing */
  constructor(folder: string, config: PageConfig) {
    this.#folder = folder;
    this.#config = config;
    this.#files = readFolder(folder);
  }

  /** Answers a request for one of its paths; false when it is not one. */
  answer(req: HttpRequest, res: HttpResponse): boolean {
    const path = pathOf(req);
    const file = this.#find(path);
    if (file === undefined && path !== "/" && path !== "/page-config.json") return false;
    if (req.method !== "GET" && req.method !== "HEAD") {
      answerText(res, 405, "method not allowed: use GET", { allow: "GET, HEAD" });
    } else if (path === "/page-config.json") this.#sendConfig(req, res);
    else if (file === undefined) answerText(res, 200, NOT_BUILT);
    else send(req, res, file);
    return true;
  }

  #find(path: string): PageFile | undefined {
    if (path === "/" && !this.#files.has("/index.html")) this.#files = readFolder(this.#folder);
    return this.#files.get(path === "/" ? "/index.html" : path);
  }

  #sendConfig(req: HttpRequest, res: HttpResponse): void {
    const body = Buffer.from(JSON.stringify(this.#config));
    send(req, res, { type: "application/json", body, gzip: body, hashed: false });
  }
}

function send(req: HttpRequest, res: HttpResponse, file: PageFile): void {
  const zipped = file.gzip !== file.body && /\bgzip\b/.test(String(req.headers["accept-encoding"] ?? ""));
  const body = zipped ? file.gzip : file.body;
  const headers: Record<string, string> = {
    ...SECURITY_HEADERS,
    "content-type": file.type,
    "content-length": String(body.length),
    "cache-control": file.hashed ? "public, max-age=31536000, immutable" : "no-cache",
    vary: "accept-encoding",
  };
  if (zipped) headers["content-encoding"] = "gzip";
  res.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  if (req.method === "HEAD") res.end();
  else res.end(body);
}

function readFolder(folder: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const path of filesOf(folder)) {
    const name = `/${relative(folder, path).split(sep).join("/")}`;
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const body = readFileSync(path);
    files.set(name, { type, body, gzip: gzipSync(body), hashed: name.startsWith("/assets/") });
  }
  return files;
}

function filesOf(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  } catch {
    return [];
  }
}
