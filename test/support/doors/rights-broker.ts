/**
 * A real broker whose users have the rights of the table: as users with passwords,
 * with nkeys, or as user JWTs of an account in operator mode (memory resolver).
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  type KeyPair,
} from "@nats-io/jwt";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator, usernamePasswordAuthenticator } from "nats";
import type { Broker, BrokerOptions } from "../../../broker/broker.js";
import { allBinaries } from "../../../broker/find.js";
import { confUser, jwtPermissions, userName } from "../../../cli/rights/formats.js";
import type { Rights } from "../../../cli/rights/right.js";
import type { BusOptions } from "../../../mesh/link/bus.js";
import { startBroker } from "../broker.js";
import { cleanUp, type Owner } from "../clean-up.js";

export const KINDS = ["users", "nkeys", "JWT"] as const;
/** How the broker knows its users. */
export type Kind = (typeof KINDS)[number];

const PASSWORD = "for-this-test-only";

/** An account without limits: what a JWT does not name is 0, and nobody may connect. */
const NO_LIMITS = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };

/** A broker, and how the holders of rights connect to it. */
export interface RightsBroker {
  readonly broker: Broker;
  /** What the NATS client takes. */
  authenticator(rights: Rights): Authenticator;
  /** What our parts take. */
  busOptions(rights: Rights): BusOptions;
}

/** The newest nats-server that tests use, and the oldest when it is another one. */
export async function serversOfTests(): Promise<readonly { readonly version: string; readonly binary: string }[]> {
  const [newest, ...older] = await allBinaries("nats-server");
  const both = [newest, older.at(-1)].filter((each) => each !== undefined);
  return both
    .filter(({ version }, at) => at === 0 || version !== newest?.version)
    .map(({ version, path }) => ({ version, binary: path }));
}

/** Starts one whose users are the holders of these rights; it is stopped when the test ends. */
export async function startRightsBroker(
  t: Owner,
  kind: Kind,
  all: readonly Rights[],
  binary?: string,
): Promise<RightsBroker> {
  const server = binary === undefined ? {} : { binary };
  if (kind === "JWT") return startOperatorMode(t, all, server);
  if (kind === "nkeys") return startWithNkeys(t, all, server);
  const broker = await startBroker(t, { extraConfig: usersConfig(all), ...server });
  return {
    broker,
    authenticator: (rights) => usernamePasswordAuthenticator(userName(rights), PASSWORD),
    busOptions: (rights) => passwordOptions(broker.url, rights),
  };
}

async function startWithNkeys(t: Owner, all: readonly Rights[], server: BrokerOptions): Promise<RightsBroker> {
  const keys = new Map(all.map((rights) => [rights, createUser()]));
  const folder = await secretsFolder(t);
  const fileOf = (rights: Rights): string => join(folder, `${userName(rights)}.nk`);
  for (const [rights, key] of keys) await writeFile(fileOf(rights), key.getSeed(), { mode: 0o600 });
  const broker = await startBroker(t, {
    extraConfig: usersConfig(all, (rights) => keys.get(rights)?.getPublicKey()),
    ...server,
  });
  return {
    broker,
    authenticator: (rights) => nkeyAuthenticator(keys.get(rights)?.getSeed()),
    busOptions: (rights) => ({ servers: broker.url, nkeyFile: fileOf(rights), ...inboxOf(rights) }),
  };
}

async function secretsFolder(t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-secrets-"));
  cleanUp(t, () => rm(folder, { recursive: true }));
  return folder;
}

/** How a user of {@link usersConfig} connects. */
export function passwordOptions(servers: string, rights: Rights): BusOptions {
  return { servers, user: userName(rights), password: PASSWORD, ...inboxOf(rights) };
}

/** The part of a configuration that gives users these rights. @param nkeyOf of a user that has no password */
export function usersConfig(all: readonly Rights[], nkeyOf?: (rights: Rights) => string | undefined): string {
  const users = all.flatMap((rights) => confUser(rights, nkeyOf?.(rights)));
  return ["authorization: { users: [", ...users, "] }"].join("\n").replaceAll(/\$[A-Z0-9_]+_PASSWORD/g, PASSWORD);
}

async function startOperatorMode(t: Owner, all: readonly Rights[], server: BrokerOptions): Promise<RightsBroker> {
  const [operator, account] = [createOperator(), createAccount()];
  const accountJwt = await encodeAccount("MESH", account, { limits: NO_LIMITS }, { signer: operator });
  const extraConfig = [
    `operator: ${await encodeOperator("TEST", operator)}`,
    "resolver: MEMORY",
    // A user JWT travels in one line of CONNECT; that of a manager with the durable lane has more than 4 KiB.
    "max_control_line: 16KB",
    `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
  ].join("\n");
  const folder = await secretsFolder(t);
  const creds = new Map<Rights, { readonly bytes: Uint8Array; readonly file: string }>();
  for (const rights of all) {
    const bytes = await credsOf(rights, account);
    const file = join(folder, `${userName(rights)}.creds`);
    await writeFile(file, bytes, { mode: 0o600 });
    creds.set(rights, { bytes, file });
  }
  const broker = await startBroker(t, { extraConfig, jetStream: false, ...server });
  return {
    broker,
    authenticator: (rights) => credsAuthenticator(creds.get(rights)?.bytes ?? new Uint8Array()),
    busOptions: (rights) => ({
      servers: broker.url,
      credsFile: creds.get(rights)?.file ?? "",
      ...inboxOf(rights),
    }),
  };
}

async function credsOf(rights: Rights, account: KeyPair): Promise<Uint8Array> {
  const user = createUser();
  const { pub, sub, resp } = jwtPermissions(rights);
  const permissions = {
    pub: { allow: [...pub.allow] },
    sub: { allow: [...sub.allow] },
    ...(resp === undefined ? {} : { resp }),
  };
  return fmtCreds(await encodeUser(userName(rights), user, account, permissions), user);
}

function inboxOf({ inboxPrefix }: Rights): Pick<BusOptions, "inboxPrefix"> {
  return inboxPrefix === undefined ? {} : { inboxPrefix };
}
