// Values as people read them.

const counts = new Intl.NumberFormat("en");

export const formatCount = (count) => counts.format(count);

export function formatBytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A line of a record as an element: names are quiet, bases are coloured. */
export function recordLine(line, place, linesPerRecord) {
  const span = document.createElement("span");
  if (linesPerRecord !== 4) {
    span.textContent = line;
  } else if (place === 1) {
    // One element a run of equal bases.
    for (const [run] of line.matchAll(/(.)\1*/g)) {
      const base = document.createElement("b");
      base.className = run[0].toLowerCase();
      base.textContent = run;
      span.append(base);
    }
  } else {
    span.className = "name";
    span.textContent = line;
  }
  return span;
}
