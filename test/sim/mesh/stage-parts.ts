/** What a plan is played with. */
import type { SimNetwork } from "../../../testing/nats/network.js";
import type { History } from "../history.js";
import type { SimWorld } from "../world-clock.js";
import type { SimMesh } from "./sim-mesh.js";

/** What a stage works with. */
export interface StageParts {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly mesh: SimMesh;
  readonly history: History;
}
