// Reading answers.

const NEWLINE = 10;
/** Of the first lines so many are shown, and so much of each: a read may have 65,536 bases. */
const HEAD_LINES = 24;
const HEAD_LETTERS = 1000;

/** The pieces of a body. Whoever leaves before its end ends it. */
export async function* pieces(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // What has broken off cannot be cancelled, and need not be.
    reader.cancel().catch(() => {});
  }
}

/** The number of line ends in a piece. */
export function countLines(piece) {
  let count = 0;
  for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** Tells piece by piece which of the first lines are whole now. */
export function createHead() {
  const decoder = new TextDecoder();
  let rest = "";
  let left = HEAD_LINES;
  return (piece) => {
    if (left === 0) return [];
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop();
    const whole = lines.slice(0, left);
    left -= whole.length;
    return whole.map((line) => (line.length > HEAD_LETTERS ? `${line.slice(0, HEAD_LETTERS)}…` : line));
  };
}

/** The problem of an answer that is not a success, whatever its body is. */
export async function readProblem(answer) {
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("application/problem+json")) {
    const problem = await answer.json();
    return { ...problem, title: `${problem.title} (${answer.status})` };
  }
  return { title: `${answer.status} ${answer.statusText}`, detail: (await answer.text()).slice(0, 500) };
}
