/** Middleware: functions around a piece of work, the first one outermost. Pure. */

/**
 * One function around the work.
 *
 * @param job what it is about
 * @param next does the rest, and resolves with its result or rejects with its error. To be called once, or not at all.
 * @returns the result in place of next()'s; undefined leaves that as it is
 */
export type Middleware<J, R> = (job: J, next: () => Promise<R>) => Given<R> | Promise<Given<R>>;

// biome-ignore lint/suspicious/noConfusingVoidType: that is the type of a function without a return
type Given<R> = R | undefined | void;

/** The work with all middleware around it. */
export function compose<J, R>(
  middleware: readonly Middleware<J, R>[],
  work: (job: J) => R | PromiseLike<R>,
): (job: J) => Promise<R> {
  const from = async (place: number, job: J): Promise<R> => {
    const each = middleware[place];
    if (each === undefined) return work(job);
    let rest: Promise<R> | undefined;
    const next = (): Promise<R> => {
      if (rest !== undefined) return Promise.reject(new Error("a middleware called next() twice"));
      rest = from(place + 1, job);
      // One that throws after next() without awaiting it has told its error already.
      rest.catch(() => undefined);
      return rest;
    };
    const given = await each(job, next);
    return given !== undefined || rest === undefined ? (given as R) : rest;
  };
  return (job) => from(0, job);
}
