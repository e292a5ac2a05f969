/** Handlers that run until they are told to stop, for tests of cancel and deadline. */

/** What a test knows of one held job. */
export interface HeldJob {
  /** Settles when the handler runs. */
  readonly started: Promise<void>;
  /** Settles when its signal fires, with that instant by performance.now(). */
  readonly aborted: Promise<number>;
  /** The handler: settles, rejecting, when its signal fires. */
  readonly run: (job: { readonly signal: AbortSignal }) => Promise<never>;
}

/** A handler that runs until its signal fires. */
export function heldJob(): HeldJob {
  let onStarted!: () => void;
  let onAborted!: (at: number) => void;
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const aborted = new Promise<number>((resolve) => {
    onAborted = resolve;
  });
  const run = ({ signal }: { readonly signal: AbortSignal }): Promise<never> => {
    onStarted();
    return new Promise((_, reject) => {
      const onAbort = (): void => {
        onAborted(performance.now());
        reject(signal.reason);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  };
  return { started, aborted, run };
}
