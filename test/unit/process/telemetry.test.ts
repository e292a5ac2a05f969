/** OpenTelemetry where there is an SDK, and nothing of it where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as api from "@opentelemetry/api";
import { Telemetry, telemetry } from "../../../mesh/trace/telemetry.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("telemetry - without a registered SDK there is none, and jobs are not traced", () => {
  assert.equal(telemetry(), undefined);
});

test("telemetry - a context comes from its headers as it was, and goes into them again", () => {
  const traced = new Telemetry(api);
  for (const flags of ["00", "01"]) {
    const headers = { traceparent: `00-${TRACE}-${SPAN}-${flags}`, tracestate: "vendor=a,other=b" };
    const span = api.trace.getSpan(traced.contextOf(headers));
    assert.deepEqual(traced.headersOf(span!), headers);
  }
  const later = api.trace.getSpanContext(traced.contextOf({ traceparent: `01-${TRACE}-${SPAN}-03-more` }));
  assert.deepEqual([later?.traceId, later?.spanId, later?.traceFlags], [TRACE, SPAN, 1], "a later version is read");
});

test("telemetry - headers that carry no context make none, whatever they are", () => {
  const traced = new Telemetry(api);
  const none = "0".repeat(32);
  const odd = ["", "x", `ff-${TRACE}-${SPAN}-01`, `00-${none}-${SPAN}-01`, `00-${TRACE}-${none.slice(16)}-01`];
  for (const traceparent of [...odd, `00-${TRACE.toUpperCase()}-${SPAN}-01`, `00-${TRACE}-${SPAN}`, undefined]) {
    assert.equal(traced.contextOf({ traceparent, tracestate: "a=b" }), api.ROOT_CONTEXT, traceparent);
  }
  assert.deepEqual(traced.headersOf(api.trace.wrapSpanContext(api.INVALID_SPAN_CONTEXT)), {});
});
