/** A real worker whose messages are tampered with on their way: a worker with exactly one fault. */
import { type Msg, type MsgHdrs, headers as natsHeaders } from "nats";
import type { Bus } from "../../../mesh/link/bus.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { type Job, Worker } from "../../../services/worker/worker.js";
import type { WorkerOptions } from "../../../services/worker/worker-options.js";
import { connectBus } from "../broker.js";
import { cleanUp, type Owner } from "../clean-up.js";

/** A message as a fault sees it; headers by their names. */
export interface Mail {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a fault can do besides changing messages. */
export interface Wire {
  readonly worker: string;
  readonly pool: string;
  /** Publishes by itself. */
  publish(mail: Pick<Mail, "subject"> & Partial<Mail>): void;
}

/** One fault. What its functions return goes on in place of the message: nothing drops it. */
export interface Fault {
  /** What the worker does wrong, as "never says accepted". */
  readonly what: string;
  /** The scenarios that fail for it, and no others. */
  readonly fails: readonly string[];
  /** How long the slow job must take to show it, in milliseconds; default {@link SLOW_MS}. */
  readonly slowMs?: number;
  readonly options?: Partial<WorkerOptions<unknown, unknown>>;
  incoming?(mail: Mail, wire: Wire): readonly Mail[];
  outgoing?(mail: Mail, wire: Wire): readonly Mail[];
  /** Whether the worker subscribes to this at all; default true. */
  listens?(subject: string): boolean;
}

/** How long a slow job takes, in milliseconds. */
export const SLOW_MS = 240;

/** A job of the workers' handler: it reports progress, waits and adds one. */
export function waiting(waitMs: number): string {
  return JSON.stringify({ number: 41, waitMs });
}

/** Starts a worker "w1" of two slots that adds one, with these faults. */
export async function startTampered(
  t: Owner,
  broker: { readonly url: string },
  pool: string,
  faults: readonly Fault[] = [],
): Promise<Worker> {
  const bus = await connectBus(t, broker);
  const options = Object.assign({}, ...faults.map((fault) => fault.options)) as Fault["options"];
  const worker = new Worker({
    pool,
    id: "w1",
    slots: 2,
    graceMs: 0,
    heartbeatIntervalMs: 250,
    run: addOne,
    ...options,
  });
  tamper(bus, pool, faults);
  worker.useBus(bus);
  cleanUp(t, () => worker.stop());
  await worker.start();
  return worker;
}

async function addOne(job: Job): Promise<number> {
  const { payload, signal } = job;
  const { number = payload, waitMs = 0 } = (payload ?? {}) as { number?: unknown; waitMs?: number };
  if (typeof number !== "number") throw new Error("the payload is not a number");
  if (waitMs > 0) {
    job.progress({ waitMs });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, waitMs);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }
  return number + 1;
}

function tamper(bus: Bus, pool: string, faults: readonly Fault[]): void {
  const [publish, subscribe] = [bus.publish.bind(bus), bus.subscribe.bind(bus)];
  const wire: Wire = {
    pool,
    worker: "w1",
    publish: ({ subject, data, reply, headers = {} }) => {
      const raw = toHeaders(headers);
      publish(subject, data, { ...(reply ? { reply } : {}), ...(raw === undefined ? {} : { headers: raw }) });
    },
  };
  bus.publish = (subject, payload, { reply, headers } = {}) => {
    const mail = { subject, data: payload ?? new Uint8Array(0), reply, headers: toRecord(headers) };
    for (const each of through(faults, "outgoing", mail, wire)) wire.publish(each);
    return true;
  };
  bus.subscribe = (subject, callback, queue) => {
    const heard = ({ subject: to, data, reply, headers }: Msg): void => {
      const mail = { subject: to, data, reply, headers: toRecord(headers) };
      for (const each of through(faults, "incoming", mail, wire)) {
        callback({ ...each, headers: toHeaders(each.headers) } as unknown as Msg);
      }
    };
    const isHeard = faults.every(({ listens }) => listens?.(subject) ?? true);
    return subscribe(isHeard ? subject : `nobody.${subject}`, heard, queue);
  };
}

/** A message after one fault, then the next. */
function through(faults: readonly Fault[], way: "incoming" | "outgoing", mail: Mail, wire: Wire): readonly Mail[] {
  return faults.reduce<readonly Mail[]>(
    (mails, fault) => mails.flatMap((each) => fault[way]?.(each, wire) ?? [each]),
    [mail],
  );
}

function toRecord(headers: MsgHdrs | undefined): Record<string, string> {
  return Object.fromEntries([...(headers ?? [])].map(([name, [value]]) => [name, value ?? ""]));
}

function toHeaders(record: Readonly<Record<string, string>>): MsgHdrs | undefined {
  const entries = Object.entries(record);
  if (entries.length === 0) return undefined;
  const headers = natsHeaders();
  for (const [name, value] of entries) headers.append(name, value);
  return headers;
}

/** The same message without a header. */
export function strip(mail: Mail, name: string): Mail {
  const { [name]: _, ...headers } = mail.headers;
  return { ...mail, headers };
}

/** The same message with another value of a header. */
export function put(mail: Mail, name: string, value: string): Mail {
  return { ...mail, headers: { ...mail.headers, [name]: value } };
}

/** Whether it is a job that the worker receives. */
export function isJob({ subject }: Mail): boolean {
  return /^pool\.[^.]+\.job(\.|$)/.test(subject);
}

/** Whether it is a cancel. */
export function isCancel({ subject }: Mail): boolean {
  return subject.includes(".cancel.");
}

/** Whether it is a control message. */
export function isControl({ subject }: Mail): boolean {
  return subject.includes(".control.");
}

/** Whether it is a heartbeat of the worker. */
export function isBeat({ subject }: Mail): boolean {
  return subject.includes(".heartbeat.");
}

/** Whether it is a reply about a job, of this kind if one is named. Answers to cancels and control messages name no attempt. */
export function isReply({ headers }: Mail, kind?: string): boolean {
  return HEADER.attempt in headers && (kind === undefined || headers[HEADER.reply] === kind);
}
