/**
 * Answers a stream of requests, each as soon as its work is done.
 *
 * Decided here: requests are read no faster than answers leave; at most so many are
 * under way, or done and not given out.
 */

/** @param work must not reject. @throws what the requests throw */
export async function* answered<I, O>(
  requests: AsyncIterable<I>,
  work: (request: I) => Promise<O>,
  most: number,
): AsyncGenerator<O> {
  const inputs = requests[Symbol.asyncIterator]();
  const done: O[] = [];
  let underWay = 0;
  let isReading = false;
  let isOver = false;
  let failure: { readonly cause: unknown } | undefined;
  let wake = (): void => {};

  const take = ({ done: isEnd, value }: IteratorResult<I>): void => {
    isReading = false;
    if (isEnd) isOver = true;
    else {
      underWay += 1;
      void work(value).then((answer) => {
        underWay -= 1;
        done.push(answer);
        wake();
      });
    }
    wake();
  };
  const fail = (cause: unknown): void => {
    isReading = false;
    isOver = true;
    failure = { cause };
    wake();
  };
  const read = (): void => {
    if (isReading || isOver || underWay + done.length >= most) return;
    isReading = true;
    inputs.next().then(take, fail);
  };

  try {
    for (;;) {
      read();
      const answer = done.shift();
      if (answer !== undefined) yield answer;
      else if (failure !== undefined) throw failure.cause;
      else if (isOver && underWay === 0) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    isOver = true;
    void inputs.return?.();
  }
}
