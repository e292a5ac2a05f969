/**
 * The files of TLS: read and checked at the start, and again when they change.
 *
 * Connections that are open keep what they have; new ones get the new certificate.
 * Files that do not fit together, such as a new certificate whose key is not there yet,
 * change nothing: the log says why, and the next change is looked at again.
 */
import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import { PoolError } from "../../errors.js";
import { certificatesMistake, isPair, keyMistake } from "../../process/files/pem.js";
import { WatchedFiles } from "../../process/files/watched-files.js";
import type { Logger } from "../../process/log.js";

/** Which files there are. */
export interface TlsOptions {
  /** The server's certificate, and those between it and its CA (PEM). */
  readonly tlsCertFile: string;
  /** The certificate's key (PEM), not encrypted. */
  readonly tlsKeyFile: string;
  /** CA certificates that client certificates are checked against (PEM); undefined: clients are not asked for one. */
  readonly tlsClientCaFile?: string;
  /** How often the files are looked at, in milliseconds; default 1,000. */
  readonly tlsIntervalMs?: number;
}

/** A server's certificates. */
export class TlsFiles {
  readonly #options: TlsOptions;
  readonly #log: Logger;
  readonly #watch: WatchedFiles;
  #apply: (context: SecureContextOptions) => void = () => {};

  constructor(options: TlsOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    const paths = [options.tlsCertFile, options.tlsKeyFile, options.tlsClientCaFile].filter(
      (path) => path !== undefined,
    );
    this.#watch = new WatchedFiles(
      () => paths,
      () => this.#reload(),
      options.tlsIntervalMs,
    );
  }

  /** Whether clients are asked for a certificate. */
  get asksClients(): boolean {
    return this.#options.tlsClientCaFile !== undefined;
  }

  /**
   * Reads the files and follows them.
   *
   * @param apply gets what they hold, now and at every change
   * @throws PoolError `invalid_argument` naming the option whose file is missing or is not what it should be
   */
  start(apply: (context: SecureContextOptions) => void): void {
    this.#watch.start();
    apply(this.#read());
    this.#apply = apply;
  }

  stop(): void {
    this.#watch.stop();
  }

  #reload(): void {
    try {
      this.#apply(this.#read());
      this.#log.info({ file: this.#options.tlsCertFile }, "certificates read again");
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "the certificates are wrong; those before stay in use");
    }
  }

  #read(): SecureContextOptions {
    const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = this.#options;
    const cert = read("tlsCertFile", tlsCertFile, certificatesMistake);
    const key = read("tlsKeyFile", tlsKeyFile, keyMistake);
    if (!isPair(cert, key)) {
      throw refused("tlsKeyFile", "the file is not the unencrypted key of the certificate in tlsCertFile");
    }
    if (tlsClientCaFile === undefined) return { cert, key };
    return { cert, key, ca: read("tlsClientCaFile", tlsClientCaFile, certificatesMistake) };
  }
}

function read(field: string, path: string, mistakeIn: (text: string) => string | undefined): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw refused(field, `cannot read the file (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
  const mistake = mistakeIn(text);
  if (mistake !== undefined) throw refused(field, mistake);
  return text;
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `configuration:\n  ${field}: ${why}`, { field });
}
