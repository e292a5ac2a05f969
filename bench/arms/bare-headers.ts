/**
 * The limit of anything that says as much as Poolmesh does: the bare loop with
 * headers as long as a job's and an answer's, made once and never read.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { Arm } from "../harness/arm.js";
import { startBareCaller } from "./bare.js";
import { startQueueMember } from "./queue-member.js";

const ID = "ABCDEFGHIJKLMNOPQRSTUV";
const JOB = {
  ...{ "Pool-Job-Id": ID, "Pool-Attempt": "1", "Pool-Timeout-Ms": "30000" },
  ...{ "Pool-Expires-At": "1750000000000", "Pool-Offer": "1" },
};
const ANSWER = {
  ...{ "Pool-Reply": "result", "Pool-Job-Id": ID, "Pool-Attempt": "1" },
  ...{ "Pool-Worker": "w0", "Pool-Free": "2047" },
};

function encodedOnce(fields: Readonly<Record<string, string>>): MsgHdrs {
  const all = headers();
  for (const [name, value] of Object.entries(fields)) all.append(name, value);
  const bytes = (all as unknown as { encode(): Uint8Array }).encode();
  return { encode: () => bytes } as unknown as MsgHdrs;
}

export const arm: Arm = {
  startWorker: (setup) => startQueueMember(setup, encodedOnce(ANSWER)),
  startCaller: (setup) => startBareCaller(setup, encodedOnce(JOB)),
};
