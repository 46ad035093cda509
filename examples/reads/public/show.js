// Values as people read them.

const counts = new Intl.NumberFormat("en");

export const formatCount = (count) => counts.format(count);

/** With so many digits behind the point; what there is nothing to say of yet is a dash. */
export function formatFixed(value, digits) {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** With three digits that say something at least. */
export const formatMeasure = (value) => formatFixed(value, value > 0 ? Math.max(1, 2 - Math.floor(Math.log10(value))) : 1);

export function formatPercent(share, digits) {
  const percent = formatFixed(100 * share, digits);
  return Number.isFinite(share) ? `${percent} %` : percent;
}

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
