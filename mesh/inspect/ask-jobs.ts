/**
 * Asks managers after the jobs that they have.
 *
 * Decided here: how long is waited, and for whom. A manager that is known to be there
 * is waited for up to a limit. One that did not answer last time is heard when it
 * answers, and waited for no more. Who knows no managers hears for a fixed time, and
 * longer while nobody has answered: the broker says at once when there is nobody.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type JobQuery,
  type JobQueryAnswer,
  JobQueryAnswerSchema,
  JobQuerySchema,
} from "../../gen/poolmesh/v1/job_pb.js";
import type { Bus } from "../link/bus.js";
import type { Inbox } from "../link/inbox.js";
import { afterSilence } from "../link/runtime.js";
import { isName } from "../wire/subjects.js";
import { isNoResponders } from "../wire/wire-headers.js";

/** How long a manager has to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 1_000;
/** How long is heard who answers when nobody knows who is there, in milliseconds. */
const HEAR_MS = 400;
/** How long the first of unknown managers has to answer, in milliseconds: a busy host or a far one takes its time. */
const FIRST_LIMIT_MS = 5_000;

/** One subject, and who is there to answer. */
export interface JobsQuestion {
  readonly subject: string;
  /** Undefined when nobody knows. */
  readonly managers: readonly string[] | undefined;
}

/** What came of it. */
export interface JobsAnswers {
  readonly answers: readonly JobQueryAnswer[];
  /** Managers that are there and did not answer in time. */
  readonly silent: readonly string[];
}

export class JobsAsker {
  readonly #bus: Bus;
  readonly #inbox: Inbox;
  /** Managers that did not answer last time. */
  #silent = new Set<string>();

  constructor(bus: Bus, inbox: Inbox) {
    this.#bus = bus;
    this.#inbox = inbox;
  }

  /** Asks each question; a manager that two of them reach answers both. @throws PoolError `bus_unavailable` */
  async ask(questions: readonly JobsQuestion[], query: Omit<JobQuery, "$typeName">): Promise<JobsAnswers> {
    this.#bus.requireConnected();
    const payload = toBinary(JobQuerySchema, create(JobQuerySchema, query));
    const all = await Promise.all(questions.map((question) => this.#askOne(question, payload)));
    const silent = [...new Set(all.flatMap((each) => each.silent))].sort();
    const expected = questions.flatMap(({ managers = [] }) => managers);
    // Who is not expected any more is forgotten.
    this.#silent = new Set(silent.filter((manager) => expected.includes(manager)));
    return { answers: all.flatMap((each) => each.answers), silent };
  }

  #askOne({ subject, managers }: JobsQuestion, payload: Uint8Array): Promise<JobsAnswers> {
    const { runtime } = this.#bus;
    const answers = new Map<string, JobQueryAnswer>();
    const waitsFor = new Set(managers?.filter((manager) => !this.#silent.has(manager)));
    if (managers?.length === 0) return Promise.resolve({ answers: [], silent: [] });
    return new Promise((resolve) => {
      let [isLate, isOver] = [false, false];
      const endIn = (ms: number, then = end) => afterSilence(runtime, ms, then);
      const end = (): void => {
        isOver = true;
        this.#inbox.close(token);
        runtime.cancel(timer);
        const silent = (managers ?? []).filter((manager) => !answers.has(manager));
        resolve({ answers: [...answers.values()], silent });
      };
      const token = this.#inbox.open({
        onReply: (msg) => {
          if (isNoResponders(msg)) return end();
          const answer = decodeAnswer(msg.data);
          if (answer === undefined || answers.has(answer.manager)) return;
          answers.set(answer.manager, answer);
          waitsFor.delete(answer.manager);
          if (isLate) {
            isLate = false;
            runtime.cancel(timer);
            timer = endIn(HEAR_MS);
          }
          if (managers !== undefined && waitsFor.size === 0) end();
        },
      });
      const hear = (): void => {
        if (isOver || answers.size > 0) return end();
        isLate = true;
        timer = endIn(FIRST_LIMIT_MS - HEAR_MS);
      };
      let timer = managers === undefined ? endIn(HEAR_MS, hear) : endIn(ANSWER_LIMIT_MS);
      this.#bus.publish(subject, payload, { reply: this.#inbox.subject(token) });
    });
  }
}

/** Undefined for what is no answer. */
function decodeAnswer(payload: Uint8Array): JobQueryAnswer | undefined {
  try {
    const answer = fromBinary(JobQueryAnswerSchema, payload);
    return isName(answer.manager) && answer.error === undefined ? answer : undefined;
  } catch {
    return undefined;
  }
}
