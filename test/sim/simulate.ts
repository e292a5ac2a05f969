/**
 * Plays one plan from its start until all is quiet, and judges it.
 *
 * The whole run is one macrotask: nothing of the real machine gets in between.
 */
import { fixChurnOrder } from "../../mesh/job/containers.js";
import { SimNetwork } from "../../testing/nats/network.js";
import { inMacrotask } from "./clock/microtasks.js";
import { sealed } from "./clock/surroundings.js";
import { History } from "./history.js";
import type { Violation } from "./invariants/invariant.js";
import { checkAll } from "./invariants/invariants.js";
import { hasNoLiveJobs, streamsOf, watchStreams } from "./mesh/lane-streams.js";
import { SimMesh } from "./mesh/sim-mesh.js";
import { Stage } from "./mesh/steps.js";
import { endOf, type Plan } from "./plan.js";
import { SimWorld, type TraceLine } from "./world-clock.js";

/** After the last fault, and after the last outcome, so much more is watched, milliseconds. */
const SETTLE_MS = 400;
const LOOK_EVERY_MS = 200;
const LOOKS = 4;
/** How long after the last deadline all has to be quiet, milliseconds. */
const REST_LIMIT_MS = 6_000;
/** The same with a slow link: what it has taken keeps its pace. */
const SLOW_REST_LIMIT_MS = 20_000;

/** How long after the last deadline all has to be quiet with the durable lane: what nobody speaks of comes again after 30 s. */
const LANE_REST_LIMIT_MS = 120_000;

/** What became of a plan. */
export interface Run {
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  readonly history: History;
  /** Empty unless it was traced. */
  readonly lines: readonly TraceLine[];
  /** How many events the world had, and how much time it lasted, milliseconds. */
  readonly events: number;
  readonly lastedMs: number;
}

/** Plays a plan. */
export function simulate(plan: Plan, options: { readonly traced?: boolean } = {}): Promise<Run> {
  return inMacrotask(() => sealed(() => play(plan, options.traced ?? false)));
}

function play(plan: Plan, traced: boolean): Run {
  fixChurnOrder(plan.seed);
  const world = new SimWorld({ seed: plan.seed, traced });
  const history = new History(world);
  const network = new SimNetwork(world);
  for (let i = 1; i <= plan.brokers; i += 1) network.addBroker(`nats-${i}`);
  if (plan.lane) network.enableJetStream(watchStreams(history));
  const mesh = new SimMesh(world, network, history, plan);
  mesh.start();
  new Stage({ world, network, mesh, history }).play(plan);
  world.run(Math.max(0, ...plan.steps.map(endOf)) + SETTLE_MS);
  untilQuiet(plan, world, () => isQuiet(history, mesh) && hasNoLiveJobs(network));
  const unclean = stillThere(world, () => mesh.unclean());
  const awaited = stillThere(world, () => mesh.awaited());
  if (plan.lane) history.record(streamsOf(network));
  history.record({ kind: "rest", unclean, awaited });
  const violations = checkAll(history.facts, plan);
  return { plan, violations, history, lines: world.lines, events: world.events, lastedMs: world.now() };
}

function untilQuiet(plan: Plan, world: SimWorld, isAtRest: () => boolean): void {
  const submits = plan.steps.filter((step) => step.do === "submit" || step.do === "enqueue");
  const lastDeadline = Math.max(0, ...submits.map((step) => step.atMs + step.job.timeoutMs));
  const isSlow = plan.steps.some((step) => step.do === "slow");
  const restMs = plan.lane ? LANE_REST_LIMIT_MS : isSlow ? SLOW_REST_LIMIT_MS : REST_LIMIT_MS;
  const limit = Math.max(world.now(), lastDeadline) + restMs;
  do {
    while (world.now() < limit && !isAtRest()) world.run(world.now() + LOOK_EVERY_MS);
    world.run(world.now() + SETTLE_MS);
    // a slow link may bring more after a while
  } while (world.now() < limit && !isAtRest());
}

/** What is there at each of several looks: what is on its way at one of them is no mess. */
function stillThere(world: SimWorld, look: () => string[]): readonly string[] {
  let there = look();
  for (let i = 1; i < LOOKS && there.length > 0; i += 1) {
    world.run(world.now() + LOOK_EVERY_MS);
    const now = new Set(look());
    there = there.filter((each) => now.has(each));
  }
  return there;
}

/**
 * Whether every caller that lives has heard of all it submitted, and nobody holds anything, waits for an answer, or has
 * yet to read what has come: a process that is stopped while it computes goes on with that.
 */
function isQuiet(history: History, mesh: SimMesh): boolean {
  if (!mesh.runs) return false;
  const dead = new Set<string>();
  const open = new Map<string, string>();
  for (const fact of history.facts) {
    if (fact.kind === "submit") open.set(`submitted ${fact.submission}`, fact.process);
    else if (fact.kind === "outcome") open.delete(`submitted ${fact.submission}`);
    else if (fact.kind === "enqueue") open.set(`enqueued ${fact.enqueued}`, fact.process);
    else if (fact.kind === "batch") open.set(`batch ${fact.batch}`, fact.process);
    else if (fact.kind === "batched") open.delete(`batch ${fact.batch}`);
    else if (fact.kind === "ended" || (fact.kind === "receipt" && fact.id === ""))
      open.delete(`enqueued ${fact.enqueued}`);
    else if (fact.kind === "died") dead.add(fact.process);
  }
  return (
    [...open.values()].every((process) => dead.has(process)) && [...mesh.unclean(), ...mesh.awaited()].length === 0
  );
}
