/**
 * Test files that take long, the longest first: a suite begins with them, so that none of them is still alone when the
 * others are done. Paths below test/, without their ending. The end of `npm test` shows which files take longest.
 */
export const LONGEST_FIRST = [];
