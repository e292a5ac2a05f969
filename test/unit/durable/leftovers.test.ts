/** Jobs that are in their stream, and that its consumers do not deliver any more. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { durableDefaults, encodeDurableJob } from "../../../mesh/durable/job.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { StreamMessage } from "../../../mesh/durable/publisher.js";
import type { LaneStore, Stored } from "../../../mesh/durable/store.js";
import { silentLog } from "../../../mesh/process/log.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { Leftovers } from "../../../services/manager/durable/leftovers/leftovers.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

const names = new DurableNames();
const JOBS = names.jobsStream("p");

interface Job {
  readonly sequence: number;
  readonly keepOutcome?: boolean;
  readonly idempotent?: boolean;
  readonly afterOutcome?: number;
}

/** A stream with these jobs, all of one level, whose consumer has delivered and acknowledged up to some sequences. */
function site(
  jobs: readonly Job[],
  consumer: { delivered: number; floor: number; pending?: number },
  lastSequence: number,
) {
  const stored = jobs.map(({ sequence, ...job }): Stored => {
    const headers = encodeDurableJob({ ...durableDefaults(), ...job }) as never;
    return {
      sequence,
      subject: names.job("p", "normal", `j${sequence}`),
      headers,
      payload: new Uint8Array(),
      storedAtMs: 0,
    };
  });
  /** The sequence of each id's outcome. */
  const outcomes = new Map<string, number>();
  const claims = new Map<string, number>();
  const done: string[] = [];
  const world = { created: "2026-01-01", lastSequence };
  const infoOf = (level: string): object => ({
    stream_name: JOBS,
    name: level,
    created: world.created,
    config: { durable_name: level, max_ack_pending: 77 },
    delivered: { stream_seq: level === "normal" ? consumer.delivered : 0, consumer_seq: 0 },
    ack_floor: { stream_seq: level === "normal" ? consumer.floor : 0, consumer_seq: 0 },
    num_pending: 0,
    num_ack_pending: level === "normal" ? (consumer.pending ?? 0) : 0,
  });
  const store = {
    consumerInfo: async (_: string, level: string) => infoOf(level),
    streamInfo: async () => ({ state: { messages: stored.length, last_seq: world.lastSequence } }),
    nextDecisive: async (_: string, __: string, from: number) => stored.find(({ sequence }) => sequence >= from),
    last: async (stream: string, subject: string) => {
      const id = names.idOf(subject);
      if (stream === names.outcomesStream) return outcomes.has(id) ? { sequence: outcomes.get(id) } : undefined;
      const headers = wireHeaders();
      headers.append(HEADER.sequence, String(claims.get(id)));
      return claims.has(id) ? { sequence: 5, headers } : undefined;
    },
    delete: async (_: string, sequence: number) => {
      done.push(`delete ${sequence}`);
      stored.splice(
        stored.findIndex((each) => each.sequence === sequence),
        1,
      );
      return true;
    },
    deleteConsumer: async (stream: string, name: string) => done.push(`end ${stream} ${name}`) > 0,
    addConsumer: async (_: string, { durable_name, max_ack_pending }: Record<string, unknown>) =>
      done.push(`add ${durable_name} ${max_ack_pending}`),
  } as unknown as LaneStore;
  const publish = async ({ subject, headers }: StreamMessage): Promise<never> => {
    done.push(`claim ${names.idOf(subject)} for ${headers?.get(HEADER.sequence)}`);
    return { kind: "stored", sequence: 1, duplicate: false } as never;
  };
  const leftovers = new Leftovers({
    ...{ pool: "p", manager: "m", names, store, publisher: { publish }, log: silentLog },
    bus: { runtime: new ManualRuntime() },
    onRenewed: () => done.push("in doubt"),
  });
  return { leftovers, outcomes, claims, done, world };
}

const RENEWED = [`end ${JOBS} normal`, "add normal 77", "in doubt"];

describe("jobs that are left over", () => {
  test("what has an outcome, or keeps none, is deleted; what is not acknowledged is left alone", async () => {
    const { leftovers, outcomes, done } = site(
      [{ sequence: 3 }, { sequence: 5, keepOutcome: false }, { sequence: 9 }],
      { delivered: 9, floor: 8, pending: 1 },
      9,
    );
    outcomes.set("j3", 40);
    await leftovers.sweep();
    await leftovers.sweep();
    assert.deepEqual(done, ["delete 3", "delete 5"]);
  });

  test("one without an outcome is delivered again, when it is seen twice: its consumer is made anew, as it was set", async () => {
    const { leftovers, done } = site([{ sequence: 3 }], { delivered: 9, floor: 8 }, 9);
    await leftovers.sweep();
    assert.deepEqual(done, []);
    await leftovers.sweep();
    assert.deepEqual(done, RENEWED);
  });

  test("an outcome of an earlier job with its id is none of it", async () => {
    const { leftovers, outcomes, done } = site([{ sequence: 3, afterOutcome: 40 }], { delivered: 9, floor: 8 }, 9);
    outcomes.set("j3", 40);
    await leftovers.sweep();
    await leftovers.sweep();
    assert.deepEqual(done, RENEWED);
  });

  test("one that may run once is claimed before, since it may have run", async () => {
    const once = { idempotent: false };
    const { leftovers, claims, done } = site(
      [
        { sequence: 3, ...once },
        { sequence: 4, ...once },
      ],
      { delivered: 9, floor: 8 },
      9,
    );
    claims.set("j4", 4);
    await leftovers.sweep();
    await leftovers.sweep();
    assert.deepEqual(done, ["claim j3 for 3", ...RENEWED]);
  });

  test("a consumer that is ahead of its stream is made anew at once, and no job of it is taken for ended unless it has an outcome", async () => {
    const { leftovers, outcomes, done } = site(
      [{ sequence: 3 }, { sequence: 4, keepOutcome: false }],
      { delivered: 9, floor: 8, pending: 2 },
      4,
    );
    outcomes.set("j3", 40);
    await leftovers.sweep();
    assert.deepEqual(done, ["delete 3", ...RENEWED]);
  });

  test("what another manager has made anew meanwhile stays", async () => {
    const { leftovers, done, world } = site([{ sequence: 3 }], { delivered: 9, floor: 8 }, 2);
    const sweep = leftovers.sweep();
    world.created = "2026-01-02";
    await sweep;
    assert.deepEqual(done, ["in doubt"]);
  });
});
