/** Certificates for tests, made by openssl in a folder that goes with the test. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanUpLast, type Owner } from "../clean-up.js";
import { toolPath } from "../tools.js";

/** Paths of PEM files. */
export interface Certificates {
  readonly folder: string;
  readonly ca: string;
  /** Another CA, which has signed nothing. */
  readonly otherCa: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Two CAs, and a server and a client that the first has signed, for 127.0.0.1 and localhost. */
export function makeCertificates(t: Owner): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "poolmesh-certificates-"));
  cleanUpLast(t, () => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]): unknown =>
    execFileSync(toolPath("openssl"), args, { cwd: folder, stdio: "ignore" });
  for (const ca of ["ca", "other"]) {
    openssl(
      "req",
      "-x509",
      ...NEW_KEY,
      "-keyout",
      `${ca}.key`,
      "-out",
      `${ca}.pem`,
      "-days",
      "2",
      "-subj",
      `/CN=${ca}`,
    );
  }
  writeFileSync(join(folder, "names"), "subjectAltName=IP:127.0.0.1,DNS:localhost");
  const signed = (name: string): { cert: string; key: string } => {
    openssl("req", ...NEW_KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.pem`);
    return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  };
  const [server, client] = [signed("server"), signed("client")];
  return { folder, ca: join(folder, "ca.pem"), otherCa: join(folder, "other.pem"), server, client };
}
