// The page: builds a request from the form, has a worker receive the answer, and shows what it tells.

import { readProblem } from "./answer.js";
import { createPlots } from "./plots.js";
import { askedOf, commandLine, expectedRecords, requestPath } from "./request.js";
import { formatBytes, formatCount, formatFixed, recordLine } from "./show.js";

const element = (id) => document.getElementById(id);
const form = element("form");
const plotsOf = createPlots();
let references = [];
/** The worker of the latest answer. */
let worker = null;

const sequencesOf = (name) => references.find((one) => one.name === name)?.sequences ?? [];

function updateRequest() {
  element("curl").textContent = commandLine(requestPath(form), location.origin);
}

function fillSequences() {
  const chosen = references.find((one) => one.name === form.elements.reference.value);
  const all = new Option("all of them", "");
  const sequences = sequencesOf(chosen?.name);
  // A reference can have many thousands of sequences; the API takes any of them.
  const options = sequences.slice(0, 1000).map(
    ({ name, length }) => new Option(`${name} (${formatCount(length)} bases)`, name),
  );
  form.elements.chrom.replaceChildren(all, ...options);
  element("references-state").textContent = chosen?.error
    ? `This reference cannot be used: ${chosen.error}`
    : chosen
      ? `${formatCount(chosen.length)} bases in ${formatCount(sequences.length)} sequence${sequences.length === 1 ? "" : "s"}`
      : "There is no reference.";
}

async function loadReferences() {
  try {
    const answer = await fetch("references");
    if (!answer.ok) throw new Error((await readProblem(answer)).detail);
    references = (await answer.json()).references;
    form.elements.reference.replaceChildren(...references.map(({ name }) => new Option(name, name)));
    fillSequences();
  } catch (error) {
    element("references-state").textContent = `The references could not be loaded: ${error.message}`;
  }
  updateRequest();
}

function showProblem({ title, detail, field, available = [] }) {
  element("problem").hidden = false;
  element("problem-title").textContent = title;
  element("problem-detail").textContent = detail;
  element("problem-available").replaceChildren(
    ...available.map((name) => Object.assign(document.createElement("li"), { textContent: name })),
  );
  const control = field && form.elements[field];
  if (control instanceof HTMLElement) {
    control.closest("details")?.setAttribute("open", "");
    control.setAttribute("aria-invalid", "true");
    control.focus();
  }
}

function clearAnswer() {
  element("answer").hidden = false;
  element("problem").hidden = true;
  element("stream").hidden = true;
  element("state").textContent = "Waiting for the answer…";
  element("first").replaceChildren();
  form.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
}

/** Shows what is told of one answer. */
function createView(asked) {
  const progress = element("progress");
  const expected = asked ? expectedRecords(asked) : 0;
  const linesPerRecord = asked ? 4 : 1;
  let showPlots = null;
  let shown = 0;
  let seconds = 0;
  let hasBegun = false;
  let isDone = false;
  let note = "";
  return {
    begun({ seed, skipped }) {
      hasBegun = true;
      element("stream").hidden = false;
      element("plots").hidden = !asked;
      element("seed").textContent = seed ?? "–";
      element("state").textContent = "Receiving…";
      if (expected) progress.value = 0;
      else progress.removeAttribute("value");
      if (asked) showPlots = plotsOf(asked);
      if (skipped) {
        const were = skipped === 1 ? " was" : "s were";
        note = ` ${formatCount(skipped)} sequence${were} skipped: shorter than distance + 3 × deviation.`;
      }
    },
    lines(lines) {
      for (const line of lines) {
        element("first").append(recordLine(line, shown % linesPerRecord, linesPerRecord), "\n");
        shown += 1;
      }
    },
    numbers(numbers) {
      const records = asked ? numbers.records : numbers.lines;
      seconds = numbers.seconds;
      element("records").textContent = formatCount(records);
      element("bytes").textContent = formatBytes(numbers.bytes);
      element("rate").textContent = seconds > 0 ? `${formatBytes(numbers.bytes / seconds)}/s` : "–";
      if (expected && !isDone) progress.value = Math.min(1, records / expected);
      showPlots?.(numbers);
    },
    done() {
      // Numbers come after it still: those of the comparison.
      isDone = true;
      progress.value = 1;
      element("state").textContent = `Done in ${formatFixed(seconds, 2)} s.${note}`;
    },
    problem(problem) {
      element("state").textContent = "";
      showProblem(problem);
    },
    broken(reason) {
      element("state").textContent = "";
      if (hasBegun) {
        const detail = `What was received is not whole (${reason}). The server's log says why.`;
        showProblem({ title: "The answer broke off", detail });
      } else {
        showProblem({ title: "There was no answer", detail: `Is the server running? (${reason})` });
      }
    },
  };
}

function run(event) {
  event.preventDefault();
  worker?.terminate();
  const mine = new Worker("worker.js", { type: "module" });
  worker = mine;
  clearAnswer();
  element("cancel").disabled = false;
  const asked = askedOf(form, sequencesOf(form.elements.reference.value));
  const view = createView(asked);
  mine.onmessage = ({ data }) => {
    // What an answer before this one told may be on its way still.
    if (worker !== mine) return;
    const [[what, value]] = Object.entries(data);
    view[what](value);
    if (what === "done" || what === "problem" || what === "broken") element("cancel").disabled = true;
  };
  mine.onerror = ({ message }) => mine.onmessage({ data: { broken: message ?? "worker.js could not be loaded" } });
  mine.postMessage({ url: new URL(requestPath(form), document.baseURI).href, asked });
}

function cancel() {
  worker?.terminate();
  worker = null;
  element("cancel").disabled = true;
  element("state").textContent = "Cancelled.";
}

form.addEventListener("submit", run);
// A control in a closed part cannot be shown with what is wrong with it.
form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
function changed(event) {
  event.target.removeAttribute("aria-invalid");
  if (event.target.name === "reference") fillSequences();
  updateRequest();
}
// What fills forms in, or drives them, may tell only of the second.
form.addEventListener("input", changed);
form.addEventListener("change", changed);
element("cancel").addEventListener("click", cancel);
element("copy").addEventListener("click", async () => {
  const button = element("copy");
  try {
    await navigator.clipboard.writeText(element("curl").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
    getSelection().selectAllChildren(element("curl"));
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
});
updateRequest();
loadReferences();
