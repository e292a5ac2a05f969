/** A receiver of OTLP over HTTP in JSON: what an SDK really sends, as a collector gets it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

type Value = { readonly stringValue?: string; readonly intValue?: number | string; readonly doubleValue?: number };
type Attribute = { readonly key: string; readonly value: Value };

/** One span, its attributes as a record. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** Who made it: OTEL_SERVICE_NAME. */
  readonly service: string;
  /** 1 internal, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
  readonly events: readonly string[];
  /** Ids of the spans that it links to. */
  readonly links: readonly string[];
  /** 2 for an error. */
  readonly status: number;
}

/** One point of a histogram. */
export interface ReceivedPoint {
  readonly name: string;
  readonly unit: string;
  readonly attributes: ReceivedSpan["attributes"];
  readonly count: number;
  readonly bounds: readonly number[];
}

export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** The newest of each metric and its attributes. */
  readonly points = new Map<string, ReceivedPoint>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on("data", (chunk: Buffer) => chunks.push(chunk));
      req.on("end", () => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
        if (req.url === "/v1/traces") this.#onTraces(body as Traces);
        else if (req.url === "/v1/metrics") this.#onMetrics(body as Metrics);
        res.setHeader("content-type", "application/json").end("{}");
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => void this.#server.listen(0, "127.0.0.1", resolve));
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => void this.#server.close(() => resolve()));
  }

  /** The span of a job by the first word of its name. */
  find(operation: string, job: string): ReceivedSpan | undefined {
    return this.spans.find(
      ({ name, attributes }) => name.startsWith(`${operation} `) && attributes["messaging.message.id"] === job,
    );
  }

  #onTraces({ resourceSpans }: Traces): void {
    const all = resourceSpans.flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ span, from: toRecord(resource?.attributes ?? []) }))),
    );
    for (const { span, from } of all) {
      this.spans.push({
        service: String(from["service.name"]),
        ...{ traceId: span.traceId, spanId: span.spanId, parentSpanId: span.parentSpanId ?? "", name: span.name },
        kind: span.kind,
        attributes: toRecord(span.attributes),
        events: (span.events ?? []).map(({ name }) => name),
        links: (span.links ?? []).map(({ spanId }) => spanId),
        status: span.status?.code ?? 0,
      });
    }
  }

  #onMetrics({ resourceMetrics }: Metrics): void {
    for (const metric of resourceMetrics.flatMap((each) => each.scopeMetrics).flatMap((each) => each.metrics)) {
      for (const { attributes, count, explicitBounds } of metric.histogram?.dataPoints ?? []) {
        const said = toRecord(attributes);
        const point = {
          name: metric.name,
          unit: metric.unit,
          attributes: said,
          count: Number(count),
          bounds: explicitBounds,
        };
        this.points.set(`${metric.name} ${JSON.stringify(said)}`, point);
      }
    }
  }
}

interface Traces {
  readonly resourceSpans: readonly {
    readonly resource?: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly Attribute[];
  readonly events?: readonly { readonly name: string }[];
  readonly links?: readonly { readonly spanId: string }[];
  readonly status?: { readonly code?: number };
}

interface Metrics {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly WireMetric[] }[];
  }[];
}

interface WireMetric {
  readonly name: string;
  readonly unit: string;
  readonly histogram?: {
    readonly dataPoints: readonly {
      readonly attributes: readonly Attribute[];
      readonly count: number | string;
      readonly explicitBounds: readonly number[];
    }[];
  };
}

function toRecord(attributes: readonly Attribute[]): ReceivedSpan["attributes"] {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { stringValue, intValue, doubleValue } = value;
      return [key, stringValue ?? doubleValue ?? (intValue === undefined ? undefined : Number(intValue))];
    }),
  );
}
