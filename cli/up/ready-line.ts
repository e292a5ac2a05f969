/** The one line that says that a mesh is ready, and what to do with it. Pure. */
import { redactUrls, splitBrokerUrls } from "../../mesh/process/broker-urls.js";
import type { Output } from "../output/output.js";

/** Process ids now. */
export interface MeshPids {
  readonly nats?: number;
  readonly manager: number;
  /** Those of all managers but the first, where there are several. */
  readonly moreManagers?: number[];
  readonly meter: number;
  readonly workers: number[];
}

/** What there is to say. */
export interface ReadyFacts {
  readonly urls: { readonly nats: string; readonly manager: string; readonly meter: string };
  readonly pids: MeshPids;
  readonly workerIds: readonly string[];
  readonly pool: string | undefined;
  /** Slots of each worker. */
  readonly slots: number;
}

const DEFAULT_NATS = "nats://127.0.0.1:4222";

/** As one JSON object. */
export function readyJson(facts: ReadyFacts): string {
  const { pool, workerIds, slots, pids } = facts;
  const { nats, manager, meter } = withoutSecrets(facts).urls;
  const workers = pool === undefined ? {} : { pool, workers: workerIds, slots: slots * workerIds.length };
  return JSON.stringify({ ready: true, nats, manager, meter, page: `${meter}/`, ...workers, pids });
}

/** For a person. */
export function readyLine(out: Output, facts: ReadyFacts): string {
  const { pool, workerIds, slots } = facts;
  const { nats, manager, meter } = withoutSecrets(facts).urls;
  const pairs = { nats, manager, meter };
  const addresses = Object.entries(pairs).map(
    ([name, url]) => `${out.style("dim", `${name}=`)}${out.style("cyan", url)}`,
  );
  const workers =
    pool === undefined ? [] : [`pool=${pool} workers=${workerIds.length} slots=${slots * workerIds.length}`];
  return [out.style("green", "ready"), ...addresses, ...workers].join(" ");
}

/** Who may call manager and meter. */
export interface CallerFacts {
  /** Whether callers need a token or a client certificate. */
  readonly hasPolicy: boolean;
  /** Shown to a person at a terminal; undefined where the lines may be kept. */
  readonly controlToken?: string | undefined;
}

/** What to try next, for stderr. */
export function hintLines(facts: ReadyFacts, callers: CallerFacts): string[] {
  const { pool } = facts;
  const { nats, meter } = withoutSecrets(facts).urls;
  const env = nats === DEFAULT_NATS ? "" : `NATS_URL=${nats} `;
  const next =
    pool === undefined
      ? `no workers yet; start one:  ${env}poolmesh worker --pool adder --handler adder.ts`
      : `submit a job:  ${env}poolmesh submit ${pool} PAYLOAD`;
  return [
    next,
    `watch it live:  ${meter}/  or  ${env}poolmesh top --meter ${meter}${callerFlags(meter, callers)}`,
    `other NATS programs:  export NATS_URL="$(${env}poolmesh token broker)"`,
    ...overHttp(facts, callers),
    "Ctrl-C drains and stops",
  ];
}

/** How somebody calls who has no connection to the broker. */
function overHttp({ urls, pool = "POOL" }: ReadyFacts, callers: CallerFacts): string[] {
  const { hasPolicy, controlToken = "poolmesh token control  prints it" } = callers;
  if (!hasPolicy) return [`control token, for workers over HTTP:  ${controlToken}`];
  return [
    `a token for a caller over HTTP:  poolmesh token new NAME --role submitter --pool ${pool} --out NAME.token`,
    `a job over HTTP:  poolmesh submit ${pool} PAYLOAD --url ${urls.manager}${callerFlags(urls.manager, callers)}`,
  ];
}

function callerFlags(url: string, { hasPolicy }: CallerFacts): string {
  return `${url.startsWith("https:") ? " --ca-file CA.pem" : ""}${hasPolicy ? " --token-file NAME.token" : ""}`;
}

function withoutSecrets(facts: ReadyFacts): ReadyFacts {
  const nats = redactUrls(splitBrokerUrls(facts.urls.nats)).join(",");
  return { ...facts, urls: { ...facts.urls, nats } };
}
