import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import { type CapacityView, PoolError, watchCapacity } from "../../../browser.js";
import {
  MeterService,
  type WatchCapacityResponse,
  WatchCapacityResponseSchema,
} from "../../../gen/poolmesh/v1/meter_pb.js";

type Script = (context: HandlerContext) => AsyncIterable<WatchCapacityResponse>;

const fast = { backoff: { baseMs: 1, maxMs: 4 } };
const message = (version: bigint, slots: number, stale = false) =>
  create(WatchCapacityResponseSchema, {
    version,
    snapshot: version === 1n,
    pools: [{ pool: "p", slots }],
    total: { slots },
    freshness: { stale, staleAgeMs: stale ? 1_500 : 0 },
  });

/** A meter whose n-th stream follows the n-th script; the last one serves all further streams. */
function meter(...scripts: Script[]) {
  let streams = 0;
  const transport = createRouterTransport(({ service }) => {
    service(MeterService, {
      watchCapacity: (_, context) => {
        const script = scripts[Math.min(streams, scripts.length - 1)];
        streams += 1;
        assert.ok(script);
        return script(context);
      },
    });
  });
  return { transport, streams: () => streams };
}

const forever: Script = async function* (context) {
  yield message(1n, 7);
  await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
};

async function collect(views: AsyncIterable<CapacityView>, enough: (view: CapacityView) => boolean): Promise<string[]> {
  const states: string[] = [];
  for await (const view of views) {
    states.push(`${view.connection.state} ${view.total?.slots ?? "-"}`);
    if (enough(view)) break;
  }
  return states;
}

test("watchCapacity - a broken stream is opened again and starts from a snapshot", async () => {
  const { transport } = meter(async function* () {
    yield message(1n, 4);
    yield message(2n, 5);
    throw new ConnectError("going", Code.Unavailable);
  }, forever);
  const states = await collect(watchCapacity({ transport, ...fast }), (view) => view.total?.slots === 7);
  assert.deepEqual(states, ["connecting -", "live 4", "live 5", "disconnected 5", "connecting 5", "live 7"]);
});

test("watchCapacity - a stream that just ends is opened again", async () => {
  const { transport, streams } = meter(async function* () {
    yield message(1n, 4);
  }, forever);
  await collect(watchCapacity({ transport, ...fast }), (view) => view.total?.slots === 7);
  assert.equal(streams(), 2);
});

test("watchCapacity - silence counts as a failure", async () => {
  const { transport } = meter(async function* (context) {
    yield message(1n, 4);
    await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
  }, forever);
  let failure: string | undefined;
  const views = watchCapacity({
    transport,
    ...fast,
    silenceMs: 30,
    onState: (connection) => {
      if (connection.state === "disconnected") failure ??= connection.error.message;
    },
  });
  await collect(views, (view) => view.total?.slots === 7);
  assert.match(failure ?? "", /nothing heard/);
});

test("watchCapacity - a meter that is cut off is stale, with its age, and live again after", async () => {
  const { transport } = meter(async function* (context) {
    yield message(1n, 4);
    yield message(2n, 4, true);
    yield message(3n, 7);
    await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
  });
  const heard: unknown[] = [];
  const options = { transport, ...fast, onState: (connection: unknown) => heard.push(connection) };
  const states = await collect(watchCapacity(options), (view) => view.total?.slots === 7);
  assert.deepEqual(states, ["connecting -", "live 4", "stale 4", "live 7"]);
  assert.deepEqual(heard[2], { state: "stale", staleAgeMs: 1_500 });
});

test("watchCapacity - what trying again cannot mend ends the iteration with its reason", async () => {
  const { transport, streams } = meter(async function* () {
    yield* [];
    throw new ConnectError("no", Code.PermissionDenied);
  });
  const states: string[] = [];
  await assert.rejects(
    async () => {
      for await (const view of watchCapacity({ transport, ...fast })) states.push(view.connection.state);
    },
    (error) => error instanceof PoolError && error.reason === "permission_denied",
  );
  assert.deepEqual(states, ["connecting", "disconnected"]);
  assert.equal(streams(), 1);
});

test("watchCapacity - abort ends the iteration without an error, while waiting for a message or for the next try", async () => {
  for (const script of [forever, failing]) {
    const controller = new AbortController();
    const { transport } = meter(script);
    const views = watchCapacity({ transport, signal: controller.signal, backoff: { baseMs: 60_000, maxMs: 60_000 } });
    for await (const view of views) {
      if (view.connection.state !== "connecting") controller.abort();
    }
  }
});

test("watchCapacity - leaving the loop ends the call", async () => {
  const ended = withResolvers();
  const { transport } = meter(async function* (context) {
    context.signal.addEventListener("abort", () => ended.resolve());
    yield message(1n, 7);
    await ended.promise;
  });
  await collect(watchCapacity({ transport }), (view) => view.total?.slots === 7);
  await ended.promise;
});

test("watchCapacity - a bad pool name is refused at once, naming the field", () => {
  assert.throws(
    () => watchCapacity({ pool: "a b" }),
    (error) => error instanceof PoolError && error.reason === "invalid_argument" && error.field === "pool",
  );
});

const failing: Script = async function* () {
  yield* [];
  throw new ConnectError("away", Code.Unavailable);
};

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
