/** Metrics as OpenMetrics text, which has exemplars: the trace of one job beside a bucket of a histogram. Pure. */

/** One job of a bucket: its trace, its value in seconds, and when it was counted, in milliseconds since the epoch. */
export interface Exemplar {
  readonly traceId: string;
  readonly seconds: number;
  readonly atMs: number;
}

/** Exemplars by the series of their bucket, such as `wait_seconds_bucket{pool="adder",le="1"}`. */
export type Exemplars = ReadonlyMap<string, Exemplar>;

/** What OpenMetrics text is served as. */
export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** Whether a scraper understands OpenMetrics. @param accept its header `Accept` */
export function acceptsOpenMetrics(accept: string | undefined): boolean {
  return accept?.split(",").some((each) => /^\s*application\/openmetrics-text\s*(;|$)/i.test(each)) === true;
}

/**
 * The same metrics as OpenMetrics.
 *
 * @param text Prometheus text, where the name of each counter ends in `_total`
 */
export function openMetrics(text: string, exemplars: Exemplars): string {
  const counters = new Set(Array.from(text.matchAll(/^# TYPE (\S+)_total counter$/gm), ([, name]) => `${name}_total`));
  const lines = text.split("\n").filter((line) => line !== "");
  return `${lines.map((line) => (line.startsWith("#") ? about(line, counters) : sample(line, exemplars))).join("\n")}\n# EOF\n`;
}

/** A line `# HELP` or `# TYPE`: a counter is called without its suffix there, and quotes in a help are escaped. */
function about(line: string, counters: ReadonlySet<string>): string {
  const [, kind = "", name = "", rest = ""] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
  const family = counters.has(name) ? name.slice(0, -"_total".length) : name;
  return `# ${kind} ${family} ${kind === "HELP" ? rest.replaceAll('"', '\\"') : rest}`;
}

function sample(line: string, exemplars: Exemplars): string {
  const exemplar = exemplars.get(line.slice(0, line.lastIndexOf(" ")));
  if (exemplar === undefined) return line;
  const { traceId, seconds, atMs } = exemplar;
  return `${line} # {trace_id="${traceId}"} ${seconds} ${atMs / 1_000}`;
}
