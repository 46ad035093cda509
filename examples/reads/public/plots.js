// The four plots of an answer, with their numbers in words.

import { positionAxis } from "./compare.js";
import { binWidth, insertAxis, layOut } from "./counts.js";
import { draw } from "./plot.js";
import { formatCount, formatFixed, formatMeasure, formatPercent } from "./show.js";

/** More boundaries between sequences than this would be a grey area. */
const MOST_MARKS = 100;

const element = (id) => document.getElementById(id);

/** Draws at most once a frame. */
export function createPlots() {
  const canvases = ["inserts", "errors", "depth", "starts"].map((name) => element(`${name}-plot`));
  let plots = () => [];
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      plots().forEach((plot, k) => draw(canvases[k], plot));
    });
  };
  const observer = new ResizeObserver(later);
  canvases.forEach((canvas) => observer.observe(canvas));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);

  /** Begins an answer to what was asked. Returns what shows its latest numbers, those of worker.js. */
  return (asked) => {
    const place = layOut(asked);
    const across = acrossPlaces(asked, place);
    return (numbers) => {
      tell(asked, numbers, place);
      plots = () => [
        insertPlot(asked, numbers),
        errorPlot(asked, numbers),
        depthPlot(asked, numbers, place, across),
        startPlot(asked, numbers, place, across),
      ];
      later();
    };
  };
}

function insertPlot(asked, { inserts, pairs }) {
  const axis = insertAxis(asked);
  const { distance, deviation } = asked;
  const places = Array.from({ length: 201 }, (_, k) => axis.from + ((axis.to - axis.from) * k) / 200);
  // A whole number stands in the middle of its place on the axis.
  const normal = (x) => Math.exp(-(((x - 0.5 - distance) / deviation) ** 2) / 2) / (deviation * Math.sqrt(2 * Math.PI));
  return {
    ...axis,
    values: inserts.counts,
    asked: deviation > 0 ? places.map((x) => [x, pairs * axis.width * normal(x)]) : [],
    marks: [],
    across: "insert size (bases)",
    up: axis.width === 1 ? "pairs" : `pairs in ${formatCount(axis.width)} bases`,
    unit: 1,
    format: formatCount,
  };
}

function errorPlot(asked, { compared: { seen, wrong } }) {
  const axis = positionAxis(asked);
  return {
    ...axis,
    values: Float64Array.from(seen, (bases, bin) => (bases ? wrong[bin] / bases : NaN)),
    asked: level(axis, asked.error),
    marks: [],
    across: "position in the read (bases)",
    up: "misread bases",
    unit: 1,
    format: (value, step) => formatPercent(value, decimals(step * 100)),
  };
}

function depthPlot(asked, { depth }, { axis, total }, across) {
  return {
    ...axis,
    ...across,
    values: depth.bins,
    asked: level(axis, (asked.pairs * basesOfPair(asked)) / total),
    up: "reads over a base",
    format: (value, step) => formatFixed(value, decimals(step)),
  };
}

function startPlot(asked, { starts }, { axis, total }, across) {
  return {
    ...axis,
    ...across,
    values: perThousand(starts, axis),
    asked: level(axis, (1000 * asked.pairs) / total),
    up: "pairs in 1,000 bases",
    format: (value, step) => formatFixed(value, decimals(step)),
  };
}

const level = ({ from, to }, value) => [[from, value], [to, value]];
const perThousand = ({ counts }, axis) => Float64Array.from(counts, (count, bin) => (1000 * count) / binWidth(axis, bin));
/** Digits behind the point that tell multiples of a step apart. */
const decimals = (step) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

/** Bases of a pair that are in the answer. */
function basesOfPair({ lengths, output }) {
  return output === "both" ? lengths[0] + lengths[1] : lengths[Number(output) - 1];
}

/** The axis of places: its title and unit, and where one sequence ends and the next begins. */
function acrossPlaces({ sequences }, { axis, offsets }) {
  const [unit, name] = axis.to > 2e6 ? [1e6, "Mb"] : axis.to > 2e3 ? [1e3, "kb"] : [1, "bases"];
  const count = sequences.length;
  return {
    unit,
    across: `position in ${count === 1 ? "the sequence" : `${formatCount(count)} sequences laid end to end`} (${name})`,
    marks: count > MOST_MARKS ? [] : [...offsets.values()].slice(1),
  };
}

/** The numbers in words, which are what those have who see no plot. */
function tell(asked, { pairs, inserts, depth, starts, named, compared }, { axis }) {
  const fill = (id, value, text) => Object.assign(element(id), { value, textContent: text });
  fill("pairs", pairs, formatCount(pairs));
  fill("insert-mean", inserts.mean, formatFixed(inserts.mean, 1));
  fill("insert-deviation", inserts.deviation, formatFixed(inserts.deviation, 1));
  const seen = sum(compared.seen);
  fill("compared-bases", seen, formatCount(seen));
  fill("compared-rate", sum(compared.wrong) / seen, formatPercent(sum(compared.wrong) / seen, 2));
  fill("named-rate", named.misread / named.bases, formatPercent(named.misread / named.bases, 2));
  for (const [id, mean, bins] of [
    ["depth", depth.mean, depth.bins],
    ["starts", 1000 * starts.rate, perThousand(starts, axis)],
  ]) {
    for (const [which, value] of [["mean", mean], ["least", Math.min(...bins)], ["most", Math.max(...bins)]]) {
      fill(`${id}-${which}`, value, formatMeasure(value));
    }
  }
  element("compared-problem").textContent =
    asked.error === 0 ? "Here no base is wrong." : compared.problem ? `No more is compared: ${compared.problem}.` : "";
}

const sum = (counts) => counts.reduce((all, count) => all + count, 0);
