/** Somebody who has a worker's credential and uses all of its rights, and tries others. */
import { connect, headers, type Msg, type NatsConnection, PermissionViolationError } from "nats";
import type { Rights } from "../../../cli/rights/right.js";
import { cleanUp, type Owner } from "../clean-up.js";
import type { RightsBroker } from "./rights-broker.js";

/** How many correlation ids are guessed of each inbox: slots times numbers. */
const SLOTS = 16;
const NUMBERS = 64;

export class Thief {
  /** All that it has received. */
  readonly heard: Msg[] = [];
  /** What the broker has refused: "publish SUBJECT" or "subscription SUBJECT". */
  readonly refused: string[] = [];
  /** Outcomes that it has published in another's name. */
  forged = 0;
  readonly #nc: NatsConnection;
  readonly #pool: string;
  readonly #worker: string;
  #seq = 0;

  static async connect(t: Owner, mesh: RightsBroker, rights: Rights): Promise<Thief> {
    const nc = await connect({ servers: mesh.broker.url, authenticator: mesh.authenticator(rights) });
    cleanUp(t, () => nc.close());
    return new Thief(nc, rights);
  }

  private constructor(nc: NatsConnection, { holder }: Rights) {
    this.#nc = nc;
    this.#pool = holder.pools?.[0] ?? "";
    this.#worker = holder.name;
    void this.#readErrors();
  }

  /** Listens to all of this. */
  subscribe(...subjects: readonly string[]): void {
    for (const subject of subjects) this.#hear(subject);
  }

  /** Does as a worker does: it beats, is offered jobs, and is asked. */
  pretendToWork(): void {
    this.#hear(`pool.${this.#pool}.job`, "workers");
    this.subscribe(`pool.${this.#pool}.job.${this.#worker}`, `pool.${this.#pool}.cancel.*`);
    this.beat();
  }

  /** Its own heartbeat, which it may send. */
  beat(): void {
    this.#seq += 1;
    const beat = {
      pool: this.#pool,
      worker: this.#worker,
      incarnation: "1",
      seq: String(this.#seq),
      slots: 4,
      busy: 0,
    };
    const body = JSON.stringify({ ...beat, state: "WORKER_STATE_READY", protocolVersion: 2 });
    this.#nc.publish(`pool.${this.#pool}.heartbeat.${this.#worker}`, body);
  }

  /** Publishes garbage to each of these. */
  publish(...subjects: readonly string[]): void {
    for (const subject of subjects) this.#nc.publish(subject, "garbage");
  }

  /** Guesses the reply subjects of other jobs from one that it knows, and answers each of the jobs there. */
  forge(reply: string, jobs: readonly string[], inTheNameOf: string): void {
    const at = reply.lastIndexOf(".") + 1;
    const [inbox, token] = [reply.slice(0, at), reply.slice(at)];
    const secrets = ["", token.slice(token.indexOf("_") + 2), token.slice(-13)];
    for (let slot = 0; slot < SLOTS; slot += 1) {
      for (let number = 1; number <= NUMBERS; number += 1) {
        for (const secret of secrets) {
          const guess = `${inbox}${slot.toString(36)}_${number.toString(36)}${secret}`;
          if (guess !== reply) this.#answer(guess, jobs[slot % jobs.length] as string, inTheNameOf);
        }
      }
    }
  }

  /** Answers every question to all workers, and to it, in the name of another: it has none of these jobs. */
  lieAbout(jobs: readonly string[], inTheNameOf: string): void {
    const lie = (msg: Msg): void => {
      const worker = { pool: this.#pool, worker: inTheNameOf };
      if (msg.reply) this.#nc.publish(msg.reply, JSON.stringify({ worker, unknownJobIds: jobs }));
    };
    for (const subject of [`pool.${this.#pool}.control`, `pool.${this.#pool}.control.${this.#worker}`]) {
      this.#nc.subscribe(subject, {
        callback: (error, msg) => {
          if (error !== null) return;
          this.heard.push(msg);
          lie(msg);
        },
      });
    }
  }

  /** Answers whoever asks for a service on these subjects, in the name of another. */
  poseAs(service: string, id: string, ...subjects: readonly string[]): void {
    const answer = { type: "io.nats.micro.v1.ping_response", name: service, id, version: "1.0.0", metadata: {} };
    for (const subject of subjects) {
      this.#nc.subscribe(subject, {
        callback: (error, msg) => {
          if (error === null && msg.reply) this.#nc.publish(msg.reply, JSON.stringify(answer));
        },
      });
    }
  }

  flush(): Promise<void> {
    return this.#nc.flush();
  }

  #hear(subject: string, queue?: string): void {
    this.#nc.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, msg) => {
        if (error === null) this.heard.push(msg);
      },
    });
  }

  #answer(reply: string, job: string, worker: string): void {
    const said = headers();
    const all = { "Pool-Reply": "result", "Pool-Job-Id": job, "Pool-Attempt": "1", "Pool-Worker": worker };
    for (const [name, value] of Object.entries(all)) said.append(name, value);
    this.#nc.publish(reply, "forged", { headers: said });
    this.forged += 1;
  }

  async #readErrors(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type !== "error" || !(status.error instanceof PermissionViolationError)) continue;
      this.refused.push(`${status.error.operation} ${status.error.subject}`);
    }
  }
}
