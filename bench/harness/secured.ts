/** What an interface needs to be served over TLS to callers with a token: made for one run, in a folder of its own. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "./processes/poolmesh.js";

const { hashToken, newToken, writeTokens } =
  await load<typeof import("../../dist/mesh/auth/policy/tokens.js")>("mesh/auth/policy/tokens.js");

/** Paths of a server's files, and what a client needs to call it. */
export interface Secured {
  readonly certFile: string;
  readonly keyFile: string;
  readonly policyFile: string;
  readonly caller: SecuredCaller;
}

/** The server's certificate, which is its own CA (PEM), and the token of a submitter. */
export interface SecuredCaller {
  readonly ca: string;
  readonly token: string;
}

/** Makes the files with openssl; `remove` takes them away. */
export function makeSecured(): Secured & { remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "poolmesh-bench-"));
  const file = (name: string): string => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"];
  const names = ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"];
  const args = ["req", "-x509", ...key, "-out", "cert.pem", "-days", "2", ...names];
  execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const token = newToken();
  const record = { name: "bench", sha256: hashToken(token), role: "submitter", pools: ["*"] } as const;
  writeFileSync(file("tokens.json"), writeTokens([record]), { mode: 0o600 });
  writeFileSync(file("policy.json"), '{ "tokens": "tokens.json" }');
  return {
    certFile: file("cert.pem"),
    keyFile: file("key.pem"),
    policyFile: file("policy.json"),
    caller: { ca: readFileSync(file("cert.pem"), "utf8"), token },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
