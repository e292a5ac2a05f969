/** The dashboard and the alert rules in deploy/, and what a scrape has. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";

/** An alert of the rules. */
export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

/** A panel of the dashboard, as far as tests look at it. */
export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string; readonly datasource: unknown }[];
}

/** One sample of Prometheus text. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const RULES_FILE = "deploy/prometheus/poolmesh.rules.yml";
export const RULE_TESTS_FILE = "deploy/prometheus/poolmesh.rules.test.yml";

export const alerts = (): Alert[] =>
  (parse(readFileSync(RULES_FILE, "utf8")) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);

export const dashboard = (): { uid: string; panels: Panel[]; templating: { list: { name: string }[] } } =>
  JSON.parse(readFileSync("deploy/grafana/poolmesh.json", "utf8"));

/** The samples of Prometheus text. */
export function samplesOf(text: string): Sample[] {
  return [...text.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gm)].map(([, name = "", labels = ""]) => ({
    name,
    labels: Object.fromEntries(
      [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
    ),
  }));
}
