/**
 * The files of TLS: read and checked at the start, and again when they change.
 *
 * Connections that are open keep what they have; new ones get the new certificate.
 * Files that do not fit together, such as a new certificate whose key is not there yet,
 * change nothing: the log says why, and the next change is looked at again.
 */
import type { SecureContextOptions } from "node:tls";
import { PoolError } from "../../errors.js";
import { warnOfLoose } from "../../process/files/file-modes.js";
import { certificatesMistake, isPair, keyMistake } from "../../process/files/pem.js";
import { type ReadFile, WatchedFiles } from "../../process/files/watched-files.js";
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
    this.#watch = new WatchedFiles(() => this.#reload(), options.tlsIntervalMs);
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
    apply(this.#read());
    this.#warnOfLoose();
    this.#apply = apply;
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #reload(): void {
    try {
      this.#apply(this.#read());
      this.#warnOfLoose();
      this.#log.info({ file: this.#options.tlsCertFile }, "certificates read again");
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "the certificates are wrong; those before stay in use");
    }
  }

  #warnOfLoose(): void {
    const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = this.#options;
    warnOfLoose([tlsKeyFile], "secret", this.#log);
    warnOfLoose([tlsCertFile, tlsClientCaFile], "rules", this.#log);
  }

  #read(): SecureContextOptions {
    const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = this.#options;
    return this.#watch.readAll((read) => {
      const cert = textOf("tlsCertFile", tlsCertFile, certificatesMistake, read);
      const key = textOf("tlsKeyFile", tlsKeyFile, keyMistake, read);
      if (!isPair(cert, key)) {
        throw refused("tlsKeyFile", "the file is not the unencrypted key of the certificate in tlsCertFile");
      }
      if (tlsClientCaFile === undefined) return { cert, key };
      return { cert, key, ca: textOf("tlsClientCaFile", tlsClientCaFile, certificatesMistake, read) };
    });
  }
}

function textOf(field: string, path: string, mistakeIn: (text: string) => string | undefined, read: ReadFile): string {
  let text: string;
  try {
    text = read(path);
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
