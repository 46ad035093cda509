// Reading FASTQ as it arrives, and the names that wgsim gives its reads. No page, no network.

const NEWLINE = 10;
const AT = 64;
const ZERO = 48;
/** More bytes than a record has: two lines of 65,536 letters and the name. What is longer is no FASTQ of ours. */
const LONGEST_RECORD = 1 << 20;

/**
 * Cuts what arrives into records, wherever the pieces end. `take` gets the bytes and where in them the
 * record's name begins (without `@`) and ends, and where its bases begin and end; they are good for
 * this one call.
 */
export function createParser(take) {
  let rest = new Uint8Array(0);

  function push(piece) {
    const bytes = rest.length ? joined(rest, piece) : piece;
    let start = 0;
    for (;;) {
      const name = bytes.indexOf(NEWLINE, start);
      const bases = name < 0 ? -1 : bytes.indexOf(NEWLINE, name + 1);
      const plus = bases < 0 ? -1 : bytes.indexOf(NEWLINE, bases + 1);
      const end = plus < 0 ? -1 : bytes.indexOf(NEWLINE, plus + 1);
      if (end < 0) break;
      if (bytes[start] !== AT) throw new Error("a record does not begin with @: this is not FASTQ");
      take(bytes, start + 1, name, name + 1, bases);
      start = end + 1;
    }
    // A copy: a view would keep the whole piece.
    rest = bytes.slice(start);
    if (rest.length > LONGEST_RECORD) throw new Error(`a record has more than ${LONGEST_RECORD} bytes`);
  }

  function end() {
    if (rest.length) throw new Error("it ends within a record");
  }

  return { push, end };
}

/**
 * What a name says: `SEQUENCE_START_END_E:S:I_E:S:I_NUMBER/MATE`. It is read from its end, for the
 * sequence's name may have underscores of its own. `start` and `end` are the pair's first and last base
 * in the sequence, from 1; `errors` are the misread bases of both reads; `nameEnd` is where the
 * sequence's name ends.
 */
export function readName(bytes, from, to) {
  let at = to;
  /** The number before `at`, and the sign before that. */
  const number = () => {
    let value = 0;
    for (let unit = 1; at > from && bytes[at - 1] >= ZERO && bytes[at - 1] < ZERO + 10; unit *= 10) {
      at -= 1;
      value += unit * (bytes[at] - ZERO);
    }
    at -= 1;
    return value;
  };
  const mate = number();
  at = bytes.lastIndexOf(95, at - 1);
  number();
  number();
  const rightErrors = number();
  number();
  number();
  const leftErrors = number();
  const end = number();
  const start = number();
  if (at <= from || start < 1 || end < start) throw new Error("a read has a name that is not wgsim's");
  return { nameEnd: at, start, end, errors: leftErrors + rightErrors, mate };
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
