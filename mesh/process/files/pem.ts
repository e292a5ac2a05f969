/**
 * Checks of PEM texts.
 *
 * Pure. Node takes a text that is none and fails much later, with a message that does
 * not name the file. Each check answers with what is wrong, or with undefined.
 */
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/;

/** The certificates in a text, each as PEM. */
export function certificatesIn(text: string): readonly string[] {
  return text.match(CERTIFICATE) ?? [];
}

/** What is wrong with a text that should be one or more certificates. */
export function certificatesMistake(text: string): string | undefined {
  const blocks = certificatesIn(text);
  if (blocks.length === 0) return "the file holds no certificate (PEM)";
  return blocks.every(parses) ? undefined : "a certificate in the file does not parse";
}

/** What is wrong with a text that should be a private key. */
export function keyMistake(text: string): string | undefined {
  return PRIVATE_KEY.test(text) ? undefined : "the file holds no private key (PEM)";
}

/** Whether a key is that of a certificate, and not encrypted. */
export function isPair(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key });
    return true;
  } catch {
    return false;
  }
}

function parses(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
}
