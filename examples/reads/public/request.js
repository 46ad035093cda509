// From the form to a request.

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

/** How many records the answer will have about, or 0 if that cannot be told. */
export function expectedRecords(form) {
  const { output, n } = form.elements;
  if (output.value === "variants") return 0;
  return Number(n.value) * (output.value === "both" ? 2 : 1);
}
