/**
 * The wire of a client: how its submissions leave and how answers come back.
 *
 * It owns the ticker and hears the connection's events; failover.ts decides.
 */
import type { MsgHdrs } from "nats";
import { jobCanceled, type PoolError } from "../mesh/errors.js";
import { ATTEMPTS_PER_MANAGER, JobResult, type Outcome } from "../mesh/job/job.js";
import { Arrivals } from "../mesh/link/broker/arrivals.js";
import type { Bus } from "../mesh/link/bus.js";
import { Inbox } from "../mesh/link/inbox.js";
import { ReplyRouter } from "../mesh/link/reply-router.js";
import type { Timer } from "../mesh/link/runtime.js";
import { isOfClock, markClockAnswer } from "../mesh/wire/ages.js";
import { encodeRevocation } from "../mesh/wire/cancel-messages.js";
import { readErrorHeaders } from "../mesh/wire/error-headers.js";
import { decodeReplyHeaders, encodeJobHeaders, HEADER, type ReplyHeaders } from "../mesh/wire/headers.js";
import { ownerWord } from "../mesh/wire/owner.js";
import { type BundledResult, jobRefusal, payloadLimit } from "../mesh/wire/payloads.js";
import { isName, type Subjects } from "../mesh/wire/subjects.js";
import { type HeaderReader, headersOf, isNoResponders, type Reply, streamOf } from "../mesh/wire/wire-headers.js";
import { SubmissionBundles } from "./bundles.js";
import { Cancels, type CancelsPorts } from "./cancels.js";
import { ClientRights } from "./client-rights.js";
import { Failover, TAKE_WITHIN_MS, TICK_MS } from "./failover.js";
import type { FailoverPorts } from "./failover-ports.js";
import { refuseStored } from "./large/stored-results.js";
import { Managers } from "./managers.js";
import type { Submission } from "./submission.js";

/** What a result says beside its payload. */
type Said = { readonly [K in "worker" | "attempt" | "waitMs"]?: ReplyHeaders[K] | undefined };

/** A correlation id that nobody waits for. */
const NOBODY = "nobody";

export class ClientLink implements FailoverPorts, CancelsPorts {
  /** For the client's own questions. */
  readonly inbox: Inbox;
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  readonly #pool: string;
  readonly #readsObjects: boolean;
  readonly #failover: Failover;
  readonly #managers: Managers;
  readonly #answers: ReplyRouter<Submission>;
  readonly #bundles: SubmissionBundles;
  readonly #rights: ClientRights;
  readonly #arrivals: Arrivals;
  readonly #cancels: Cancels;
  readonly #offBus: (() => void)[];
  #ticker: Timer | undefined;

  /** @param readsObjects whether results in the object store are read */
  constructor(bus: Bus, subjects: Subjects, pool: string, readsObjects: boolean) {
    this.#bus = bus;
    this.#readsObjects = readsObjects;
    this.#subjects = subjects;
    this.#pool = pool;
    this.#failover = new Failover(this);
    this.#arrivals = new Arrivals(bus);
    this.inbox = new Inbox(bus);
    this.#cancels = new Cancels(bus, this);
    this.#answers = new ReplyRouter(bus, {
      onReply: (submission, msg) => this.#onAnswer(submission, msg),
      onBundled: (submission, result, about, nowMs) => this.#onBundled(submission, result, about, nowMs),
    });
    this.#bundles = new SubmissionBundles({
      bus,
      subject: subjects.submissions(pool),
      replySubject: (token) => this.#answers.subject(token),
      sendAlone: (submission) => this.#sendAlone(submission),
      onNotLeft: (submission) => this.#failover.notLeft(submission),
      giveAgain: (submission) => this.#failover.giveAgain(submission, bus.runtime.now()),
    });
    this.#managers = new Managers(bus, this.inbox, {
      onGone: (manager) => this.#failover.managerGone(manager, bus.runtime.now()),
      onRestarted: (manager) => this.#failover.managerRestarted(manager, bus.runtime.now()),
    });
    this.#rights = new ClientRights({
      bus,
      submitSubject: subjects.submit(pool),
      submissionsSubject: subjects.submissions(pool),
      submitToSubject: (manager) => subjects.submitTo(pool, manager),
      onBundlesRefused: () => this.#bundles.refused(this.#failover.all()),
      onSubmitRefused: (error) => this.#failover.refused(error),
      onClockRefused: (error) => this.#failover.refused(error, true),
      onInboxRefused: (error) => this.#failover.deaf(error),
      subscribeAgain: () => {
        this.#answers.retry();
        this.inbox.retry();
      },
    });
    this.#offBus = [
      bus.stayWhile(() => this.#failover.isOwedAnswers),
      bus.on("handover", () => this.#failover.handoverBegins(bus.runtime.now())),
      bus.on("disconnect", () => this.#failover.disconnected()),
      bus.on("reconnect", () => this.#onReconnect()),
    ];
  }

  isLive(id: string): boolean {
    return this.#failover.live(id) !== undefined;
  }

  /**
   * Cancels a job that is live here: its outcome is `canceled` at once.
   *
   * @returns what {@link Cancels.say} returns; undefined when the job is not live here
   */
  cancel(id: string): Promise<void> | undefined {
    const submission = this.#failover.live(id);
    if (submission === undefined) return undefined;
    const maybeExecuted = mayHaveLeft(submission);
    const heard = maybeExecuted ? this.#cancels.say(submission) : Promise.resolve();
    this.#failover.fail(submission, jobCanceled(maybeExecuted));
    return heard;
  }

  /** Cancels what is live and hears nothing any more. */
  stop(): void {
    for (const { id } of this.#failover.all()) void this.cancel(id);
    this.#cancels.stop();
    for (const off of this.#offBus) off();
    this.#rights.stop();
    this.#endTicker();
    this.#managers.stop();
    this.#answers.stop();
    this.inbox.stop();
  }

  /** A new submission. */
  submit(submission: Submission): void {
    const { runtime } = this.#bus;
    submission.token = this.#answers.open(submission);
    this.#ticker ??= runtime.every(TICK_MS, () => this.#tick());
    this.#failover.submitted(submission, runtime.now());
  }

  give(submission: Submission): boolean | PoolError {
    if (this.#rights.denied !== undefined) return this.#rights.denied;
    const mayHaveRun = submission.state !== "unsent";
    const refusal = jobRefusal(submission.payload, submission.headers, payloadLimit(this.#bus), mayHaveRun);
    return refusal ?? (this.#giveToAwake(submission) || this.#giveToAny(submission));
  }

  hasArrived(sentAtMs: number): boolean {
    return this.#arrivals.has(sentAtMs);
  }

  callRoll(): void {
    this.#managers.callRoll();
  }

  askAll(submissions: readonly Submission[]): void {
    this.#managers.callRoll((manager) => {
      for (const each of submissions) if (each.state === "doubtful") this.#ask(each, manager);
    });
  }

  askAgain(submission: Submission): boolean {
    return this.#ask(submission, submission.manager);
  }

  revoke(submission: Submission, upToAttempt: number): void {
    this.#answers.close(submission.token);
    submission.token = this.#answers.open(submission);
    this.#revoke(submission, upToAttempt);
  }

  abandon(submission: Submission): void {
    if (mayHaveLeft(submission)) this.#revoke(submission, undefined);
  }

  sayCancel(submission: Submission): void {
    this.#revoke(submission, undefined, this.#answers.subject(submission.token));
  }

  askManager(submission: Submission, manager: string): void {
    this.#ask(submission, manager);
  }

  close({ token }: Submission): void {
    this.#answers.close(token);
  }

  watch(manager: string, watched: boolean): void {
    this.#managers.watch(manager, watched);
  }

  forget(submission: Submission): void {
    if (!this.#cancels.has(submission)) this.close(submission);
    if (this.#failover.size === 0) this.#endTicker();
  }

  /** @param reply where who has heard it says so */
  #revoke({ id, headers: { nonce } }: Submission, upToAttempt: number | undefined, reply?: string): void {
    const headers = encodeRevocation({ upToAttempt, nonce });
    const options = reply === undefined ? { headers } : { headers, reply };
    this.#bus.publish(this.#subjects.cancel(this.#pool, id), undefined, options);
  }

  #giveToAny(submission: Submission): boolean {
    return this.#bundles.add(submission) || this.#sendAlone(submission);
  }

  #sendAlone(submission: Submission): boolean {
    return this.#publish(submission, this.#subjects.submit(this.#pool), submission.payload);
  }

  /** When a manager said nothing: to one that is awake. An id that its caller chose goes to the manager that owns it. */
  #giveToAwake(submission: Submission): boolean {
    const { headers, managersBefore, payload, token } = submission;
    const manager =
      managersBefore > 0 && !headers.nonce ? this.#managers.pickAwake(this.#bus.runtime.now()) : undefined;
    if (manager === undefined || !this.#bus.connected) return false;
    const said = this.#headersNow(submission);
    said.append(HEADER.replyTo, this.#answers.subject(token));
    said.append(HEADER.mayRefuse, "1");
    const question = { subject: this.#subjects.submitTo(this.#pool, manager), payload, headers: said };
    void this.inbox.ask({ ...question, limitMs: TAKE_WITHIN_MS }).then((answer) => {
      const isRefused = answer.kind === "reply" && ownerWord(answer.msg) === "refused";
      if (answer.kind !== "absent" && !isRefused) return;
      this.#managers.isNotAwake(manager);
      if (submission.token === token && submission.state === "asking") this.#giveToAny(submission);
    });
    return true;
  }

  /** Without the payload: who has the job has that too. */
  #ask(submission: Submission, manager: string): boolean {
    return this.#publish(submission, this.#subjects.submitTo(this.#pool, manager));
  }

  /**
   * A manager that has never heard this client asks for its clock before it takes the submission. Nobody waits where a
   * reply to the answer would go: when that manager is just being handed over, nobody listens, and that says nothing of the job.
   */
  #sayClock(submission: Submission, manager: string, question: HeaderReader | undefined): void {
    if (submission.isTaken || !isName(manager)) return;
    this.#rights.saysClockTo(manager);
    const headers = markClockAnswer(this.#headersNow(submission), question);
    const reply = this.#answers.subject(NOBODY);
    this.#bus.publish(this.#subjects.submitTo(this.#pool, manager), undefined, { headers, reply });
  }

  #publish(submission: Submission, subject: string, payload?: Uint8Array): boolean {
    const reply = this.#answers.subject(submission.token);
    return this.#bus.publish(subject, payload, { headers: this.#headersNow(submission), reply });
  }

  /** What a submission says when it leaves now. */
  #headersNow({ headers, managersBefore, deadlineAtMs }: Submission): MsgHdrs {
    const nowMs = this.#bus.runtime.now();
    headers.timeoutMs = Math.max(1, deadlineAtMs - nowMs);
    headers.clockMs = nowMs;
    headers.startWithinMs = TAKE_WITHIN_MS;
    if (managersBefore > 0) headers.attempt = managersBefore * ATTEMPTS_PER_MANAGER + 1;
    return encodeJobHeaders(headers);
  }

  #tick(): void {
    const nowMs = this.#bus.runtime.now();
    this.#failover.tick(nowMs, this.#bus.connected);
    if (this.#bus.connected) this.#managers.tick(nowMs);
  }

  #endTicker(): void {
    this.#bus.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  #onReconnect(): void {
    const nowMs = this.#bus.runtime.now();
    this.#managers.onReconnect(nowMs);
    this.#rights.onReconnect();
    this.#failover.reconnected(nowMs);
  }

  #onAnswer(submission: Submission, msg: Reply): void {
    const nowMs = this.#bus.runtime.now();
    if (isNoResponders(msg)) {
      this.#cancels.absent(submission);
      // Nobody listens where one was asked whether it has the job: that tells nothing of what was submitted.
      const isSubmitted = submission.state !== "doubtful" && !this.#bundles.nobodyListens(submission);
      if (isSubmitted) this.#failover.noManager(submission, nowMs);
      return;
    }
    const headers = headersOf(msg);
    const reply = decodeReplyHeaders(headers);
    if (reply.kind === "unknown" && submission.state !== "ended" && isOfClock(headers))
      return this.#sayClock(submission, reply.manager ?? "", headers);
    this.#rights.answeredBy(reply.manager);
    if (submission.state === "ended") return this.#onCancelAnswer(submission, reply);
    if (!isManagersWord(reply)) return this.#onStranger(submission, streamOf(msg));
    submission.bundle = undefined;
    if (reply.kind === "accepted" || reply.kind === "progress") {
      this.#failover.taken(submission, reply.manager ?? "");
      if (reply.kind === "progress") submission.onProgress?.(msg.data);
    } else if (reply.kind === "error" && headers !== undefined) {
      this.#onError(submission, reply, readErrorHeaders(headers), nowMs);
    } else this.#onResult(submission, reply, msg.data, nowMs);
  }

  /** A manager's word for one of several submissions: that it has the job, or its result. */
  #onBundled(submission: Submission, result: BundledResult, about: ReplyHeaders, nowMs: number): void {
    if (!isManagersWord(about) || (about.kind !== "accepted" && about.kind !== "result")) return;
    submission.bundle = undefined;
    this.#rights.answeredBy(about.manager);
    if (submission.state === "ended") return this.#onCancelAnswer(submission, about);
    if (about.kind === "accepted") return this.#failover.taken(submission, about.manager ?? "");
    const { attempt, waitMs, payload } = result;
    this.#onResult(submission, { worker: about.worker, attempt, waitMs }, payload, nowMs);
  }

  #onStranger(submission: Submission, stream: string | undefined): void {
    for (const each of submission.bundle ?? [submission]) this.#failover.strangerAnswered(each, stream);
  }

  /** To a job that its caller has canceled: a manager or a worker has heard that, or the job was over before. */
  #onCancelAnswer(submission: Submission, { bare, kind, manager = "" }: ReplyHeaders): void {
    if (kind === "result" || kind === "error") return bare ? undefined : this.#cancels.heard(submission);
    if (kind === "accepted") this.#cancels.taken(submission, manager);
  }

  #onError(submission: Submission, said: ReplyHeaders, error: PoolError, nowMs: number): void {
    const isForgotten = error.reason === "not_found" && error.field === "job";
    const wasTaken = error.maybeExecuted || submission.isTaken;
    if (isForgotten && !wasTaken) return this.#failover.notTaken(submission, nowMs);
    if (isForgotten) return this.#failover.forgotten(submission, said.manager, nowMs);
    const waitMs = said.waitMs === undefined ? undefined : submission.waitedMs(said.waitMs, nowMs);
    this.#failover.ended(submission, submission.failure(error, said.worker, said.attempt, waitMs));
  }

  #onResult(submission: Submission, said: Said, payload: Uint8Array, nowMs: number): void {
    const { worker = "", attempt = 1, waitMs = Number.POSITIVE_INFINITY } = said;
    const { id, submittedAtMs } = submission;
    const totalMs = nowMs - submittedAtMs;
    const result = new JobResult(id, payload, worker, attempt, submission.waitedMs(waitMs, nowMs), totalMs);
    const outcome: Outcome = { ok: true, id, result };
    this.#failover.ended(submission, this.#readsObjects ? outcome : refuseStored(outcome));
  }
}

/**
 * Whether a manager says it of a submission. A manager names itself: what does not comes from somebody else, such as a
 * stream that captures the subject. What only workers say decides nothing.
 */
function isManagersWord({ bare, kind, manager }: ReplyHeaders): boolean {
  return bare !== true && manager !== undefined && kind !== "unknown" && kind !== "busy";
}

/** Whether a manager may have it, or have had it. */
function mayHaveLeft({ state, leaves, mayHaveRun }: Submission): boolean {
  return (state !== "unsent" && !leaves) || mayHaveRun;
}
