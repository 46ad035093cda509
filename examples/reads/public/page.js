// The page: builds a request from the form, sends it, and shows the answer as it streams.

import { commandLine, requestPath, expectedRecords } from "./request.js";
import { formatBytes, formatCount, recordLine } from "./show.js";
import { countLines, readProblem } from "./answer.js";

const FIRST_LINES = 24;

const element = (id) => document.getElementById(id);
const form = element("form");
let references = [];
let running = null;

function updateRequest() {
  element("curl").textContent = commandLine(requestPath(form), location.origin);
}

function fillSequences() {
  const chosen = references.find((one) => one.name === form.elements.reference.value);
  const all = new Option("all of them", "");
  const sequences = chosen?.sequences ?? [];
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
  element("first").replaceChildren();
  form.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
}

function showProgress({ lines, bytes, start }, expected, linesPerRecord) {
  const records = Math.floor(lines / linesPerRecord);
  const seconds = (performance.now() - start) / 1000;
  element("records").textContent = formatCount(records);
  element("bytes").textContent = formatBytes(bytes);
  element("rate").textContent = seconds > 0 ? `${formatBytes(bytes / seconds)}/s` : "–";
  if (expected) element("progress").value = Math.min(1, records / expected);
}

async function receive(answer, expected, linesPerRecord) {
  element("stream").hidden = false;
  element("seed").textContent = answer.headers.get("strand-seed") ?? "–";
  element("state").textContent = "Receiving…";
  const progress = element("progress");
  if (expected) progress.value = 0;
  else progress.removeAttribute("value");

  const received = { lines: 0, bytes: 0, start: performance.now() };
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let head = "";
  let shown = 0;
  let painted = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    received.bytes += value.length;
    received.lines += countLines(value);
    if (shown < FIRST_LINES) {
      head += decoder.decode(value, { stream: true });
      const lines = head.split("\n");
      head = lines.pop();
      for (const line of lines.slice(0, FIRST_LINES - shown)) {
        element("first").append(recordLine(line, shown % linesPerRecord, linesPerRecord), "\n");
        shown += 1;
      }
    }
    // Painting every piece would cost more than receiving it.
    if (performance.now() - painted > 100) {
      painted = performance.now();
      showProgress(received, expected, linesPerRecord);
    }
  }
  showProgress(received, expected, linesPerRecord);
  progress.value = 1;
  const skipped = Number(answer.headers.get("strand-skipped") ?? 0);
  const note = skipped
    ? ` ${formatCount(skipped)} sequence${skipped === 1 ? " was" : "s were"} skipped: shorter than distance + 3 × deviation.`
    : "";
  element("state").textContent = `Done in ${((performance.now() - received.start) / 1000).toFixed(2)} s.${note}`;
}

async function run(event) {
  event.preventDefault();
  running?.abort();
  const mine = new AbortController();
  running = mine;
  clearAnswer();
  element("cancel").disabled = false;
  const variants = form.elements.output.value === "variants";
  try {
    const answer = await fetch(requestPath(form), { signal: mine.signal });
    if (!answer.ok) showProblem(await readProblem(answer));
    else await receive(answer, expectedRecords(form), variants ? 1 : 4);
  } catch (error) {
    if (running !== mine) return;
    if (mine.signal.aborted) element("state").textContent = "Cancelled.";
    else {
      element("state").textContent = "";
      showProblem({ title: "The answer broke off", detail: `What was received is not whole (${error.message}). The server's log says why.` });
    }
  } finally {
    if (running === mine) {
      running = null;
      element("cancel").disabled = true;
    }
  }
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
element("cancel").addEventListener("click", () => running?.abort());
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
