/** What `node --import` registers, as docs/tracing.md says it; a batch leaves after five seconds. */
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const resource = defaultResource().merge(detectResources({ detectors: [envDetector] }));
const spanProcessors = [new BatchSpanProcessor(new OTLPTraceExporter())];
new NodeTracerProvider({ resource, spanProcessors }).register();
