// Reading answers.

const NEWLINE = 10;

/** The number of line ends in a piece. */
export function countLines(piece) {
  let count = 0;
  for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
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
