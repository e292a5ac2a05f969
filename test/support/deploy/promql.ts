/** What a PromQL expression asks for: metrics, the labels that it matches, and the labels that it groups by. */
import { parser } from "@prometheus-io/lezer-promql";

/** One selector of an expression. */
export interface Selector {
  readonly metric: string;
  /** The labels that it matches; the value where it must be equal, undefined for a pattern. */
  readonly matched: ReadonlyMap<string, string | undefined>;
}

/** Labels that join or group some selectors of an expression. */
export interface Grouping {
  readonly labels: readonly string[];
  /** The metrics that need these labels. */
  readonly metrics: readonly string[];
}

/** What an expression asks for. */
export interface Query {
  readonly selectors: readonly Selector[];
  readonly groupings: readonly Grouping[];
}

type Tree = ReturnType<typeof parser.parse>;
type Node = Tree["topNode"];

/**
 * Parses an expression. Grafana's own variables count as a duration.
 *
 * @throws Error when it is no PromQL
 */
export function readQuery(expression: string): Query {
  const text = expression.replaceAll("$__rate_interval", "5m");
  const root = parser.parse(text).topNode;
  const wrong = all(root, ({ type }) => type.isError)[0];
  if (wrong !== undefined) throw new Error(`no PromQL at character ${wrong.from}: ${text}`);
  const textOf = ({ from, to }: Node): string => text.slice(from, to);
  return {
    selectors: named(root, "VectorSelector").map((node) => ({
      metric: nameOf(node, textOf),
      matched: new Map(named(node, "UnquotedLabelMatcher").map((each) => readMatcher(each, textOf))),
    })),
    groupings: named(root, "GroupingLabels").map((node) => ({
      labels: named(node, "LabelName").map(textOf),
      metrics: grouped(node).map((each) => nameOf(each, textOf)),
    })),
  };
}

function nameOf(selector: Node, textOf: (node: Node) => string): string {
  const name = selector.getChild("Identifier");
  if (name === null) throw new Error(`a selector without a metric: ${textOf(selector)}`);
  return textOf(name);
}

/** The selectors that need the labels of a grouping: "by" those of its aggregation, "on" those of both sides. */
function grouped(labels: Node): Node[] {
  const whole = labels.parent?.parent ?? labels;
  return labels.parent?.name === "MatchingModifierClause" ? children(whole).flatMap(resultsOf) : resultsOf(whole);
}

/** The selectors whose labels an expression's result has: of "and" and "unless" those on the left. */
function resultsOf(node: Node): Node[] {
  if (node.name === "VectorSelector") return [node];
  const parts = children(node);
  const isFiltered = parts.some(({ name }) => name === "And" || name === "Unless");
  return (isFiltered ? parts.slice(0, 1) : parts).flatMap(resultsOf);
}

function readMatcher(node: Node, textOf: (node: Node) => string): [string, string | undefined] {
  const [label, operator, value] = ["LabelName", "MatchOp", "StringLiteral"].map((name) => node.getChild(name));
  if (!label || !operator || !value) throw new Error(`no matcher: ${textOf(node)}`);
  return [textOf(label), textOf(operator) === "=" ? textOf(value).slice(1, -1) : undefined];
}

function named(node: Node, name: string): Node[] {
  return all(node, (each) => each.name === name);
}

function all(root: Node, is: (node: Node) => boolean): Node[] {
  return [...(is(root) ? [root] : []), ...children(root).flatMap((child) => all(child, is))];
}

function children(node: Node): Node[] {
  const found: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) found.push(child);
  return found;
}
