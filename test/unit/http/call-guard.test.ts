/** How many streams may be open, and whose they are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createContextValues, type StreamRequest, type StreamResponse } from "@connectrpc/connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { Caller } from "../../../mesh/auth/caller.js";
import { callerKey } from "../../../mesh/auth/gate.js";
import { CallGuard } from "../../../mesh/http/rpc/call-guard.js";
import { peerKey, sourceOf } from "../../../mesh/http/rpc/peer.js";
import { silentLog } from "../../../mesh/process/log.js";

const KNOWN = (name: string): Caller => new Caller({ name, proof: "token", grants: () => [] });

/** Opens one stream; resolves with what ends it, or the code of its refusal. */
function opener(limits: { all: number; ofOneCaller: number; ofStrangers: number }) {
  const guard = new CallGuard(limits, silentLog);
  return async (from: string, caller?: Caller): Promise<Code | (() => void)> => {
    const end = new AbortController();
    const contextValues = createContextValues().set(peerKey, from);
    if (caller !== undefined) contextValues.set(callerKey, caller);
    const req = { stream: true, service: Health, method: Health.method.watch, signal: end.signal, contextValues };
    const res = { stream: true, message: (async function* () {})() } as unknown as StreamResponse;
    try {
      await guard.interceptor(async () => res)(req as unknown as StreamRequest);
      return () => end.abort();
    } catch (error) {
      return ConnectError.from(error).code;
    }
  };
}

test("streams - the addresses of one IPv6 /64 are one caller, and an address of IPv4 is the same in either form", async () => {
  const open = opener({ all: 9, ofOneCaller: 2, ofStrangers: 9 });
  for (const from of ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"]) assert.equal(typeof (await open(from)), "function");
  assert.equal(await open("2001:db8:1:2:ffff::9"), Code.ResourceExhausted);
  assert.equal(typeof (await open("2001:db8:1:3::1")), "function");
  assert.deepEqual(["::ffff:10.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "2001:db8::"].map(sourceOf), [
    "10.0.0.1",
    "10.0.0.1",
    "0:0:0:0",
    "fe80:0:0:0",
    "2001:db8:0:0",
  ]);
});

test("streams - callers that show nothing have their part together, from however many addresses, and get it back", async () => {
  const open = opener({ all: 4, ofOneCaller: 2, ofStrangers: 2 });
  const first = await open("10.0.0.1");
  assert.equal(typeof (await open("10.0.0.2")), "function");
  assert.equal(await open("10.0.0.3"), Code.ResourceExhausted);
  assert.equal(typeof (await open("10.0.0.3", KNOWN("token:ci"))), "function");
  if (typeof first === "function") first();
  assert.equal(typeof (await open("10.0.0.3")), "function");
  assert.equal(await open("10.0.0.1"), Code.ResourceExhausted);
  assert.equal(typeof (await open("10.0.0.1", KNOWN("token:ci"))), "function");
});
