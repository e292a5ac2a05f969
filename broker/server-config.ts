/**
 * The configuration file of an embedded nats-server.
 *
 * Pure. Decided here: it listens on loopback, where it reports its ports, and that
 * secrets are in the file and never on a command line.
 */
import { PoolError } from "../mesh/errors.js";

/** One user for everybody, or one token. */
export type BrokerAuth = { readonly user: string; readonly password: string } | { readonly token: string };

/** How a server joins a cluster. */
export interface BrokerCluster {
  readonly name: string;
  /** Cluster URLs of other members, such as "nats://127.0.0.1:6222". */
  readonly routes: readonly string[];
}

/** What a server is started with. Ports: -1 is any free one. */
export interface ServerConfig {
  readonly port: number;
  readonly portsFolder: string;
  readonly serverName?: string;
  /** Folder of the JetStream store; without it JetStream is off. */
  readonly storeFolder?: string;
  readonly cluster?: BrokerCluster & { readonly port: number };
  /** Largest headers and payload together; the server's default is 1 MiB. */
  readonly maxPayloadBytes?: number;
  readonly auth?: BrokerAuth;
  /** More lines in the server's own language, added at the end. */
  readonly extra?: string;
}

/**
 * The text of the file.
 *
 * @throws PoolError `invalid_argument` for a control character in a value
 */
export function serverConfigText(config: ServerConfig): string {
  const lines = ["host: 127.0.0.1", `port: ${config.port}`, `ports_file_dir: ${quote(config.portsFolder)}`];
  if (config.serverName !== undefined) lines.push(`server_name: ${quote(config.serverName)}`);
  if (config.maxPayloadBytes !== undefined) lines.push(`max_payload: ${config.maxPayloadBytes}`);
  if (config.storeFolder !== undefined) lines.push(`jetstream { store_dir: ${quote(config.storeFolder)} }`);
  if (config.auth !== undefined) lines.push(authLine(config.auth));
  if (config.cluster !== undefined) lines.push(clusterLine(config.cluster));
  if (config.extra !== undefined) lines.push(config.extra);
  return `${lines.join("\n")}\n`;
}

function authLine(auth: BrokerAuth): string {
  const entries =
    "token" in auth ? `token: ${quote(auth.token)}` : `user: ${quote(auth.user)}, password: ${quote(auth.password)}`;
  return `authorization { ${entries} }`;
}

function clusterLine(cluster: BrokerCluster & { readonly port: number }): string {
  const routes = cluster.routes.map(quote).join(", ");
  return `cluster { name: ${quote(cluster.name)}, listen: "127.0.0.1:${cluster.port}", routes: [${routes}] }`;
}

function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new PoolError("invalid_argument", "broker: a control character in a name, path or secret", {
      field: "broker",
    });
  }
  return `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}
