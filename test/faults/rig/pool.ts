/** The pool of every scenario. */
export const POOL = "faults";
