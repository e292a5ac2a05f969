/** The totals of the durable lane of one pool at one manager, since it began. Pure. */
export class LaneTotals {
  /** Jobs that were delivered to this manager. */
  delivered = 0;
  /** Jobs that a worker had already from another manager: it was asked for their outcome. */
  joined = 0;
  /** Results that were stored. */
  succeeded = 0;
  /** Jobs that were given up. */
  dead = 0;
  /** Jobs that were given back, to be delivered again. */
  givenBack = 0;
  /** Outcomes that came after another one was stored; dropped. */
  late = 0;
  /** Jobs that somebody else may have got meanwhile; nothing was said of them. */
  letGo = 0;
}
