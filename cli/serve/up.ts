/** `poolmesh up`: a whole mesh on this machine, until it is told to stop. */
import { type Command, InvalidArgumentError } from "commander";
import { findControlToken } from "../../mesh/auth/control-token.js";
import { newToken } from "../../mesh/auth/policy/tokens.js";
import { PoolError } from "../../mesh/errors.js";
import { BROKER_USER } from "../../mesh/process/files/broker-file.js";
import { type LogLevel, silentLog } from "../../mesh/process/log.js";
import { type Listen, OPTIONS } from "../../mesh/process/options.js";
import { EXIT } from "../exit-codes.js";
import type { Shell } from "../shell.js";
import { addSpecs, readOptions, toCliBus, toFlags, wholeNumber } from "../spec-options.js";
import { LocalMesh } from "../up/local-mesh.js";
import { hintLines, readyJson, readyLine } from "../up/ready-line.js";
import { ServiceLog } from "../up/service-log.js";
import { UP_SPECS, type UpConfig, type UpFlags, workerCount } from "../up/up-options.js";
import { startBroker } from "./embedded-broker.js";

const HELP = `
Starts a broker (unless NATS_URL or --servers names one), a manager, a meter and the
workers, each as a process of its own, and starts again what dies. The manager
listens on 8080, the meter on 8090 and the broker on 4222 when those are free, else
on any port. The broker takes only programs of this user: those of Poolmesh find its
credential, and \`poolmesh token broker\` prints it for others. When everything serves
and all workers are READY it prints one line that begins with "ready"; with --json
that line is one JSON object.

What is enqueued (the durable lane) is stored in --store-dir, else in a folder that goes
with the broker.

Manager and meter listen on loopback. With --tls-cert-file, --tls-key-file and
--policy-file they serve https to callers that the policy names, also beyond loopback:
docs/security.md. --insecure does without, and every start says what that means.

Ctrl-C drains: workers finish what they run, then the rest stops. A second one kills.

Examples:
  poolmesh up
  poolmesh up --pool adder --handler adder.ts --workers 2 --slots 4
  poolmesh up --pool digest --handler digest.ts --isolation thread
  poolmesh up --pool shout --exec "tr a-z A-Z" --json
  poolmesh up --manager-listen 0.0.0.0:8080 --meter-listen 0.0.0.0:8090 \\
    --tls-cert-file cert.pem --tls-key-file key.pem --policy-file policy.json
  NATS_URL=nats://broker:4222 poolmesh up --pool adder --handler adder.ts`;

export function define(command: Command, shell: Shell): void {
  command
    .option("--workers <N>", "worker processes to start (default 1, without a handler 0)", wholeNumber(0, 1_000))
    .option("--managers <N>", "manager processes to start (default 1); a manager uses one core", wholeNumber(1, 64))
    .option("--json", "print the ready line as JSON")
    .option("--no-broker", "start no broker: use the one at the default address, or --servers")
    .option("--manager-listen <HOST:PORT>", "the manager's address (default 127.0.0.1:8080 or any port)", listen)
    .option("--meter-listen <HOST:PORT>", "the meter's address (default 127.0.0.1:8090 or any port)", listen)
    .option("--no-durable", "no durable lane; there is one where the broker is started here, or with --durable")
    .option("--store-dir <DIR>", "where the broker's JetStream keeps its data; default a folder that goes with it")
    .addHelpText("after", HELP);
  addSpecs(command, { ...UP_SPECS, logLevel: { ...OPTIONS.logLevel, default: "warn" } });
  command.action(async (options: UpFlags & Record<string, unknown>) => {
    shell.exitCode = await runUp(shell, options);
  });
}

const BROKER_VARIABLES = ["NATS_URL", "POOLMESH_SERVERS"] as const;

async function runUp(shell: Shell, options: UpFlags & Record<string, unknown>): Promise<number> {
  const config = readOptions(shell, options, UP_SPECS);
  const log = new ServiceLog(shell.stderr, wantedLevel(shell, options, config));
  const mesh = makeMesh(shell, options, config, log);
  let signals = 0;
  const offSignal = shell.onSignal((signal, count) => {
    signals = count;
    if (signal === "SIGINT" && count === 1) log.event("stopping: workers finish what they run; once more kills them");
    if (count > 1) mesh.kill();
    void mesh.stop();
  });
  try {
    await mesh.start().catch((error: unknown) => Promise.reject(withBrokerName(shell, options, error)));
    await announce(shell, mesh, config, options.json ?? false);
    const error = await mesh.closed;
    await mesh.stop();
    if (error !== undefined) throw error;
  } catch (error) {
    if (signals === 0) throw error;
  } finally {
    offSignal();
  }
  return signals > 1 ? EXIT.interrupted : EXIT.ok;
}

/** The flag or the variable that says that no broker is started; undefined when one is. */
function brokerNamer(shell: Shell, options: UpFlags & Record<string, unknown>): string | undefined {
  if (options.broker === false) return "--no-broker";
  if (options.servers !== undefined) return "--servers";
  return BROKER_VARIABLES.find((name) => isSet(shell, name));
}

/** An exported variable is forgotten easily: whoever expects `up` to start a broker is told why it did not. */
function withBrokerName(shell: Shell, options: UpFlags & Record<string, unknown>, error: unknown): unknown {
  const name = brokerNamer(shell, options);
  const isOutage = error instanceof PoolError && error.reason === "bus_unavailable";
  if (!isOutage || name === undefined || name.startsWith("--")) return error;
  const message = `${error.message}; ${name} names that broker, so none is started: unset ${name} to have one started`;
  return new PoolError("bus_unavailable", message, { cause: error });
}

function makeMesh(
  shell: Shell,
  options: UpFlags & Record<string, unknown>,
  config: UpConfig,
  log: ServiceLog,
): LocalMesh {
  const namer = brokerNamer(shell, options);
  const hasBroker = namer !== undefined;
  const { storeDir } = options;
  if (hasBroker && storeDir !== undefined) {
    const message = `--store-dir is where a broker that is started keeps its data; ${namer} says that none is started`;
    throw new PoolError("invalid_argument", message, { field: "--store-dir" });
  }
  const auth = { user: BROKER_USER, password: newToken() };
  return new LocalMesh({
    brokerPassword: auth.password,
    self: shell.self,
    env: shell.env,
    config,
    flags: toFlags({ ...options, durable: options.durable ?? !hasBroker }),
    own: options,
    workers: workerCount(config, options),
    managers: options.managers ?? 1,
    startBroker: hasBroker
      ? undefined
      : (port) => startBroker(shell, { port, auth, ...(storeDir === undefined ? {} : { storeFolder: storeDir }) }),
    bus: toCliBus(config),
    logLevel: log.wanted === "debug" ? "debug" : "info",
    onLine: (service, line) => log.line(service, line),
    onEvent: (text) => log.event(text),
  });
}

async function announce(shell: Shell, mesh: LocalMesh, config: UpConfig, json: boolean): Promise<void> {
  const facts = { urls: mesh.urls, pids: mesh.pids, workerIds: mesh.workerIds, pool: config.pool, slots: config.slots };
  await shell.stdout.line(json ? readyJson(facts) : readyLine(shell.stdout, facts));
  if (json) return;
  const { stderr } = shell;
  const isOwn = config.policyFile === undefined && !isSet(shell, "POOLMESH_CONTROL_TOKEN");
  const token = stderr.isTerminal && isOwn ? findControlToken(shell.env, undefined, silentLog) : undefined;
  const hints = hintLines(facts, { hasPolicy: config.policyFile !== undefined, controlToken: token });
  for (const line of hints) await stderr.line(stderr.style("dim", line));
}

/** Services are quiet unless a level was asked for. */
function wantedLevel(shell: Shell, options: Record<string, unknown>, config: UpConfig): LogLevel {
  return options.logLevel !== undefined || isSet(shell, "POOLMESH_LOG_LEVEL") ? config.logLevel : "warn";
}

function isSet({ env }: Shell, name: string): boolean {
  return env[name] !== undefined && env[name] !== "";
}

function listen(text: string): Listen {
  try {
    return OPTIONS.listen.parse(text) as Listen;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
