/**
 * Which broker of a network leads JetStream.
 *
 * Decided here: a broker alone leads again as soon as it runs; in a cluster a
 * majority elects another one after a while.
 */
import type { Scheduled, World } from "../../../sim/world.js";
import type { Cluster } from "../cluster.js";
import { JetStream } from "./jetstream.js";
import type { OnStored, StoredStream } from "./stored-stream.js";

/** How long an election takes, in milliseconds. */
const ELECTION_MS = { least: 400, most: 2_500 } as const;

export class JetStreamPlace {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #jetStream: JetStream;
  #election: Scheduled | undefined;

  constructor(world: World, cluster: Cluster, onStored: OnStored) {
    this.#world = world;
    this.#cluster = cluster;
    this.#jetStream = new JetStream(world, onStored);
    for (const name of cluster.names) this.#jetStream.listenAt(cluster.get(name));
    this.#elect();
  }

  streams(): Iterable<StoredStream> {
    return this.#jetStream.streams();
  }

  /**
   * A broker was killed.
   *
   * @param losesMs with its machine: what it stored within this time before is lost, in milliseconds
   * @param keepsConsumers its consumers have lost nothing
   */
  lost(broker: string, losesMs = 0, keepsConsumers = false): void {
    if (this.#jetStream.leader !== broker) return;
    this.#jetStream.stepDown(true, keepsConsumers);
    if (losesMs > 0) this.#jetStream.rollBack(this.#jetStream.now() - losesMs, keepsConsumers);
    this.#electLater();
  }

  /** A broker becomes a lame duck. */
  leaves(broker: string): void {
    if (this.#jetStream.leader !== broker) return;
    this.#jetStream.stepDown(false);
    this.#electLater();
  }

  /** A broker runs again. */
  started(broker: string): void {
    this.#jetStream.listenAt(this.#cluster.get(broker));
    if (this.#jetStream.leader === undefined) this.#electLater();
  }

  #electLater(): void {
    this.#world.cancel(this.#election);
    const { least, most } = ELECTION_MS;
    const isAlone = [...this.#cluster.names].length === 1;
    const ms = isAlone ? 0 : least + this.#world.random() * (most - least);
    this.#election = this.#world.at(this.#world.now() + ms, () => this.#elect());
  }

  #elect(): void {
    if (this.#jetStream.leader !== undefined) return;
    const all = [...this.#cluster.names].map((name) => this.#cluster.get(name));
    const able = all.filter((broker) => broker.accepting && !broker.paused);
    const running = all.filter((broker) => broker.running && !broker.paused);
    const [first] = able;
    if (first !== undefined && running.length * 2 > all.length) this.#jetStream.lead(first);
    else if (all.length > 1) this.#electLater();
  }
}
