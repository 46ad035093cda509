// From the form to a request.

import { layOut } from "./counts.js";

/** The path with the query; what is at its default is left out, so that the line stays short. */
export function requestPath(form) {
  const { elements } = form;
  const output = elements.output.value;
  const query = new URLSearchParams();
  for (const control of elements) {
    const { name, type } = control;
    if (!name || name === "output") continue;
    const value = type === "checkbox" ? (control.checked ? control.value : "") : control.value;
    const usual = type === "number" ? control.defaultValue : "";
    if (value !== "" && (value !== usual || name === "n")) query.set(name, value);
  }
  if (output === "1" || output === "2") query.set("mate", output);
  return `${output === "variants" ? "variants" : "reads"}?${query}`;
}

/** A line for a shell. */
export function commandLine(path, origin) {
  const quoted = `${origin}/${path}`.replaceAll("'", "'\\''");
  return `curl '${quoted}'`;
}

/** What the reads of an answer are compared with, as counts.js has it; null if it has no reads. */
export function askedOf(form, sequences) {
  const { chrom, output, mode, start, stop } = form.elements;
  if (output.value === "variants") return null;
  const number = (name) => Number(form.elements[name].value);
  const given = ({ name, value }) => (mode.value === "windowed" && value !== "" ? number(name) : null);
  return {
    sequences: chrom.value ? sequences.filter(({ name }) => name === chrom.value) : sequences,
    start: given(start),
    stop: given(stop),
    pairs: number("n"),
    lengths: [number("length1"), number("length2")],
    distance: number("distance"),
    deviation: number("stdev"),
    error: number("error"),
    output: output.value,
  };
}

/** How many records an answer will have about. */
export function expectedRecords(asked) {
  const { bases, total } = layOut(asked);
  return total ? (asked.pairs * (asked.output === "both" ? 2 : 1) * bases) / total : 0;
}
