// Drawing one plot: steps over an axis, with what was asked for as a dashed line.

const FONT_PX = 12;
const TICK_PX = 5;
/** Where plots begin, so that those below each other have their axes below each other. */
const LEFT_PX = 48;
/** Pixels between ticks, at least. */
const X_APART_PX = 70;
const Y_APART_PX = 20;

/** Round numbers from `from` to `to`: 1, 2 or 5 times a power of ten apart, about `most` of them. */
export function ticks(from, to, most) {
  const rough = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const all = [];
  // Whole multiples, so that errors do not add up.
  for (let k = Math.ceil(from / step - 1e-9) + 0; k * step <= to + step * 1e-9; k += 1) all.push(k * step);
  return { step, all };
}

/**
 * Draws into a canvas as large as it is laid out, in the colours of its style. `plot` has
 *
 * - `from`, `to`, `width` and `values`: the axis across, and a value for each bin of that width (NaN is none);
 * - `asked`: points of the dashed line;
 * - `marks`: places across that are told from what is before them;
 * - `across` and `up`: the axes' titles;
 * - `unit`, by which labels across are divided, and `format` of a label upwards (its value, and the step).
 */
export function draw(canvas, plot) {
  const context = sized(canvas);
  if (!context) return;
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(`--plot-${name}`);
  context.font = `${FONT_PX}px ${style.fontFamily}`;
  const scale = createScale(context, canvas, plot);
  drawGrid(context, scale, plot, colour);
  drawSteps(context, scale, plot, colour);
  drawAsked(context, scale, plot, colour);
}

/** A context whose unit is a pixel of CSS, on as many pixels as the screen has for it. */
function sized(canvas) {
  const { clientWidth, clientHeight } = canvas;
  if (!clientWidth || !clientHeight) return null;
  const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * devicePixelRatio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(width / clientWidth, 0, 0, height / clientHeight, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  return context;
}

/** Where the axes are. What is asked for is in sight once what has come is near it. */
function createScale(context, canvas, { from, to, values, asked, format }) {
  const highest = values.reduce((most, value) => (value > most ? value : most), 0);
  const wanted = asked.reduce((most, [, y]) => Math.max(most, y), 0);
  const reach = highest === 0 || highest > wanted / 2 ? Math.max(highest, wanted) : highest;
  const top = 2.5 * FONT_PX;
  const bottom = canvas.clientHeight - 3 * FONT_PX - TICK_PX;
  const most = reach * 1.08 || 1;
  const up = ticks(0, most, (bottom - top) / Y_APART_PX);
  const labels = up.all.map((value) => format(value, up.step));
  const widest = Math.max(...labels.map((label) => context.measureText(label).width));
  const left = Math.max(LEFT_PX, Math.ceil(widest) + 8);
  const right = canvas.clientWidth - 12;
  return {
    top,
    bottom,
    left,
    right,
    most,
    up: up.all.map((value, k) => [value, labels[k]]),
    x: (place) => left + ((place - from) / (to - from)) * (right - left),
    y: (value) => bottom - (value / most) * (bottom - top),
  };
}

function drawGrid(context, { top, bottom, left, right, up, x, y }, plot, colour) {
  context.lineWidth = 1;
  context.setLineDash([]);
  context.fillStyle = colour("quiet");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const [value, label] of up) {
    context.strokeStyle = colour(value === 0 ? "quiet" : "grid");
    line(context, left, y(value), right, y(value));
    context.fillText(label, left - 8, y(value));
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  context.strokeStyle = colour("quiet");
  const { from, to, unit } = plot;
  const across = ticks(from / unit, to / unit, (right - left) / X_APART_PX);
  const digits = Math.max(0, -Math.floor(Math.log10(across.step) + 1e-9));
  for (const value of across.all) {
    line(context, x(value * unit), bottom, x(value * unit), bottom + TICK_PX);
    context.fillText(value.toFixed(digits), x(value * unit), bottom + TICK_PX + 3);
  }
  context.strokeStyle = colour("grid");
  for (const mark of plot.marks) line(context, x(mark), top, x(mark), bottom);
  context.textBaseline = "alphabetic";
  context.fillText(plot.across, (left + right) / 2, bottom + TICK_PX + 3 * FONT_PX - 4);
  context.textAlign = "left";
  context.fillText(plot.up, 0, FONT_PX);
}

function drawSteps(context, { bottom, x, y }, { from, to, width, values }, colour) {
  const outline = new Path2D();
  const area = new Path2D();
  let down = true;
  values.forEach((value, bin) => {
    const [start, end] = [x(from + bin * width), x(Math.min(from + (bin + 1) * width, to))];
    if (Number.isNaN(value)) {
      down = true;
      return;
    }
    area.rect(start, y(value), end - start, bottom - y(value));
    if (down) outline.moveTo(start, y(value));
    else outline.lineTo(start, y(value));
    outline.lineTo(end, y(value));
    down = false;
  });
  context.fillStyle = colour("area");
  context.fill(area);
  context.strokeStyle = colour("data");
  // Where steps are narrow, a line would hide them.
  context.lineWidth = Math.min(1.5, Math.max(0.75, (x(from + width) - x(from)) / 3));
  context.lineJoin = "round";
  context.stroke(outline);
}

function drawAsked(context, { top, bottom, left, right, most, x, y }, { asked }, colour) {
  if (!asked.length || asked.every(([, value]) => value > most)) return;
  context.save();
  context.beginPath();
  context.rect(left, top - 1, right - left, bottom - top + 2);
  context.clip();
  context.strokeStyle = colour("asked");
  context.lineWidth = 1.75;
  context.setLineDash([5, 4]);
  context.beginPath();
  asked.forEach(([place, value], k) => context[k ? "lineTo" : "moveTo"](x(place), y(value)));
  context.stroke();
  context.restore();
}

/** A line of one pixel, on whole pixels. */
function line(context, x1, y1, x2, y2) {
  const on = (value) => Math.round(value) + 0.5;
  context.beginPath();
  context.moveTo(on(x1), on(y1));
  context.lineTo(on(x2), on(y2));
  context.stroke();
}
