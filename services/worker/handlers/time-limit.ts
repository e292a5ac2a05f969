/** A limit on what a handler may wait for without end. */

/**
 * The value of `work`, with a limit that starts anew at each call of `again`.
 *
 * @param limitMs in milliseconds; infinity for none
 * @param onLimit the error to reject with when the limit is over
 * @throws what `work` or `onLimit` gives
 */
export async function withinLimit<T>(
  limitMs: number,
  onLimit: () => Error,
  work: (again: () => void) => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let reject!: (error: Error) => void;
  const limit = new Promise<never>((_, onReject) => {
    reject = onReject;
  });
  const again = (): void => {
    clearTimeout(timer);
    if (limitMs !== Number.POSITIVE_INFINITY) timer = setTimeout(() => reject(onLimit()), limitMs);
  };
  again();
  try {
    return await Promise.race([work(again), limit]);
  } finally {
    clearTimeout(timer);
  }
}
