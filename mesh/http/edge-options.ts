/** How a service is open to its callers: where it listens, who may call, and how many at once. */
import type { AccessOptions } from "../auth/gate.js";
import type { Listen } from "../process/options.js";
import type { HttpServerOptions } from "./server.js";
import type { TlsOptions } from "./tls/tls-files.js";

/** What manager and meter have in common. */
export interface EdgeOptions extends AccessOptions, Partial<TlsOptions> {
  readonly listen: Listen;
  /** Listen beyond loopback without TLS or without a policy; default false. */
  readonly insecure?: boolean;
  /** Host names to answer to besides loopback ones. */
  readonly allowedHosts?: readonly string[];
  /** Addresses and ranges of proxies whose `X-Forwarded-For` says who called them; default none. */
  readonly trustedProxy?: readonly string[];
  /** Streams open at once; default 5,000. */
  readonly maxStreams?: number;
  /** With a policy, streams open at once to one caller; default 1,000. */
  readonly maxCallerStreams?: number;
}

/** The part of a service's options that concerns its callers. */
export function edgeOf(
  options: EdgeOptions,
): Pick<HttpServerOptions, "access" | "tls" | (keyof EdgeOptions & keyof HttpServerOptions)> {
  const { listen, insecure, allowedHosts, trustedProxy, maxStreams, maxCallerStreams } = options;
  const { policyFile, controlToken, policyIntervalMs } = options;
  return {
    listen,
    access: withoutUnset({ policyFile, controlToken, policyIntervalMs }),
    ...withoutUnset({ insecure, allowedHosts, trustedProxy, maxStreams, maxCallerStreams, tls: tlsOf(options) }),
  };
}

/** The options of a configuration that concern callers, without those that are not set. */
export function edgeConfig(
  config: { readonly [K in keyof EdgeOptions]?: EdgeOptions[K] | undefined },
  listen: Listen,
): EdgeOptions {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, policyFile, controlToken } = config;
  const { insecure, allowedHosts, trustedProxy, maxStreams, maxCallerStreams } = config;
  return {
    listen: config.listen ?? listen,
    ...withoutUnset({ tlsCertFile, tlsKeyFile, tlsClientCaFile, policyFile, controlToken }),
    ...withoutUnset({ insecure, allowedHosts, trustedProxy, maxStreams, maxCallerStreams }),
  };
}

function tlsOf({ tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsIntervalMs }: EdgeOptions): TlsOptions | undefined {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  return { tlsCertFile, tlsKeyFile, ...withoutUnset({ tlsClientCaFile, tlsIntervalMs }) };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUnset<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}
