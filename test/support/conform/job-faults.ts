/** Workers that do one thing wrong with jobs, and the scenarios that say so. */
import { HEADER } from "../../../mesh/wire/headers.js";
import { type Fault, isCancel, isJob, isReply, type Mail, put, strip, type Wire } from "./tampered-worker.js";

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** The same for every job, unchanged for all else. */
function jobs(change: (mail: Mail) => Mail): NonNullable<Fault["incoming"]> {
  return (mail) => [isJob(mail) ? change(mail) : mail];
}

function cancels(change: (mail: Mail) => Mail): NonNullable<Fault["incoming"]> {
  return (mail) => [isCancel(mail) ? change(mail) : mail];
}

function replies(kind: string, change: (mail: Mail) => readonly Mail[]): NonNullable<Fault["outgoing"]> {
  return (mail) => (isReply(mail, kind) ? change(mail) : [mail]);
}

function refuse(mail: Mail, wire: Wire, reason: string): readonly Mail[] {
  const headers = { [HEADER.reply]: "error", [HEADER.error]: reason, [HEADER.worker]: wire.worker };
  if (mail.reply) wire.publish({ subject: mail.reply, headers });
  return [];
}

/** Whether the worker was sent this before: remembered by `seen`. */
function isNew(seen: Set<string>, key: string): boolean {
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/** Each call makes the faults anew, since some remember what they saw. */
export function jobFaults(): Fault[] {
  const [attempts, ids] = [new Set<string>(), new Set<string>()];
  let dropNext = false;
  return [
    {
      what: "adds two",
      fails: ["result"],
      outgoing: replies("result", (mail) => [{ ...mail, data: text("43") }]),
    },
    {
      what: "sends every result twice",
      fails: ["one-answer", "one-outcome", "progress"],
      outgoing: replies("result", (mail) => [mail, mail]),
    },
    {
      what: "refuses jobs with headers that it does not know",
      fails: ["unknown-headers"],
      incoming: (mail, wire) => ("X-Conform" in mail.headers ? refuse(mail, wire, "invalid_argument") : [mail]),
    },
    {
      what: "does not listen at its own job subject",
      fails: ["join", "assignment", "paused-refuses", "bundle"],
      listens: (subject) => !subject.endsWith(".job.w1"),
    },
    {
      what: "does not say who it is",
      fails: ["reply-names"],
      outgoing: (mail) => [isReply(mail) ? strip(mail, HEADER.worker) : mail],
    },
    {
      what: "never says accepted",
      fails: ["answers-in-time", "repeat-running"],
      slowMs: 500,
      outgoing: (mail) => (isReply(mail, "accepted") || isReply(mail, "progress") ? [] : [mail]),
    },
    {
      what: "replies with a kind of its own",
      fails: ["reply-kinds"],
      outgoing: replies("accepted", (mail) => [mail, put(mail, HEADER.reply, "started")]),
    },
    {
      what: "reports progress without saying of which job",
      fails: ["progress"],
      outgoing: replies("progress", (mail) => [strip(mail, HEADER.jobId)]),
    },
    {
      what: "loses the job after one that has no reply subject",
      fails: ["no-reply-subject"],
      incoming: (mail) => {
        if (!isJob(mail)) return [mail];
        const isDropped = dropNext;
        dropNext = !mail.reply;
        return isDropped ? [] : [mail];
      },
    },
    {
      what: "answers at any subject",
      fails: ["inbox-only"],
      incoming: (mail, wire) => {
        if (mail.reply?.startsWith("conform.")) wire.publish({ subject: mail.reply, data: text("42") });
        return [mail];
      },
    },
    {
      what: "does not take large payloads",
      fails: ["large-payload"],
      incoming: (mail) => (mail.data.length > 50_000 ? [] : [mail]),
    },
    {
      what: "frees the slot after the outcome",
      fails: ["free-slots"],
      outgoing: replies("result", (mail) => [put(mail, HEADER.free, String(Number(mail.headers[HEADER.free]) - 1))]),
    },
    {
      what: "does not count the slot of a job that it has accepted",
      fails: ["accepted-free", "repeat-running"],
      outgoing: replies("accepted", (mail) => [put(mail, HEADER.free, String(Number(mail.headers[HEADER.free]) + 1))]),
    },
    {
      what: "says nothing when it has no free slot",
      fails: ["busy", "paused-refuses"],
      outgoing: replies("busy", (mail) => (mail.headers[HEADER.free] === "0" ? [] : [mail])),
    },
    {
      what: "says busy to who does not understand it",
      fails: ["full-plain"],
      outgoing: (mail) => [mail.headers[HEADER.error] === "pool_full" ? put(mail, HEADER.reply, "busy") : mail],
    },
    {
      what: "takes a failure of the handler for one of its own",
      fails: ["handler-fails"],
      outgoing: (mail) => {
        if (mail.headers[HEADER.error] !== "job_failed") return [mail];
        const internal = put(put(mail, HEADER.error, "internal"), HEADER.serviceErrorCode, "500");
        return [{ ...internal, data: text("internal: a bug") }];
      },
    },
    {
      what: "leaves the number out of its errors",
      fails: ["error-shape"],
      outgoing: (mail) => [mail.headers[HEADER.error] === "job_failed" ? strip(mail, HEADER.serviceErrorCode) : mail],
    },
    {
      what: "gives every job half a minute",
      fails: ["deadline"],
      incoming: jobs((mail) =>
        /^\d{1,3}$/.test(mail.headers[HEADER.timeoutMs] ?? "") ? put(mail, HEADER.timeoutMs, "30000") : mail,
      ),
    },
    {
      what: "starts what has expired",
      fails: ["expired"],
      incoming: jobs((mail) => strip(mail, HEADER.expiresAt)),
    },
    {
      what: "takes a malformed attempt for the first",
      fails: ["malformed-header"],
      incoming: jobs((mail) => (mail.headers[HEADER.attempt] === "soon" ? put(mail, HEADER.attempt, "1") : mail)),
    },
    {
      what: "runs whatever comes, however often",
      fails: ["repeat-running", "repeat-ended"],
      incoming: jobs((mail) => {
        const { [HEADER.jobId]: id, [HEADER.attempt]: attempt, [HEADER.nonce]: nonce = "" } = mail.headers;
        if (attempt === undefined || isNew(attempts, `${id} ${attempt} ${nonce}`)) return mail;
        return put(mail, HEADER.jobId, `${id}-again`);
      }),
    },
    {
      what: "names the first attempt whichever it was",
      fails: ["later-attempt", "join"],
      outgoing: replies("result", (mail) => [
        mail.headers[HEADER.attempt] === "2" ? put(mail, HEADER.attempt, "1") : mail,
      ]),
    },
    {
      what: "ignores cancels",
      fails: ["cancel", "cancel-answer", "revocation", "late-attempt", "nonce-cancel"],
      incoming: (mail) => (isCancel(mail) ? [] : [mail]),
    },
    {
      what: "does not answer cancels",
      fails: ["cancel-answer"],
      outgoing: (mail) => (HEADER.jobId in mail.headers && !isReply(mail) ? [] : [mail]),
    },
    {
      what: "takes a revocation for a cancel",
      fails: ["revocation", "late-attempt", "nonce-cancel"],
      incoming: cancels((mail) => strip(mail, HEADER.attempt)),
    },
    {
      what: "forgets a revocation of what it does not run",
      fails: ["late-attempt"],
      incoming: (mail) => {
        if (isJob(mail)) ids.add(mail.headers[HEADER.jobId] ?? "");
        return isCancel(mail) && !ids.has(mail.subject.split(".").at(-1) ?? "") ? [] : [mail];
      },
    },
    {
      what: "does not read nonces",
      fails: ["nonce", "nonce-cancel", "running-nonces"],
      incoming: jobs((mail) => strip(mail, HEADER.nonce)),
    },
    {
      what: "cancels by id alone",
      fails: ["nonce-cancel"],
      incoming: cancels((mail) => strip(mail, HEADER.nonce)),
    },
    {
      what: "starts offers of any age",
      fails: ["lease"],
      incoming: jobs((mail) => strip(mail, HEADER.startWithinMs)),
    },
    {
      what: "compares wall clocks",
      fails: ["lease", "lease-holds", "age-counts"],
      incoming: jobs((mail) => strip(mail, HEADER.clock)),
    },
    {
      what: "starts what it is to join",
      fails: ["join"],
      incoming: jobs((mail) => strip(mail, HEADER.join)),
    },
    {
      what: "does not take bundles although it says so",
      fails: ["bundle"],
      incoming: (mail) => (HEADER.bundle in mail.headers ? [] : [mail]),
    },
  ];
}
