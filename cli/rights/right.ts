/** What an account on the broker may do, and whom it is for. */

/** What an account may be for. */
export const ROLES = ["client", "worker", "manager", "meter", "operator"] as const;
export type Role = (typeof ROLES)[number];

/** Who a set of rights is for. */
export interface Holder {
  readonly role: Role;
  /** The pools it has to do with; undefined for all. A worker has one. */
  readonly pools?: readonly string[] | undefined;
  /** The id of a worker, manager or meter; any name for a client or an operator. */
  readonly name: string;
  /** First token of every subject; default "pool". */
  readonly prefix?: string | undefined;
  /** Whether it takes part in the durable lane; default false. */
  readonly durable?: boolean | undefined;
  /** Whether its payloads and results may be over the broker's limit; default false. */
  readonly large?: boolean | undefined;
}

/** One subject that may be published or subscribed to. */
export interface Right {
  /** May have wildcards. */
  readonly subject: string;
  /** Of a subscription: in this queue group only. */
  readonly queue?: string;
  /** What for. */
  readonly why: string;
}

/** Answers to the reply subject of a message that was received. */
export interface Responses {
  /** Answers to one message. */
  readonly max: number;
  /** How long after the message, in milliseconds. */
  readonly withinMs: number;
}

/** All that one account may do. What is not listed is refused. */
export interface Rights {
  readonly holder: Holder;
  /** For `--inbox-prefix`; undefined for a role that asks nothing. */
  readonly inboxPrefix: string | undefined;
  readonly publish: readonly Right[];
  readonly subscribe: readonly Right[];
  readonly responses: Responses | undefined;
}

export type RightSet = Pick<Rights, "publish" | "subscribe" | "responses">;
