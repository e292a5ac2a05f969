/** A policy for tests: its files in a folder of their own, and tokens of every kind. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import type { Role } from "../../../mesh/auth/policy/roles.js";
import { hashToken, newToken, type TokenRecord, writeTokens } from "../../../mesh/auth/policy/tokens.js";
import { cleanUpLast, type Owner } from "../clean-up.js";

export const ISSUER = "https://idp.test";
export const AUDIENCE = "poolmesh";

/** What a policy file says, as JSON. */
export type PolicyText = Record<string, unknown>;

/** The files of a policy. */
export class PolicyFiles {
  readonly file: string;
  readonly folder: string;
  readonly #records: TokenRecord[] = [];
  readonly #keys: CryptoKeyPairOf;

  constructor(folder: string, keys: CryptoKeyPairOf) {
    this.folder = folder;
    this.#keys = keys;
    this.file = join(folder, "policy.json");
    this.#writeTokens();
  }

  /** The policy with these grants. It takes tokens of the tokens file, and signed ones. */
  write(grants: readonly PolicyText[], more: PolicyText = {}): void {
    const jwt = { jwks: "keys.json", issuer: ISSUER, audience: AUDIENCE, clockToleranceSeconds: 0 };
    this.writeText(JSON.stringify({ tokens: "tokens.json", jwt, grants, ...more }));
  }

  /** The text of one of the files. */
  read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8");
  }

  /** The key set, as its file says it. */
  writeKeys(text: string): void {
    writeFileSync(join(this.folder, "keys.json"), text);
  }

  writeText(text: string): void {
    writeFileSync(this.file, text);
  }

  /** A new static token, in the tokens file from now on. */
  token(name: string, role: Role, pools: readonly string[], expires?: string): string {
    const token = newToken();
    this.#records.push({ name, sha256: hashToken(token), role, pools, ...(expires === undefined ? {} : { expires }) });
    this.#writeTokens();
    return token;
  }

  /** Takes a static token away. */
  revoke(name: string): void {
    this.#records.splice(
      this.#records.findIndex((each) => each.name === name),
      1,
    );
    this.#writeTokens();
  }

  /** A signed token of this subject; `claims` win. */
  jwt(subject: string, claims: JWTPayload = {}): Promise<string> {
    return this.#signer(subject, claims).setProtectedHeader({ alg: "ES256", kid: "k1" }).sign(this.#keys.privateKey);
  }

  /** Signed tokens that must never be taken, by what is wrong with them. */
  async badJwts(subject: string): Promise<Record<string, string>> {
    const now = Math.floor(Date.now() / 1_000);
    const stranger = await generateKeyPair("ES256", { extractable: true });
    const jwk = await exportJWK(stranger.publicKey);
    const byStranger = (header: object): Promise<string> =>
      this.#signer(subject, {})
        .setProtectedHeader({ alg: "ES256", ...header })
        .sign(stranger.privateKey);
    const publicKey = new TextEncoder().encode(JSON.stringify(await exportJWK(this.#keys.publicKey)));
    const good = await this.jwt(subject);
    const [head = "", , signature = ""] = good.split(".");
    const forged = Buffer.from(JSON.stringify({ ...payloadOf(good), sub: "root" })).toString("base64url");
    return {
      expired: await this.jwt(subject, { exp: now - 1 }),
      "not valid yet": await this.jwt(subject, { nbf: now + 600 }),
      "without an end": await this.jwt(subject, { exp: undefined }),
      "without a subject": await this.jwt("", {}),
      "for another audience": await this.jwt(subject, { aud: "elsewhere" }),
      "of another issuer": await this.jwt(subject, { iss: "https://evil.test" }),
      "alg none": new UnsecuredJWT({ ...payloadOf(good) }).encode(),
      "signed by a stranger": await byStranger({ kid: "k1" }),
      "signed by a stranger, with the key in its header": await byStranger({ kid: "k1", jwk }),
      "signed by a stranger, with a place of the key": await byStranger({
        jku: "http://127.0.0.1:1/keys",
        kid: "other",
      }),
      "with an extension that is not known": await this.#signer(subject, {})
        .setProtectedHeader({ alg: "ES256", kid: "k1", crit: ["x"], x: 1 })
        .sign(this.#keys.privateKey, { crit: { x: true } }),
      "the public key as a secret": await this.#signer(subject, {})
        .setProtectedHeader({ alg: "HS256", kid: "k1" })
        .sign(publicKey),
      "changed after it was signed": `${head}.${forged}.${signature}`,
    };
  }

  #signer(subject: string, claims: JWTPayload): SignJWT {
    const now = Math.floor(Date.now() / 1_000);
    const all = { iss: ISSUER, aud: AUDIENCE, sub: subject, iat: now, exp: now + 600, ...claims };
    return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  }

  #writeTokens(): void {
    writeFileSync(join(this.folder, "tokens.json"), writeTokens(this.#records));
  }
}

type CryptoKeyPairOf = { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };

/** Makes the folder, with a key set; it goes with the test `t`. */
export async function makePolicy(t: Owner): Promise<PolicyFiles> {
  const folder = mkdtempSync(join(tmpdir(), "poolmesh-policy-"));
  cleanUpLast(t, () => rmSync(folder, { recursive: true, force: true }));
  const keys = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "k1", use: "sig" };
  writeFileSync(join(folder, "keys.json"), JSON.stringify({ keys: [jwk] }));
  return new PolicyFiles(folder, keys);
}

function payloadOf(token: string): JWTPayload {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as JWTPayload;
}
