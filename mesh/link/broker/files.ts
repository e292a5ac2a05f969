/**
 * The files of a connection: certificates, keys, credentials.
 *
 * Decided here: each is read and checked before anything is dialed, since Node
 * and the NATS client take a file that is none of these and fail much later
 * with a text that does not name it.
 */
import { readFile } from "node:fs/promises";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator, type TlsOptions } from "nats";
import { PoolError } from "../../errors.js";
import { certificatesMistake, isPair, keyMistake } from "../../process/files/pem.js";
import type { BusOptions } from "./bus-options.js";

/** What the files become. */
export interface BrokerFiles {
  /** Undefined when no option asks for TLS. */
  readonly tls: TlsOptions | undefined;
  readonly authenticator: Authenticator | undefined;
}

type FileOption = "credsFile" | "nkeyFile" | "tlsCaFile" | "tlsCertFile" | "tlsKeyFile";

const USER_SEED = /\bSU[A-Z2-7]{56}\b/;

/** @throws PoolError `invalid_argument` naming the option whose file is missing or is not what it should be */
export async function readBrokerFiles(options: BusOptions): Promise<BrokerFiles> {
  const [ca, cert, key] = [
    await readText(options, "tlsCaFile"),
    await readText(options, "tlsCertFile"),
    await readText(options, "tlsKeyFile"),
  ];
  refuseIf("tlsCaFile", ca === undefined ? undefined : certificatesMistake(ca));
  refuseIf("tlsCertFile", cert === undefined ? undefined : certificatesMistake(cert));
  refuseIf("tlsKeyFile", key === undefined ? undefined : keyMistake(key));
  if (cert !== undefined && key === undefined) throw refused("tlsCertFile", "needs tlsKeyFile, the certificate's key");
  if (key !== undefined && cert === undefined) throw refused("tlsKeyFile", "needs tlsCertFile, the key's certificate");
  if (cert !== undefined && key !== undefined && !isPair(cert, key)) {
    throw refused("tlsKeyFile", "the file is not the unencrypted key of the certificate in tlsCertFile");
  }
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

function refuseIf(field: FileOption, mistake: string | undefined): void {
  if (mistake !== undefined) throw refused(field, mistake);
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
