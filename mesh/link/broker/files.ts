/**
 * The files of a connection: certificates, keys, credentials.
 *
 * Decided here: each is read and checked before anything is dialed, since Node
 * and the NATS client take a file that is none of these and fail much later
 * with a text that does not name it.
 */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator, type TlsOptions } from "nats";
import { PoolError } from "../../errors.js";
import type { BusOptions } from "../bus.js";

/** What the files become. */
export interface BrokerFiles {
  /** Undefined when no option asks for TLS. */
  readonly tls: TlsOptions | undefined;
  readonly authenticator: Authenticator | undefined;
}

type FileOption = "credsFile" | "nkeyFile" | "tlsCaFile" | "tlsCertFile" | "tlsKeyFile";

const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g;
const USER_SEED = /\bSU[A-Z2-7]{56}\b/;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/;

/** @throws PoolError `invalid_argument` naming the option whose file is missing or is not what it should be */
export async function readBrokerFiles(options: BusOptions): Promise<BrokerFiles> {
  const [ca, cert, key] = [
    await readText(options, "tlsCaFile"),
    await readText(options, "tlsCertFile"),
    await readText(options, "tlsKeyFile"),
  ];
  if (ca !== undefined) requireCertificates("tlsCaFile", ca);
  if (cert !== undefined) requireCertificates("tlsCertFile", cert);
  if (key !== undefined && !PRIVATE_KEY.test(key)) throw refused("tlsKeyFile", "the file holds no private key (PEM)");
  if (cert !== undefined && key === undefined) throw refused("tlsCertFile", "needs tlsKeyFile, the certificate's key");
  if (key !== undefined && cert === undefined) throw refused("tlsKeyFile", "needs tlsCertFile, the key's certificate");
  if (cert !== undefined && key !== undefined) requirePair(cert, key);
  const all = Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined);
  const tls = all.length === 0 ? undefined : (Object.fromEntries(all) as TlsOptions);
  const creds = toAuthenticator(await readText(options, "credsFile"));
  return { tls, authenticator: creds ?? toNkeyAuthenticator(await readText(options, "nkeyFile")) };
}

async function readText(options: BusOptions, field: FileOption): Promise<string | undefined> {
  const path = options[field];
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw refused(field, `cannot read the file (${(error as NodeJS.ErrnoException).code ?? "error"})`, error);
  }
}

function requireCertificates(field: FileOption, text: string): void {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw refused(field, "the file holds no certificate (PEM)");
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw refused(field, "a certificate in the file does not parse", error);
    }
  }
}

function requirePair(cert: string, key: string): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw refused("tlsKeyFile", "the file is not the unencrypted key of the certificate in tlsCertFile", error);
  }
}

function toAuthenticator(creds: string | undefined): Authenticator | undefined {
  if (creds === undefined) return undefined;
  const authenticator = credsAuthenticator(new TextEncoder().encode(creds));
  try {
    authenticator("nonce");
  } catch (error) {
    throw refused("credsFile", "the file holds no NATS user JWT and seed", error);
  }
  return authenticator;
}

/** The seed may stand among comments, as tools write it. */
function toNkeyAuthenticator(text: string | undefined): Authenticator | undefined {
  if (text === undefined) return undefined;
  const seed = USER_SEED.exec(text)?.[0] ?? "";
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(seed));
  try {
    authenticator("nonce");
  } catch (error) {
    throw refused("nkeyFile", "the file holds no seed of an nkey user", error);
  }
  return authenticator;
}

function refused(field: FileOption, why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `configuration:\n  ${field}: ${why}`, { field, cause });
}
