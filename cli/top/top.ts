/**
 * `poolmesh top`: what the page shows, in a terminal.
 *
 * Decided here: when something is written. On a terminal the view is drawn in
 * place, four times a second at most; into a pipe go plain lines, or JSON
 * lines, once a second at most. A meter that was never reached within four
 * seconds ends the view; one that goes away later is waited for.
 */
import type { Writable } from "node:stream";
import { byHeat } from "../../browser/order-pools.js";
import { PoolError } from "../../browser.js";
import type { RemoteFlags } from "../remote/remote-options.js";
import { paintLine } from "./line.js";
import { plainPoolLine } from "./pool-line.js";
import { renderScreen, type TopSize, type TopState } from "./screen.js";
import { snapshotJson } from "./snapshot-json.js";
import { Terminal } from "./terminal.js";
import { TopFeed } from "./top-feed.js";

/** How the view is wanted. */
export interface TopOptions {
  /** The meter's URL. */
  readonly meterUrl: string;
  /** How it is called: its CA, a token, a client certificate. */
  readonly remote?: RemoteFlags;
  /** Only this pool; default all. */
  readonly pool?: string;
  /** One view, then the end. */
  readonly once: boolean;
  /** A JSON object a line instead of a view. */
  readonly json: boolean;
  readonly stdout: Writable & { readonly columns?: number; readonly rows?: number };
  readonly isTTY: boolean;
  /** Size in characters where stdout has none of its own. */
  readonly columns: number;
  readonly rows: number;
  readonly noColor: boolean;
  /** Ends the view. */
  readonly signal: AbortSignal;
  /** How long the meter may take to answer for the first time, in milliseconds; default 4,000. */
  readonly firstLimitMs?: number;
}

const DRAW_MS = 250;
const LINES_MS = 1_000;
const FIRST_LIMIT_MS = 4_000;

/**
 * Shows the view until `signal` aborts, or once.
 *
 * @throws PoolError `invalid_argument` for a bad URL or pool name, `bus_unavailable`
 * when no meter answers in time, `unknown_pool` with `once` for a pool that the meter does not know
 */
export async function runTop(options: TopOptions): Promise<void> {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  let hear: () => void = () => {};
  const feed = new TopFeed(options.meterUrl, options.pool ?? "", options.remote ?? {}, () => hear());
  const limitMs = options.firstLimitMs ?? FIRST_LIMIT_MS;
  // No AbortSignal.timeout: one that nothing but AbortSignal.any holds may be collected and then never fires.
  const timer = setTimeout(() => feed.heardNothing && end(), limitMs);
  try {
    if (options.once) {
      hear = () => feed.complete && end();
      await feed.follow(controller.signal);
    } else await showLive(options, feed, controller.signal, (listener) => (hear = listener));
    if (options.signal.aborted) return;
    if (feed.heardNothing) throw noMeter(feed, limitMs);
    if (options.once) requireKnown(options.pool, feed);
    if (options.once) for (const line of onceLines(options, feed.state)) options.stdout.write(`${line}\n`);
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", end);
    end();
  }
}

/** @throws PoolError `unknown_pool` when the meter has never heard of the pool */
function requireKnown(pool: string | undefined, { state }: TopFeed): void {
  if (pool === undefined || state.capacity?.pools.has(pool) !== false) return;
  const message = `the meter at ${state.url} has heard of no worker of pool ${pool}`;
  throw new PoolError("unknown_pool", message, { field: "pool" });
}

function noMeter({ state }: TopFeed, limitMs: number): PoolError {
  const { connection } = state.capacity ?? {};
  const error = connection?.state === "disconnected" ? connection.error.message : `no answer within ${limitMs} ms`;
  const why = reasonOf(error);
  return new PoolError("bus_unavailable", `no meter at ${state.url}: ${why}; name one with --meter URL`);
}

/** The library's words, where they tell a person anything. */
function reasonOf(error: string): string {
  if (error === "HTTP 404") return "something else answers there (HTTP 404)";
  if (/EPROTO|wrong version number/.test(error)) return "it speaks no TLS; try http://";
  if (/EPIPE|ECONNRESET|HPE_|Parse Error|socket hang up/.test(error)) return "something else answers there, not HTTP";
  return error.split("\n", 1)[0] ?? error;
}

function onceLines(options: TopOptions, state: TopState): string[] {
  if (options.json) return [snapshotJson(state, Date.now())];
  const size = { ...sizeOf(options), rows: Number.MAX_SAFE_INTEGER };
  const color = options.isTTY && !options.noColor;
  return renderScreen(state, size, performance.now()).map((line) => paintLine(line, color));
}

async function showLive(
  options: TopOptions,
  feed: TopFeed,
  signal: AbortSignal,
  onHeard: (listener: () => void) => void,
): Promise<void> {
  const onScreen = options.isTTY && !options.json;
  const terminal = new Terminal(options.stdout);
  let changed = true;
  onHeard(() => {
    changed = true;
  });
  const write = (): void => {
    if (onScreen) drawScreen(options, terminal, feed.state);
    else if (changed && feed.complete) writeLines(options, feed.state);
    changed = false;
  };
  const resized = (): void => terminal.forget();
  options.stdout.on("resize", resized);
  if (onScreen) terminal.enter();
  const timer = setInterval(write, onScreen ? DRAW_MS : LINES_MS);
  try {
    await feed.follow(signal);
  } finally {
    clearInterval(timer);
    options.stdout.off("resize", resized);
    terminal.leave();
  }
}

function drawScreen(options: TopOptions, terminal: Terminal, state: TopState): void {
  const lines = renderScreen(state, sizeOf(options), performance.now());
  terminal.draw(lines.map((line) => paintLine(line, !options.noColor)));
}

function writeLines(options: TopOptions, state: TopState): void {
  if (options.stdout.writableNeedDrain) return;
  const at = new Date().toISOString();
  const pools = [...(state.capacity?.pools.values() ?? [])].sort(byHeat);
  const lines = options.json
    ? [snapshotJson(state, Date.now())]
    : pools.map((pool) => `${at} ${state.capacity?.connection.state} ${plainPoolLine(pool)}`);
  if (lines.length > 0) options.stdout.write(`${lines.join("\n")}\n`);
}

function sizeOf(options: TopOptions): TopSize {
  return { columns: options.stdout.columns ?? options.columns, rows: options.stdout.rows ?? options.rows };
}
