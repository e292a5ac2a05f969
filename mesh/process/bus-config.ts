/** The connection's part of a configuration. Pure. */
import type { BusOptions } from "../link/bus.js";
import type { ConfigOf } from "./config.js";
import type { BUS_OPTIONS, OPTIONS } from "./options.js";

type BusConfig = ConfigOf<Pick<typeof OPTIONS, (typeof BUS_OPTIONS)[number]>>;

/** The options of a configuration that concern the broker; those that were not set are left out. */
export function toBusOptions(config: BusConfig): BusOptions {
  const { servers, user, password, token, credsFile, nkeyFile, inboxPrefix } = config;
  const tls = {
    tlsCaFile: config.natsTlsCaFile,
    tlsCertFile: config.natsTlsCertFile,
    tlsKeyFile: config.natsTlsKeyFile,
  };
  const all = { servers, user, password, token, credsFile, nkeyFile, ...tls, inboxPrefix };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as BusOptions;
}

/** The files of a configuration that show the broker who connects. */
export type BrokerSecrets = Partial<Pick<BusConfig, "credsFile" | "nkeyFile" | "natsTlsKeyFile">>;

/** Paths of the secrets among them. */
export function brokerSecrets({ credsFile, nkeyFile, natsTlsKeyFile }: BrokerSecrets): (string | undefined)[] {
  return [credsFile, nkeyFile, natsTlsKeyFile];
}
