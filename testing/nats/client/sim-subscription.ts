/** A subscription of a simulated connection, with a callback. */
import {
  ClosedConnectionError,
  InvalidOperationError,
  type Msg,
  type Subscription,
  type SubscriptionOptions,
} from "nats";

/** What a subscription asks of its connection. */
export interface SubscriptionHost {
  isClosed(): boolean;
  sendUnsub(max?: number): void;
  flush(): Promise<void>;
  /** Takes it from the list of subscriptions. */
  forget(): void;
}

/** One subject. Iteration is not modelled: every subscription has a callback. */
export class SimSubscription implements Subscription {
  readonly sid: number;
  readonly queue: string | undefined;
  readonly callback: NonNullable<SubscriptionOptions["callback"]>;
  readonly closed: Promise<undefined | Error>;
  readonly #host: SubscriptionHost;
  readonly #subject: string;
  #max: number | undefined;
  #received = 0;
  #done = false;
  #drained: Promise<void> | undefined;
  #settle!: (error: undefined | Error) => void;

  constructor(host: SubscriptionHost, sid: number, subject: string, options: SubscriptionOptions) {
    if (options.callback === undefined)
      throw new InvalidOperationError("the model has subscriptions with callbacks only");
    this.#host = host;
    this.sid = sid;
    this.#subject = subject;
    this.queue = options.queue;
    this.callback = options.callback;
    this.#max = options.max;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Gives it a message. */
  take(msg: Msg): void {
    this.#received += 1;
    void this.callback(null, msg);
    if (this.#max !== undefined && this.#received >= this.#max) this.unsubscribe();
  }

  /** Ends it, perhaps with an error that its callback hears. */
  end(error?: Error): void {
    if (this.#done) return;
    if (error !== undefined) void this.callback(error, {} as Msg);
    this.#done = true;
    this.#settle(error);
  }

  unsubscribe(max?: number): void {
    if (!this.#host.isClosed()) {
      this.#host.sendUnsub(max);
      this.#max = max;
    }
    if (this.#max === undefined || this.#received >= this.#max) this.#leave();
  }

  drain(): Promise<void> {
    if (this.#host.isClosed()) return Promise.reject(new ClosedConnectionError());
    if (this.#done) return Promise.reject(new InvalidOperationError("subscription is already closed"));
    if (this.#drained === undefined) {
      this.#host.sendUnsub();
      this.#max = undefined;
      const leave = (): void => this.#leave();
      this.#drained = this.#host.flush().then(leave, leave);
    }
    return this.#drained;
  }

  isDraining(): boolean {
    return this.#drained !== undefined;
  }

  isClosed(): boolean {
    return this.#done;
  }

  getSubject(): string {
    return this.#subject;
  }

  getReceived(): number {
    return this.#received;
  }

  getProcessed(): number {
    return this.#received;
  }

  getPending(): number {
    return 0;
  }

  getID(): number {
    return this.sid;
  }

  getMax(): number | undefined {
    return this.#max;
  }

  [Symbol.asyncIterator](): AsyncIterator<Msg> {
    throw new InvalidOperationError("iterator cannot be used when a callback is registered");
  }

  #leave(): void {
    this.end();
    this.#host.forget();
  }
}
