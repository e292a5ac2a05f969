/**
 * solpipe.WorkerStatus and relay.Capacity: the stream that existing clients have
 * compiled in, under two names.
 *
 * Its wire form is kept to the byte. It sends one message at once, one on every change
 * (coalesced), and one every 30 seconds although nothing changed. The value is busy
 * divided by total, and 1 when there is no worker. A request header `pool` narrows it
 * to one pool. A client may come before its workers, so a pool that nobody has named yet
 * is no error: the value is 1 until it comes, and the response header `pool-known: 0` tells.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type CapacityStatus, CapacityStatusSchema } from "../../../gen/relay/relay_pb.js";
import { type CapacityResponse, CapacityResponseSchema } from "../../../gen/solpipe/solpipe_pb.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { MeterState } from "../meter-state.js";

/** The request header that narrows the stream to one pool. */
const POOL_HEADER = "pool";
/** The response header that says whether the meter knew that pool when the stream began: "1" or "0". */
const KNOWN_HEADER = "pool-known";

/** Streams utilization until the call ends, as solpipe's clients read it. */
export async function* onStatus(state: MeterState, context: HandlerContext): AsyncGenerator<CapacityResponse> {
  for await (const capacity of utilizations(state, context)) yield create(CapacityResponseSchema, { capacity });
}

/** The same, as relay's clients read it. */
export async function* onRelayStatus(state: MeterState, context: HandlerContext): AsyncGenerator<CapacityStatus> {
  for await (const utilizationRatio of utilizations(state, context)) {
    yield create(CapacityStatusSchema, { utilizationRatio });
  }
}

async function* utilizations(state: MeterState, context: HandlerContext): AsyncGenerator<number> {
  const name = context.requestHeader.get(POOL_HEADER);
  const pool = name === null ? "" : checkName("pool", name);
  if (pool !== "") context.responseHeader.set(KNOWN_HEADER, state.view.hasPool(pool) ? "1" : "0");
  const pace = { minIntervalMs: state.coalesceMs, keepAliveMs: state.statusKeepAliveMs };
  const { reader, topic } = state.changes.watchCapacity(state.view, { pool, labels: {} }, pace, context.signal);
  let last: number | undefined;
  for (;;) {
    await reader.next();
    const capacity = Math.fround(topic.total.utilization);
    if (capacity === last && !reader.isSilent) continue;
    last = capacity;
    reader.sent();
    yield capacity;
  }
}
