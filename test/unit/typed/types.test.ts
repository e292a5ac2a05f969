/**
 * Types of typed pools. The compiler is the test: each line below `@ts-expect-error` must be refused, and everything
 * else must compile.
 */
import { once } from "node:events";
import { test } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  GetCapacityRequestSchema,
  type GetHistoryRequest,
  GetHistoryRequestSchema,
} from "../../../gen/poolmesh/v1/meter_pb.js";
import {
  type Client,
  definePool,
  type GivenOf,
  type HandlerOf,
  type JobOf,
  type Manager,
  type PayloadOf,
  type ValueOf,
  Worker,
} from "../../../index.js";
import { TestMesh, testJob } from "../../../testing.js";

/** True when two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

function holds<_T extends true>(): void {}

const zodPool = definePool({
  name: "zod",
  input: z.object({ url: z.string(), times: z.number().default(1) }),
  output: z.object({ at: z.coerce.date() }),
});
const valibotPool = definePool({ name: "valibot", input: v.object({ n: v.number() }), output: v.string() });
const arkPool = definePool({ name: "ark", input: type({ n: "number" }), output: type("string") });
const protoPool = definePool({ name: "proto", input: GetCapacityRequestSchema, output: GetHistoryRequestSchema });

declare const client: Client;
declare const manager: Manager;

/** Never called: it is only compiled. */
export async function typesOf(): Promise<void> {
  holds<Same<PayloadOf<typeof zodPool>, { url: string; times?: number | undefined }>>();
  holds<Same<GivenOf<typeof zodPool>, { url: string; times: number }>>();
  holds<Same<ValueOf<typeof zodPool>, { at: Date }>>();
  holds<Same<PayloadOf<typeof valibotPool>, { n: number }>>();
  holds<Same<GivenOf<typeof arkPool>, { n: number }>>();
  holds<Same<ValueOf<typeof protoPool>, GetHistoryRequest>>();

  const { value } = await client.for(zodPool).submit({ url: "u" });
  holds<Same<typeof value, { at: Date }>>();
  await manager.for(arkPool).submit({ n: 1 });
  await client.for(protoPool).submit({ pool: "a" });
  const receipt = await client.for(valibotPool).enqueue({ n: 1 });
  holds<Same<Awaited<ReturnType<typeof receipt.result>>["value"], string>>();
  for await (const outcome of client.for(valibotPool).submitMany([{ n: 1 }])) {
    holds<Same<typeof outcome.input, { n: number }>>();
    if (outcome.ok) holds<Same<typeof outcome.result.value, string>>();
  }
  // @ts-expect-error a field is missing
  await client.for(zodPool).submit({});
  // @ts-expect-error a field has another type
  await manager.for(arkPool).submit({ n: "1" });
  // @ts-expect-error no such field
  await client.for(protoPool).submit({ nothing: 1 });
  // @ts-expect-error one of many has another type
  client.for(valibotPool).submitMany([{ n: 1 }, { n: "2" }]);

  new Worker({ pool: zodPool, run: ({ payload }) => ({ at: payload.times }) });
  new Worker({ pool: valibotPool, run: async ({ payload }) => payload.n.toFixed() });
  new Worker({ pool: protoPool, run: ({ payload }) => ({ pool: payload.pool }) });
  // @ts-expect-error the handler returns what the schema does not take
  new Worker({ pool: valibotPool, run: ({ payload }) => payload.n });
  // @ts-expect-error the payload has no such field
  new Worker({ pool: arkPool, run: ({ payload }) => payload.m });
  new Worker<number, number>({ pool: "by-name", run: ({ payload }) => payload + 1 });

  const { events } = new Worker({ pool: arkPool, run: ({ payload }) => payload.n.toFixed() });
  events.on("job:error", ({ job, error, durationMs }) => [job.attempt, error.reason, durationMs].join());
  // @ts-expect-error there is no such event
  events.on("job:failed", () => undefined);
  // @ts-expect-error the event has no such field
  events.once("worker:ready", ({ job }) => job);
  await once(client.events, "client:ready");
  client.use((call, next) => (call.payload.length === 0 ? undefined : next()));
  // @ts-expect-error a middleware gives a JobResult
  client.use(() => 5);

  const tested = await testJob(({ payload }) => payload.n.toFixed(), { n: 1 }, { pool: arkPool });
  holds<Same<typeof tested.value, string>>();
  // @ts-expect-error the payload has another type
  await testJob(({ payload }) => payload.n.toFixed(), { n: "1" }, { pool: arkPool });
  const mesh = await TestMesh.start();
  await mesh.worker(arkPool, ({ payload }) => payload.n.toFixed());
  // @ts-expect-error the handler returns what the schema does not take
  await mesh.worker(arkPool, ({ payload }) => payload.n);

  const run: HandlerOf<typeof arkPool> = ({ payload }) => payload.n.toFixed();
  const named = (job: JobOf<typeof arkPool>): string => job.payload.n.toFixed();
  new Worker({ pool: arkPool, run });
  new Worker({ pool: arkPool, run: named });

  await client.submit({ x: 1 });
  await client.submit([1, "two", null]);
  // @ts-expect-error nothing is no payload
  await client.submit(undefined);
}

test("typed pools - payload, job and result have the types of their schemas (checked by the compiler)", () => {});
