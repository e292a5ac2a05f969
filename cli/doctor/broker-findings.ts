/** What the broker says of itself. Pure. */
import { compareVersions } from "../../broker/find.js";
import type { Finding } from "./finding.js";

/** What a connection knows of its broker. */
export interface BrokerFacts {
  readonly url: string;
  readonly version: string;
  readonly jetStream: boolean;
  readonly maxPayloadBytes: number;
  readonly roundTripMs: number;
  readonly tls: boolean;
  readonly loopback: boolean;
}

/** The oldest broker that everything is tested on. */
const OLDEST_VERSION = "2.9.10";
const USUAL_PAYLOAD_BYTES = 2 ** 20;
const SMALL_PAYLOAD_BYTES = 64 * 1024;
const SLOW_MS = 100;

export function brokerFindings(facts: BrokerFacts): Finding[] {
  return [
    { state: "ok", what: "broker", found: `answers at ${facts.url}` },
    version(facts),
    roundTrip(facts),
    payload(facts),
    jetStream(facts),
    encryption(facts),
  ];
}

function version({ version }: BrokerFacts): Finding {
  if (compareVersions(version, OLDEST_VERSION) >= 0) return { state: "ok", what: "version", found: version };
  return { state: "bad", what: "version", found: version, advice: `use nats-server ${OLDEST_VERSION} or newer` };
}

function roundTrip({ roundTripMs }: BrokerFacts): Finding {
  const found = `${roundTripMs.toFixed(1)} ms`;
  if (roundTripMs < SLOW_MS) return { state: "ok", what: "round trip", found };
  const advice = "every job pays this several times: run a broker nearer, or a cluster with a node nearby";
  return { state: "note", what: "round trip", found, advice };
}

function payload({ maxPayloadBytes }: BrokerFacts): Finding {
  const found = `${maxPayloadBytes} bytes, payload and headers together`;
  if (maxPayloadBytes >= USUAL_PAYLOAD_BYTES) return { state: "ok", what: "max_payload", found };
  const state = maxPayloadBytes < SMALL_PAYLOAD_BYTES ? "bad" : "note";
  return { state, what: "max_payload", found, advice: "raise max_payload in the broker's configuration (usual: 1MB)" };
}

function jetStream({ jetStream }: BrokerFacts): Finding {
  if (jetStream) return { state: "ok", what: "JetStream", found: "on; jobs do not need it" };
  return { state: "note", what: "JetStream", found: "off; jobs do not need it" };
}

function encryption({ tls, loopback }: BrokerFacts): Finding {
  if (tls) return { state: "ok", what: "TLS", found: "on" };
  if (loopback) return { state: "note", what: "TLS", found: "off, on loopback" };
  return {
    state: "note",
    what: "TLS",
    found: "off",
    advice: "payloads cross the network readable: give the broker a certificate",
  };
}
