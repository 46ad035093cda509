// Receives an answer beside the page, so that the page stays free whatever arrives. It is told
// `{ url, asked }` once (`asked` as in counts.js, or null for an answer that is not FASTQ), and tells
// of `problem`, or of `begun`, `lines`, `numbers`, and `done` or `broken`. To cancel is to terminate it.

import { countLines, createHead, pieces, readProblem } from "./answer.js";
import { createComparison } from "./compare.js";
import { createCounts } from "./counts.js";
import { createParser } from "./fastq.js";

/** Telling the page of every piece would cost more than receiving it. */
const BETWEEN_NUMBERS_MS = 100;

onmessage = async ({ data: { url, asked } }) => {
  try {
    const answer = await fetch(url);
    if (answer.ok) await receive(answer, url, asked);
    else postMessage({ problem: await readProblem(answer) });
  } catch (error) {
    postMessage({ broken: error.message });
  }
  close();
};

async function receive(answer, url, asked) {
  const seed = answer.headers.get("strand-seed");
  postMessage({ begun: { seed, skipped: Number(answer.headers.get("strand-skipped") ?? 0) } });
  const start = performance.now();
  const received = { bytes: 0, lines: 0, seconds: 0 };
  const head = createHead();
  const reads = asked && createReads(asked);
  let told;

  function tell() {
    told = performance.now();
    postMessage({ numbers: { ...received, ...reads?.numbers() } });
  }
  function tellInTime() {
    if (performance.now() - told > BETWEEN_NUMBERS_MS) tell();
  }

  tell();
  const second = new AbortController();
  const comparing = asked?.error > 0 && compare(url, seed, reads.comparison, second.signal, tellInTime);
  try {
    for await (const piece of pieces(answer.body)) {
      received.bytes += piece.length;
      received.seconds = (performance.now() - start) / 1000;
      const lines = head(piece);
      if (lines.length) postMessage({ lines });
      if (reads) reads.push(piece);
      else received.lines += countLines(piece);
      tellInTime();
    }
    reads?.end();
  } catch (error) {
    second.abort();
    tell();
    throw error;
  }
  tell();
  postMessage({ done: true });
  await comparing;
  tell();
}

/** Counts reads, and compares as many of them as there is room for. */
function createReads(asked) {
  const counts = createCounts(asked);
  const comparison = createComparison(asked);
  const parser = createParser((bytes, nameFrom, nameTo, from, to) => {
    counts.add(bytes, nameFrom, nameTo, from, to);
    comparison.addRead(bytes, from, to);
  });
  return {
    push(piece) {
      parser.push(piece);
      comparison.compare();
    },
    end: parser.end,
    comparison,
    numbers: () => ({ ...counts.numbers(), compared: comparison.numbers() }),
  };
}

/** Asks for the same reads without errors, as many as are compared. What goes wrong is theirs alone. */
async function compare(url, seed, comparison, signal, tellInTime) {
  const without = new URL(url);
  without.searchParams.set("seed", seed);
  without.searchParams.set("error", "0");
  const parser = createParser((bytes, nameFrom, nameTo, from, to) => comparison.addRight(bytes, from, to));
  try {
    const answer = await fetch(without, { signal });
    if (!answer.ok) throw new Error((await readProblem(answer)).title);
    for await (const piece of pieces(answer.body)) {
      parser.push(piece);
      comparison.compare();
      tellInTime();
      if (comparison.isFull()) break;
    }
  } catch (error) {
    comparison.fail(error.message);
  }
}
