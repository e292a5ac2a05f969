/** One input of `map`: what is sent, and how it is named in the output. */
export interface MapInput {
  /** The file that it is; undefined for a line, which is named by its own text. */
  readonly path?: string;
  readonly payload: Uint8Array;
  /** Bytes of the source that are read up to the end of this input; for the progress bar. */
  readonly readTo?: number;
  /** From its first try to its outcome, in milliseconds; set when that is there. */
  tookMs?: number;
}
