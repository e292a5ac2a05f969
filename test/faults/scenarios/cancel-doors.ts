/** Every way in which a caller can leave a job that runs. */
import { connect as dial } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";
import { cleanUp } from "../../support/clean-up.js";
import { eventually } from "../../support/wait.js";
import type { Caller } from "../rig/caller.js";
import { POOL } from "../rig/pool.js";
import type { Rig } from "../rig/rig.js";
import type { Service } from "../rig/service.js";

/** A call that runs. */
export interface OpenCall {
  readonly id: string;
  cancel(): void;
  /** The reason that the caller, or the manager for one that is gone, gives for its end. */
  readonly reason: Promise<string | undefined>;
}

const ORDER = { do: "wait", ms: 60_000 } as const;
const TIMEOUT_MS = 60_000;

/** Opens a call through each door. */
export const CANCEL_DOORS: Readonly<Record<string, (rig: Rig, manager: Service) => Promise<OpenCall>>> = {
  "AbortSignal at a client": async (rig) => viaCaller("via-client", await rig.client()),
  "AbortSignal at an embedded manager": async (rig) => {
    const caller = await rig.embedded();
    await rig.sees(caller, 1);
    return viaCaller("via-embedded", caller);
  },
  "unary abort over HTTP/1.1": async (rig, manager) => viaConnect("via-http1", rig, manager.url, "1.1"),
  "HTTP/2 reset": async (rig, manager) => viaConnect("via-http2", rig, manager.url, "2"),
  "TCP close": viaSocket,
};

function viaCaller(id: string, caller: Caller): OpenCall {
  const abort = new AbortController();
  const heard = caller.submit(ORDER, { id, timeoutMs: TIMEOUT_MS, signal: abort.signal });
  return { id, cancel: () => abort.abort(), reason: heard.then((each) => each.reason) };
}

function viaConnect(id: string, rig: Rig, baseUrl: string, httpVersion: "1.1" | "2"): OpenCall {
  const abort = new AbortController();
  const client = createClient(ManagerService, createConnectTransport({ baseUrl, httpVersion }));
  rig.history.add({ kind: "submit", id, timeoutMs: TIMEOUT_MS, idempotent: false });
  const request = { pool: POOL, jobId: id, timeoutMs: BigInt(TIMEOUT_MS), input: textInput() };
  const reason = client.submit(request, { signal: abort.signal }).then(
    () => "ok",
    (error: unknown) => fromConnectError(error).reason,
  );
  void reason.then((why) =>
    rig.history.add({ kind: "outcome", id, ok: false, reason: why, message: "canceled", attempt: 0 }),
  );
  return { id, cancel: () => abort.abort(), reason };
}

/** A request by hand, whose connection is then closed. Its caller hears nothing: the manager's count tells. */
async function viaSocket(rig: Rig, manager: Service): Promise<OpenCall> {
  const id = "via-socket";
  const { hostname, port, host } = new URL(manager.url);
  const body = JSON.stringify({ pool: POOL, jobId: id, timeoutMs: String(TIMEOUT_MS), text: JSON.stringify(ORDER) });
  const socket = dial(Number(port), hostname);
  cleanUp(rig.owner, () => socket.destroy());
  const before = await canceledJobs(manager.url);
  socket.write(
    `POST /poolmesh.v1.ManagerService/Submit HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
      `Connect-Protocol-Version: 1\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const counted = async (): Promise<string> => {
    await eventually(async () => (await canceledJobs(manager.url)) > before, { limitMs: 60_000, pollMs: 50 });
    return "canceled";
  };
  return { id, cancel: () => socket.destroy(), reason: counted() };
}

async function canceledJobs(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^poolmesh_manager_jobs_total\{[^}]*outcome="canceled"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
}

function textInput(): { case: "text"; value: string } {
  return { case: "text", value: JSON.stringify(ORDER) };
}
