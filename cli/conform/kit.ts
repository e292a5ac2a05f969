/**
 * What scenarios work with: a manager's messages one by one, to one worker, and what comes back.
 *
 * Decided here: how a job is sent, and that after each scenario nothing of it is
 * left: its jobs are canceled, and what it changed at the worker is put back.
 */
import type { MsgHdrs } from "nats";
import type { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { ReplyRouter } from "../../mesh/link/reply-router.js";
import { delay } from "../../mesh/link/runtime.js";
import { encodeRevocation } from "../../mesh/wire/cancel-messages.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import { encodeJobHeaders, HEADER, type JobHeaders } from "../../mesh/wire/headers.js";
import type { Link } from "../link.js";
import type { ControlAnswer } from "./control-answer.js";
import { ControlAsker } from "./control-answer.js";
import type { HeardBeat, Hearing } from "./hearing.js";
import { SentJob } from "./sent-job.js";
import type { Target } from "./target.js";
import { Failed, NotTried } from "./verdict.js";

/** What the worker's handler is given. */
export interface Payloads {
  readonly quick: Uint8Array;
  /** The result of `quick`; undefined: any will do. */
  readonly expected: string | undefined;
  /** A job that runs for {@link SLOW_MS}; undefined: perhaps `quick` does. */
  readonly slow: Uint8Array | undefined;
  readonly failing: Uint8Array | undefined;
  readonly progress: Uint8Array | undefined;
}

/** A job as a scenario sends it: an offer, unless `offer` is false. */
export interface JobToSend extends JobHeaders {
  /** Default: the quick one. */
  readonly payload?: Uint8Array;
  /** "worker": to the worker's own subject. Default: to the pool's when no other worker is there. */
  readonly to?: "pool" | "worker";
  /** Headers besides the job's own. */
  readonly more?: Readonly<Record<string, string>>;
  /** The reply subject; "" for none. Default: an inbox. */
  readonly reply?: string;
}

/** How long an answer to an offer may take, and what the way there and back is allowed, in milliseconds. */
export const ANSWER_MS = 250;
const WAY_MS = 100;
/** How long any other answer is waited for, in milliseconds. */
export const PATIENCE_MS = 2_000;
/** A slow job runs at least this long, and at most so long, in milliseconds. */
export const SLOW_MS = { least: 150, most: 5_000 } as const;
/** After a question that was answered in order, what should not come has had this time, in milliseconds. */
const QUIET_MS = 60;
const BARE_QUIET_MS = 250;
/** How long the clock of the kit's messages ran before the process did, in milliseconds. */
const CLOCK_BEGAN_MS = 3_600_000;
/** What a canceled job may take to end, beside its own time, in milliseconds. */
const CANCELED_MS = 500;
const TIMEOUT_MS = 20_000;
const PUT_BACK_TRIES = 3;
/** Refusals of a worker with a free slot after which an offer is not sent again. */
const MAX_AGAIN = 5;

export class Kit {
  readonly target: Target;
  readonly hearing: Hearing;
  readonly link: Link;
  readonly control: ControlAsker;
  readonly payloads: Payloads;
  /** How long the slow job took when it was tried, in milliseconds. */
  slowMs = 0;
  #slow: Uint8Array | undefined;
  #whyNoSlow = "";
  #shortestMs = Number.POSITIVE_INFINITY;
  /** Whether the worker may be asked to drain, which ends it. */
  readonly mayDrain: boolean;
  /** What could not be put back at the worker, such as "PAUSED". */
  readonly leftBehind = new Set<string>();
  /** Every job that was sent since the start. */
  readonly sent: SentJob[] = [];
  readonly #router: ReplyRouter<SentJob>;
  readonly #cleanUps: (() => Promise<unknown>)[] = [];
  #open: SentJob[] = [];
  readonly #started = new Set<SentJob>();

  constructor(link: Link, target: Target, hearing: Hearing, payloads: Payloads, mayDrain: boolean) {
    this.link = link;
    this.target = target;
    this.hearing = hearing;
    this.payloads = payloads;
    this.mayDrain = mayDrain;
    this.control = new ControlAsker(link, target);
    this.#router = new ReplyRouter<SentJob>(link.bus, {
      onReply: (sent, msg) => sent.heard(msg),
      onBundled: (sent, result, about) => sent.heardBundled(result, about),
    });
  }

  /** How long an offer may stay without an answer as it is measured here, in milliseconds. */
  get answerLimitMs(): number {
    return ANSWER_MS + WAY_MS;
  }

  /** How long a slow job may take to end, in milliseconds. */
  get slowLimitMs(): number {
    return 2 * this.slowMs + PATIENCE_MS;
  }

  /** Monotonic milliseconds. */
  now(): number {
    return this.link.bus.runtime.now();
  }

  /** The clock of the kit's messages, in milliseconds. Its zero is long ago, so that a message can be old. */
  clock(): number {
    return this.now() + CLOCK_BEGAN_MS;
  }

  /** An id, or a nonce, that nobody else uses. */
  newId(): string {
    return `conform-${this.link.bus.runtime.newId()}`;
  }

  /** The slow payload. @throws NotTried when there is none */
  get slow(): Uint8Array {
    if (this.#slow !== undefined) return this.#slow;
    throw new NotTried(`no slow job: --slow-payload ${this.#whyNoSlow}`);
  }

  /** The slow payload, or the quick one when there is none. */
  get slowOrQuick(): Uint8Array {
    return this.#slow ?? this.payloads.quick;
  }

  /** Runs the slow job once more, to know how long it takes at least. A quick job that takes so long is the slow one too. */
  async measure(): Promise<void> {
    const payload = this.payloads.slow ?? this.payloads.quick;
    const sent = this.target.level === "bare" ? this.sendPlain(payload) : this.send({ payload });
    const outcome = await sent.outcome(SLOW_MS.most + PATIENCE_MS);
    const isResult = outcome?.kind === "result";
    this.#shortestMs = Math.min(this.#shortestMs, isResult ? outcome.afterMs : 0);
    const isSlow = this.#shortestMs >= SLOW_MS.least && this.#shortestMs <= SLOW_MS.most;
    this.#slow = isSlow ? payload : undefined;
    this.slowMs = isSlow ? this.#shortestMs : 0;
    if (this.payloads.slow === undefined) this.#whyNoSlow = "TEXT";
    else this.#whyNoSlow = isResult ? `took ${Math.round(this.#shortestMs)} ms` : `got ${sent.summary}`;
  }

  /** Slots as the newest heartbeat says. @throws NotTried when that is less than `least` */
  slots(least = 1): number {
    const slots = this.hearing.last(this.target.worker)?.slots ?? 0;
    if (slots < least) throw new NotTried(`needs ${least} slots; the worker has ${slots}`);
    return slots;
  }

  /** Sends a job. */
  send(job: JobToSend = {}): SentJob {
    const { payload = this.payloads.quick, to, more = {}, reply, ...headers } = job;
    const jobId = headers.jobId ?? this.newId();
    const sent = new SentJob(jobId, this.link.bus.runtime);
    const encoded = encodeJobHeaders({ offer: true, timeoutMs: TIMEOUT_MS, ...headers, jobId });
    for (const [name, value] of Object.entries(more)) encoded.append(name, value);
    this.#publish(this.#subject(to), payload, encoded, sent, reply);
    return sent;
  }

  /** Sends a job without any header, as `nats req` does. */
  sendPlain(payload = this.payloads.quick): SentJob {
    const sent = new SentJob("", this.link.bus.runtime);
    this.#publish(this.#subject(undefined), payload, undefined, sent);
    return sent;
  }

  /** Sends a job whose headers stand as they are, malformed or not. */
  sendRaw(headers: Readonly<Record<string, string>>): SentJob {
    const sent = new SentJob(headers[HEADER.jobId] ?? "", this.link.bus.runtime);
    const encoded = encodeJobHeaders({ offer: true });
    for (const [name, value] of Object.entries(headers)) encoded.append(name, value);
    this.#publish(this.#subject(undefined), this.payloads.quick, encoded, sent);
    return sent;
  }

  /** Sends a message of several jobs to the worker. The jobs' reply subjects are those of `tokens`. */
  sendBundle(jobs: readonly SentJob[], make: (tokens: readonly string[]) => { payload: Uint8Array; headers: MsgHdrs }) {
    const tokens = jobs.map((job) => this.#track(job));
    const { payload, headers } = make(tokens);
    const { pool, worker } = this.target;
    const reply = this.#router.subject(tokens[0] as string);
    this.link.bus.publish(this.link.subjects.jobFor(pool, worker), payload, { reply, headers });
  }

  /** Sends a slow job and waits until the worker has taken it. @throws Failed when the worker refuses it */
  async start(job: JobToSend = {}): Promise<SentJob> {
    const sent = this.send({ payload: this.slow, ...job });
    const first = await sent.any(this.answerLimitMs);
    const isTaken = first === undefined || first.kind === "accepted" || first.kind === "progress";
    if (!isTaken || sent.nobodyListens) throw new Failed(`a job to begin with was not taken: ${sent.summary}`);
    this.#started.add(sent);
    return sent;
  }

  /** Sends a job and waits for its outcome. @throws Failed unless it is the result */
  async result(job: JobToSend = {}): Promise<SentJob> {
    const sent = this.send(job);
    const outcome = await sent.outcome(PATIENCE_MS + this.slowMs);
    if (outcome?.kind !== "result") throw new Failed(`a job got ${sent.summary}`);
    return sent;
  }

  /** Cancels a job, or revokes attempts of it; shows who answers. */
  cancel(id: string, upToAttempt?: number, nonce?: string): SentJob {
    const sent = new SentJob(id, this.link.bus.runtime);
    const subject = this.link.subjects.cancel(this.target.pool, id);
    const token = this.#router.open(sent);
    const headers = encodeRevocation({ upToAttempt, nonce });
    this.link.bus.publish(subject, undefined, { reply: this.#router.subject(token), headers });
    return sent;
  }

  /** Waits until what would come without being asked for has come. */
  async quiet(): Promise<void> {
    const { runtime } = this.link.bus;
    if (this.target.level === "bare") return delay(runtime, BARE_QUIET_MS);
    await this.control.ask(encodeControl("probe", {}));
    await delay(runtime, QUIET_MS);
  }

  /** The first heartbeat from `fromMs` on that `isIt` accepts; undefined when none came in `limitMs` milliseconds. */
  beat(isIt: (heard: HeardBeat) => boolean, limitMs: number, fromMs = this.now()): Promise<HeardBeat | undefined> {
    const { hearing, target } = this;
    return hearing.until(() => hearing.of(target.worker).find((each) => each.atMs >= fromMs && isIt(each)), limitMs);
  }

  /** A heartbeat that says this state. */
  beatOf(state: WorkerState, limitMs: number, fromMs = this.now()): Promise<HeardBeat | undefined> {
    return this.beat(({ beat }) => beat?.state === state, limitMs, fromMs);
  }

  /**
   * Asks something of the worker, and `back` after the scenario however it ends.
   *
   * @param what the worker is if that fails, for {@link leftBehind}
   */
  async askUntilEnd(payload: Uint8Array | string, back: Uint8Array | string, what: string): Promise<ControlAnswer> {
    const undo = (): Promise<void> => this.#putBack(back, what);
    this.#cleanUps.push(undo);
    const answer = await this.control.ask(payload);
    if (answer.form === "absent") this.#cleanUps.splice(this.#cleanUps.indexOf(undo), 1);
    return answer;
  }

  /** Asks until the worker has answered: a link that is down for a moment must not leave it paused. */
  async #putBack(back: Uint8Array | string, what: string): Promise<void> {
    for (let tries = 0; tries < PUT_BACK_TRIES; tries += 1) {
      const { form } = await this.control.ask(back);
      if (form !== "absent" && form !== "silent") return;
      if (form === "absent") await delay(this.link.bus.runtime, PATIENCE_MS / 2);
    }
    this.leftBehind.add(what);
  }

  /** Undoes what a scenario did: what it changed is put back, and its jobs end. */
  async cleanUp(): Promise<void> {
    for (const undo of this.#cleanUps.splice(0).reverse()) await undo();
    const running = this.#open.filter((each) => each.outcomes.length === 0 && this.#isTaken(each));
    this.#open = [];
    this.#started.clear();
    for (const { id } of running) this.cancel(id);
    await Promise.all(running.map((each) => each.outcome(this.slowMs + CANCELED_MS)));
  }

  #isTaken(sent: SentJob): boolean {
    return this.#started.has(sent) || sent.replies.some(({ kind }) => kind === "accepted" || kind === "progress");
  }

  /** Hears no reply any more. */
  stop(): void {
    this.#router.stop();
  }

  #subject(to: JobToSend["to"]): string {
    const { pool, worker, alone } = this.target;
    const { subjects } = this.link;
    return to === "pool" || (to === undefined && alone) ? subjects.job(pool) : subjects.jobFor(pool, worker);
  }

  #track(sent: SentJob): string {
    this.sent.push(sent);
    this.#open.push(sent);
    return this.#router.open(sent);
  }

  /** A worker with a free slot may refuse an offer after a stall of its own; then it is sent again, as managers do. */
  #publish(subject: string, payload: Uint8Array, headers: MsgHdrs | undefined, sent: SentJob, reply?: string): void {
    const to = reply ?? this.#router.subject(this.#track(sent));
    const options = { ...(to === "" ? {} : { reply: to }), ...(headers === undefined ? {} : { headers }) };
    const publish = (): void => void this.link.bus.publish(subject, payload, options);
    let again = 0;
    sent.onRefusal = ({ free, ageMs }) => {
      again += 1;
      if (free === undefined || free === 0 || ageMs !== undefined || again > MAX_AGAIN) return false;
      publish();
      return true;
    };
    publish();
  }
}
