/** Row 7: what things cost: memory, larger payloads, and the time to be set up. */
import type { Comparison, RowResult, Target } from "../harness/figures/comparison.js";
import { atMost, figureOf } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { timeToFirstResult } from "../harness/processes/set-up.js";
import type { Row, Run } from "../harness/run.js";
import { measureMemory } from "./memory.js";
import { measurePayloads } from "./payloads.js";

const SET_UP = "poolmesh up → first result";
const FIRST = "time";

/** The row. */
export const cost: Row = {
  number: 7,
  title: "Cost",
  async measure(run): Promise<Pick<RowResult, "comparisons" | "targets">> {
    const memory = await measureMemory(run);
    const payloads = await measurePayloads(run);
    const setUp = await measureSetUp(run);
    const targets: Target[] = [
      ...memory.targets,
      ...payloads.targets,
      atMost(SET_UP, figureOf(setUp, SET_UP, FIRST), 2, "s"),
    ];
    return {
      comparisons: [...memory.comparisons, ...payloads.comparisons, setUp],
      targets: run.extent.quick ? [] : targets,
    };
  },
};

async function measureSetUp(run: Run): Promise<Comparison> {
  const samples = new Samples();
  for (let round = 0; round < run.extent.rounds; round += 1) {
    run.say(`set-up, round ${round + 1}`);
    samples.add(SET_UP, FIRST, (await timeToFirstResult()) / 1_000);
  }
  return {
    id: "7-set-up",
    title: "From starting `poolmesh up` (broker, manager, meter, one worker) to the first result",
    unit: "s",
    better: "lower",
    conditions: [FIRST],
    series: samples.series([SET_UP], [FIRST]),
    doesNotShow: "Finding and installing nats-server where there is none.",
    chart: false,
  };
}
