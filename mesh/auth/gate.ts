/**
 * The gate in front of every RPC and every plain route.
 *
 * Decided here: a caller is known, and has the right in one pool at least, before any
 * byte of its request's body is read; it has the right in the pool that the message
 * names before the handler runs; and an open stream ends when its caller has lost the
 * right. Not decided here: which right that is (rights.ts), and who has it (identity.ts).
 */
import { createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { PoolError } from "../errors.js";
import type { HttpRequest } from "../http/rpc/exchange.js";
import { addressOf, peerKey } from "../http/rpc/peer.js";
import type { Logger } from "../process/log.js";
import { Audit, type Deed } from "./audit.js";
import { Bearers, bearerOf } from "./bearer.js";
import { Caller } from "./caller.js";
import { certificateOf } from "./client-certificate.js";
import { type Identity, OpenIdentity, PolicyIdentity } from "./identity.js";
import { OpenStreams } from "./open-streams.js";
import { PolicyKeeper } from "./policy/policy-keeper.js";
import { denied, unauthenticated } from "./refusals.js";
import { poolOf, type Right, type RightLine, ROUTE_RIGHTS, type Route, RPC_RIGHTS } from "./rights.js";

/** Who may do what at a server. */
export interface AccessOptions {
  /** The policy file; without one everybody may view and submit. */
  readonly policyFile?: string;
  /** Without a policy: the token that gives control of workers; undefined: nobody has it. */
  readonly controlToken?: string;
  /** How often the policy's files, and the rights of open streams, are looked at, in milliseconds; default 1,000. */
  readonly policyIntervalMs?: number;
}

/** The caller of an RPC. Before the gate has let it in: somebody who may do nothing. */
export const callerKey = createContextKey(new Caller({ name: "", proof: "nothing", grants: () => [] }), {
  description: "who calls",
});

/** What was allowed in a call and has a line in the audit: when the call fails, so did they. */
const deedsKey = createContextKey<Deed[]>([], { description: "what was allowed" });

/** Who calls this RPC. */
export function callerOf(context: HandlerContext): Caller {
  return context.values.get(callerKey);
}

/** What a caller wants, for the audit. */
interface Wish {
  readonly what: string;
  readonly pool: string;
  readonly from: string;
  readonly target?: string;
}

/** What a request may select: workers, or dead letters. */
interface Selector {
  readonly worker?: unknown;
  readonly jobIds?: unknown;
  readonly all?: unknown;
}

/** So many jobs are named in a line of the audit. */
const MAX_TARGETS = 4;

/** One server's gate. */
export class Gate {
  readonly #identity: Identity;
  readonly #keeper: PolicyKeeper | undefined;
  readonly #hasControlToken: boolean;
  readonly #audit: Audit;
  readonly #bearers: Bearers;
  readonly #streams: OpenStreams;

  constructor({ policyFile, controlToken, policyIntervalMs }: AccessOptions, log: Logger) {
    this.#audit = new Audit(log);
    this.#hasControlToken = controlToken !== undefined;
    this.#keeper = policyFile === undefined ? undefined : new PolicyKeeper(policyFile, log, policyIntervalMs);
    this.#identity = this.#keeper === undefined ? new OpenIdentity(controlToken) : new PolicyIdentity(this.#keeper);
    this.#bearers = new Bearers(this.#identity, this.#audit);
    this.#streams = new OpenStreams(policyIntervalMs);
  }

  /** Whether callers are told apart. */
  get hasPolicy(): boolean {
    return this.#keeper !== undefined;
  }

  /** Reads the policy and follows it. @throws PoolError `invalid_argument` that lists every mistake */
  start(): void {
    this.#keeper?.start();
  }

  stop(): void {
    this.#keeper?.stop();
  }

  /** Lets the caller of an RPC in. @throws PoolError `unauthenticated`, `permission_denied`; rejects with the same */
  admitRpc(path: string, req: HttpRequest): Caller | Promise<Caller> {
    return this.#admit(path, lineOf(path), req);
  }

  /** The same for a plain route. */
  admitRoute(route: Route, req: HttpRequest): Caller | Promise<Caller> {
    return this.#admit(route, ROUTE_RIGHTS[route], req);
  }

  /** Checks the pool that a message names, before the handler gets it. */
  readonly interceptor: Interceptor = (next) => async (req) => {
    const what = `/${req.service.typeName}/${req.method.name}`;
    const line = lineOf(what);
    if (line.right === "open") return next(req);
    const caller = req.contextValues.get(callerKey);
    const from = req.contextValues.get(peerKey);
    const deeds: Deed[] = [];
    req.contextValues.set(deedsKey, deeds);
    let pool = "";
    const check = (message: unknown): void => {
      pool = poolOf(line, message, (name) => req.header.get(name));
      this.#check(caller, line, { what, pool, from, ...targetOf(message) }, deeds);
    };
    if (!req.stream) {
      check(req.message);
      return this.#withOutcome(next(req), deeds);
    }
    const isOne = req.method.methodKind === "server_streaming";
    const message = isOne ? checkedOne(req.message, check) : checked(req.message, check);
    const res = await next(line.perJob ? req : { ...req, message });
    if (!res.stream || !this.hasPolicy) return res;
    const isAllowed = (): boolean => (line.perJob ? caller.mayAnywhere(line.right) : isGranted(caller, line, pool));
    const onRevoked = (error: PoolError): void => this.#audit.refused({ who: caller.label, what, pool, from }, error);
    return { ...res, message: this.#streams.guard(res.message, caller, isAllowed, req.signal, onRevoked) };
  };

  /**
   * Checks what only the handler can know: one job of a stream, or whose a job is.
   *
   * @param target the job; "" when it has no name yet
   * @throws PoolError `permission_denied`, after it was written down
   */
  require(context: HandlerContext, right: Right, pool: string, target: string): void {
    const what = `/${context.service.typeName}/${context.method.name}`;
    const from = context.values.get(peerKey);
    this.#check(callerOf(context), { right, pool: "pool" }, { what, pool, from, target }, context.values.get(deedsKey));
  }

  #check(caller: Caller, line: RightLine, wish: Wish, deeds: Deed[]): void {
    const deed = { who: caller.label, ...wish };
    if (!isGranted(caller, line, wish.pool)) {
      const error = denied(caller, line.right, line.pool === "any" ? undefined : wish.pool);
      this.#audit.refused(deed, error);
      throw error;
    }
    if (!isAudited(caller, line.right)) return;
    deeds.push(deed);
    this.#audit.allowed(deed);
  }

  /** The outcome of a call, in the audit too. */
  async #withOutcome<T>(call: Promise<T>, deeds: readonly Deed[]): Promise<T> {
    try {
      return await call;
    } catch (error) {
      for (const deed of deeds) this.#audit.failed(deed, error);
      throw error;
    }
  }

  #admit(what: string, line: RightLine, req: HttpRequest): Caller | Promise<Caller> {
    if (line.right === "open") return this.#identity.nobody();
    const from = addressOf(req);
    const refuse = (error: unknown, who = "nobody"): never => {
      if (error instanceof PoolError) this.#audit.refused({ who, what, pool: "", from }, error);
      throw error;
    };
    const admit = (caller: Caller): Caller => {
      const isAllowed = line.pool === "all" ? caller.may(line.right, "") : caller.mayAnywhere(line.right);
      return isAllowed ? caller : refuse(this.#refusal(caller, line), caller.label);
    };
    let caller: Caller | Promise<Caller>;
    try {
      caller = this.#identify(req, from);
    } catch (error) {
      return refuse(error);
    }
    return caller instanceof Caller ? admit(caller) : caller.then(admit, refuse);
  }

  #identify(req: HttpRequest, from: string): Caller | Promise<Caller> {
    const token = this.#identity.takesTokens ? bearerOf(req) : undefined;
    if (token !== undefined) return this.#bearers.callerOf(token, from);
    const certificate = certificateOf(req);
    return certificate === undefined ? this.#identity.nobody() : this.#identity.ofCertificate(certificate);
  }

  /** Who shows nothing is asked to; who is known hears what is not allowed. */
  #refusal(caller: Caller, { right, pool }: RightLine): PoolError {
    if (caller.proof !== "nothing") return denied(caller, right, pool === "all" ? "" : undefined);
    if (this.hasPolicy)
      return unauthenticated('send a bearer token ("authorization: Bearer …") or a client certificate');
    if (!this.#hasControlToken) return denied(caller, right, undefined);
    return unauthenticated('send the control token as a bearer token ("authorization: Bearer …")');
  }
}

/** The table's line of an RPC. @throws Error when it has none: the server does not start then */
export function lineOf(path: string): RightLine {
  const line = RPC_RIGHTS[path];
  if (line === undefined) throw new Error(`mesh/auth/rights.ts has no line for ${path}`);
  return line;
}

/** Control, and what somebody does with the jobs of others. Without a policy all callers are alike, and so are their jobs. */
function isAudited(caller: Caller, right: Right): boolean {
  return right === "control" || (!caller.isUnbounded && (right === "cancel" || right === "read"));
}

function isGranted(caller: Caller, line: RightLine, pool: string): boolean {
  return line.pool === "any" ? caller.mayAnywhere(line.right) : caller.may(line.right, pool);
}

/** The worker or the jobs that a request names. */
function targetOf(message: unknown): { target?: string } {
  const { worker, jobId, selector } = message as { worker?: unknown; jobId?: unknown; selector?: Selector };
  const jobs = Array.isArray(selector?.jobIds) ? selector.jobIds.slice(0, MAX_TARGETS).join(",") : "";
  const target = worker ?? selector?.worker ?? jobId ?? (selector?.all === true ? "all" : jobs);
  return typeof target === "string" && target !== "" ? { target } : {};
}

/** The one message of a call, checked after the end of its request: a refusal before that would leave the request half read. */
async function* checkedOne<T>(messages: AsyncIterable<T>, check: (message: T) => void): AsyncGenerator<T> {
  const all: T[] = [];
  for await (const message of messages) {
    all.push(message);
    // Connect refuses a second one.
    if (all.length > 1) break;
  }
  for (const message of all) {
    check(message);
    yield message;
  }
}

async function* checked<T>(messages: AsyncIterable<T>, check: (message: T) => void): AsyncGenerator<T> {
  for await (const message of messages) {
    check(message);
    yield message;
  }
}
