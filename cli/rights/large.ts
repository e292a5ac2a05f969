/**
 * What payloads over the broker's limit need besides, by role. Pure.
 *
 * Each part writes its own bucket: clients what is submitted and enqueued, workers results. Nobody may make a bucket:
 * who may make a stream may have it take any subject. `nats object add` makes them.
 */
import { bucketNames, defaultBucket } from "../../mesh/objects/large-payloads.js";
import type { Right, RightSet, Role } from "./right.js";

type Added = Pick<RightSet, "publish" | "subscribe">;

/**
 * What is added to a role's set.
 *
 * @param prefix the mesh's prefix; its buckets are those of the default
 * @param durable whether the holder takes part in the durable lane
 */
export function largeRights(role: Role, prefix: string, durable: boolean): Added {
  const { submitted, enqueued, results } = bucketNames(defaultBucket(prefix));
  switch (role) {
    case "client":
      return added(
        ...writes(submitted, "payloads of its jobs"),
        ...(durable ? writes(enqueued, "payloads of its durable jobs") : []),
        ...reads(results, "results"),
        right(`$JS.API.STREAM.PURGE.OBJ_${results}`, "results that it has read"),
      );
    case "worker":
      return added(
        ...reads(submitted, "payloads"),
        ...reads(enqueued, "payloads of durable jobs"),
        ...writes(results, "results of its jobs"),
      );
    case "manager":
      return durable ? added(...forgets(enqueued, "payloads of durable jobs that have ended")) : added();
    case "meter":
    case "operator":
      return added();
  }
}

function writes(bucket: string, what: string): Right[] {
  return [
    right(`$O.${bucket}.>`, what),
    right(`$JS.API.STREAM.INFO.OBJ_${bucket}`, "whether there is room"),
    ...forgets(bucket, `${what} that have ended, and what could not be written whole`),
  ];
}

function forgets(bucket: string, what: string): Right[] {
  return [
    right(`$JS.API.STREAM.MSG.GET.OBJ_${bucket}`, `which parts an object has`),
    right(`$JS.API.STREAM.PURGE.OBJ_${bucket}`, what),
  ];
}

function reads(bucket: string, what: string): Right[] {
  return [
    right(`$JS.API.DIRECT.GET.OBJ_${bucket}`, what),
    right(`$JS.API.STREAM.MSG.GET.OBJ_${bucket}`, "the same, from the stream's leader"),
  ];
}

function added(...publish: Right[]): Added {
  return { publish, subscribe: [] };
}

function right(subject: string, why: string): Right {
  return { subject, why };
}
