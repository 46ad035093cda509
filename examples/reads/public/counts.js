// Counting what the reads of an answer are, in arrays whose size does not depend on how many there
// are. No page, no network.
//
// `asked` is what was asked for: `sequences` (names and lengths, in their order), `start` and `stop`
// of the one that is cut, `pairs`, `lengths` of both reads, `distance`, `deviation`, `error` and
// `output`, as the form has them.

import { readName } from "./fastq.js";

/** Bins of a plot: about as many as its pixels can tell apart. */
const INSERT_BINS = 100;
const PLACE_BINS = 240;

/** Whole numbers `from` to `to`, in at most `most` bins of the same whole width; the last may be cut. */
export function createAxis(from, to, most) {
  const width = Math.max(1, Math.ceil((to - from) / most));
  return { from, to, width, bins: Math.ceil((to - from) / width) };
}

/** How many whole numbers a bin has. */
export const binWidth = ({ from, to, width }, bin) => Math.min(width, to - from - bin * width);

/** The insert sizes that are worth showing: five deviations about the mean. */
export function insertAxis({ distance, deviation, lengths }) {
  const longest = Math.max(...lengths);
  const spread = Math.max(5 * deviation, 10);
  // No pair is shorter than its longest read.
  const from = Math.max(distance - spread, longest - 10, 0);
  return createAxis(from, Math.max(distance, longest) + spread, INSERT_BINS);
}

/**
 * The sequences laid end to end, each at its offset; a part of one with what its pairs can reach
 * beside it. `bases` are those that pairs were asked of, `total` those of the sequences.
 */
export function layOut({ sequences, start, stop, distance, deviation, lengths }) {
  let total = 0;
  const offsets = new Map();
  for (const { name, length } of sequences) {
    offsets.set(name, total);
    total += length;
  }
  const from = Math.min(start ?? 0, total);
  const to = Math.min(stop ?? total, total);
  const reach = Math.max(distance, ...lengths) + 5 * deviation;
  const axis = createAxis(Math.max(from - reach, 0), Math.min(to + reach, total), PLACE_BINS);
  return { axis, offsets, bases: to - from, total };
}

/** Counts of one answer. */
export function createCounts(asked) {
  const { axis, offsets, bases } = layOut(asked);
  const inserts = insertAxis(asked);
  const sizes = new Uint32Array(inserts.bins);
  const starts = new Uint32Array(axis.bins);
  const covered = new Float64Array(axis.bins);
  const findOffset = createLookup(offsets);
  // A pair's name comes twice, once for each of its reads, if both are asked for.
  const told = asked.output === "2" ? 2 : 1;
  let records = 0;
  let pairs = 0;
  let read = 0;
  let misread = 0;
  // Sums of the distances to the middle, which stay small enough to be exact.
  let sum = 0;
  let squares = 0;

  function countPair({ start, end, errors }, offset) {
    const size = end - start + 1;
    pairs += 1;
    misread += errors;
    sum += size - asked.distance;
    squares += (size - asked.distance) ** 2;
    if (size >= inserts.from && size < inserts.to) sizes[Math.floor((size - inserts.from) / inserts.width)] += 1;
    const place = offset + start - 1;
    if (place >= axis.from && place < axis.to) starts[Math.floor((place - axis.from) / axis.width)] += 1;
  }

  /** Lays `weight` on each base from `from` to `to`. */
  function cover(from, to, weight) {
    let at = Math.max(from, axis.from);
    const end = Math.min(to, axis.to);
    while (at < end) {
      const bin = Math.floor((at - axis.from) / axis.width);
      const next = Math.min(end, axis.from + (bin + 1) * axis.width);
      covered[bin] += weight * (next - at);
      at = next;
    }
  }

  /** Counts a record, as the parser tells of it. */
  function add(bytes, nameFrom, nameTo, basesFrom, basesTo) {
    const name = readName(bytes, nameFrom, nameTo);
    const length = basesTo - basesFrom;
    records += 1;
    read += length;
    const offset = findOffset(bytes, nameFrom, name.nameEnd);
    if (name.mate === told) countPair(name, offset);
    // A name does not say at which end of its pair the read lies, so half of it is laid at each. With
    // the pair's other read, if that is as long, this is exactly the pair's.
    cover(offset + name.start - 1, offset + name.start - 1 + length, 0.5);
    cover(offset + name.end - length, offset + name.end, 0.5);
  }

  /** The numbers so far. */
  function numbers() {
    const mean = sum / pairs;
    return {
      records,
      pairs,
      inserts: {
        counts: sizes,
        mean: asked.distance + mean,
        deviation: Math.sqrt(Math.max(squares / pairs - mean * mean, 0)),
      },
      depth: { mean: read / bases, bins: covered.map((sum, bin) => sum / binWidth(axis, bin)) },
      starts: { counts: starts, rate: pairs / bases },
      named: { misread, bases: pairs * (asked.lengths[0] + asked.lengths[1]) },
    };
  }

  return { add, numbers };
}

/** Finds a sequence's offset by its name; reads of a sequence come one after the other. */
function createLookup(offsets) {
  const decoder = new TextDecoder();
  let name = new Uint8Array(0);
  let offset = NaN;
  return (bytes, from, to) => {
    let same = name.length === to - from;
    for (let k = 0; same && k < name.length; k += 1) same = bytes[from + k] === name[k];
    if (!same) {
      name = bytes.slice(from, to);
      // Nothing is where NaN is: a sequence that was not there when the references were listed is
      // counted, but has no place.
      offset = offsets.get(decoder.decode(name)) ?? NaN;
    }
    return offset;
  };
}
