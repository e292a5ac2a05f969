/** Scenarios: several jobs in one message. */

import { encodeBundle, encodeJobsHeaders } from "../../../mesh/wire/payloads.js";
import { PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { SentJob } from "../sent-job.js";
import { expect, NotTried } from "../verdict.js";

const JOBS = 2;
const TIMEOUT_MS = 20_000;

const bundle: Scenario = {
  name: "bundle",
  level: "v1",
  sentence:
    "A worker that says `takes_bundles` answers every job of a bundle, each by itself or several in a bundle of results.",
  async run(kit) {
    const isClaimed = kit.hearing.last(kit.target.worker)?.takesBundles === true;
    if (!isClaimed) throw new NotTried("its heartbeat does not say takes_bundles, which is allowed");
    const { runtime } = kit.link.bus;
    const jobs = Array.from({ length: JOBS }, () => new SentJob(kit.newId(), runtime));
    kit.sendBundle(jobs, (tokens) => ({
      headers: encodeJobsHeaders(JOBS, { sentAt: runtime.wallNow(), clockMs: kit.clock(), startWithinMs: TIMEOUT_MS }),
      payload: encodeBundle(
        jobs.map(({ id }, i) => ({
          id,
          token: tokens[i] ?? "",
          nonce: "",
          attempt: 1,
          payload: kit.payloads.quick,
          timeoutMs: TIMEOUT_MS,
          traceparent: undefined,
          tracestate: undefined,
        })),
      ),
    }));
    for (const job of jobs) {
      const answer = await job.any(PATIENCE_MS);
      if (answer?.kind === "busy") continue;
      const outcome = await job.outcome(PATIENCE_MS + kit.slowMs);
      expect(outcome?.kind === "result", `a job of the bundle got ${job.summary}`);
    }
  },
};

export const BUNDLES: ScenarioGroup = { title: "Bundles", scenarios: [bundle] };
