// Comparing reads with themselves without errors. No page, no network.
//
// A name tells how many bases of a read are wrong, not which. But wgsim draws the same numbers whatever
// the probability of an error is, so with the same seed and `error=0` it gives the same reads, right.

import { createAxis } from "./counts.js";

const NEWLINE = 10;
const N = 78;
const POSITION_BINS = 150;
/** Bytes of the reads that are compared, on either side: some ten thousands of usual ones. */
export const COMPARED_BYTES = 4 << 20;

export const positionAxis = ({ lengths }) => createAxis(0, Math.max(...lengths), POSITION_BINS);

/** Compares the reads of two answers in their order, as far as there is room for them. */
export function createComparison(asked, room = COMPARED_BYTES) {
  const axis = positionAxis(asked);
  const seen = new Uint32Array(axis.bins);
  const wrong = new Uint32Array(axis.bins);
  // Either side may be ahead. A line end stands behind each read.
  const createSide = () => ({ bases: new Uint8Array(room), length: 0, full: false });
  const asRead = createSide();
  const asIs = createSide();
  let compared = 0;
  let position = 0;
  let reads = 0;
  let problem = null;

  function keep(side, bytes, from, to) {
    side.full ||= side.length + to - from + 1 > room;
    if (side.full) return;
    side.bases.set(bytes.subarray(from, to), side.length);
    side.length += to - from;
    side.bases[side.length] = NEWLINE;
    side.length += 1;
  }

  /** Compares what both sides have by now. */
  function compare() {
    const end = problem ? 0 : Math.min(asRead.length, asIs.length);
    for (; compared < end; compared += 1) {
      const base = asIs.bases[compared];
      const found = asRead.bases[compared];
      if ((base === NEWLINE) !== (found === NEWLINE)) {
        fail("the reads without errors are not the same reads");
        return;
      }
      if (base === NEWLINE) {
        reads += 1;
        position = 0;
        continue;
      }
      // N is never misread.
      if (base !== N) {
        const bin = Math.floor(position / axis.width);
        seen[bin] += 1;
        if (base !== found) wrong[bin] += 1;
      }
      position += 1;
    }
  }

  /** Compares no more, for this reason. */
  function fail(reason) {
    problem ??= reason;
  }

  return {
    /** A read of the answer. */
    addRead: (bytes, from, to) => keep(asRead, bytes, from, to),
    /** A read of the answer without errors. */
    addRight: (bytes, from, to) => keep(asIs, bytes, from, to),
    /** Whether there is no room for more of those. */
    isFull: () => asIs.full,
    compare,
    fail,
    numbers: () => ({ reads, seen, wrong, problem }),
  };
}
