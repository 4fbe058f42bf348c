"use strict";
// Draws curves with uPlot: one line per run over a band from the minimum to the maximum, with zoom and a log axis.
// Each zoom regroups the buckets, whose extremes are exact, so that no spike is lost.

// The number of points of a curve in a plot of this width. More would look like noise.
const points = (width) => Math.max(60, Math.min(200, Math.floor(width / 5)));

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const count = (n) => n.toLocaleString("en-US");
const short = (x) => {
  const size = Math.abs(x);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return x.toExponential(1).replace(".0", "").replace("e+", "e");
  return String(Number(x.toPrecision(5)));
};

// The smallest 1, 2 or 5 times a power of ten that is at least `x`.
function nice(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= x * 0.999999);
}

function ticks(low, high, log) {
  const found = [];
  if (!log) {
    const step = nice((high - low) / 6);
    for (let i = Math.ceil(low / step - 1e-6); i * step <= high + step * 1e-6; i++) found.push(i * step);
    return found;
  }
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first <= 1 ? [1, 1.5, 2, 3, 4, 5, 7] : last - first <= 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.floor((last - first) / 7));
  for (let power = first; power <= last; power += every) {
    for (const factor of factors) found.push(factor * 10 ** power);
  }
  return found.filter((tick) => tick >= low && tick <= high);
}

class Plot {
  // `chart` comes from the page's data, `target` holds the picture, and `readout` the values under the pointer.
  constructor(chart, target, readout, labels) {
    Object.assign(this, { chart, target, readout, labels });
    this.log = chart.log;
    this.whole = false;
    this.hidden = new Set();
    this.zoom(0, chart.steps);
    new ResizeObserver(() => this.fit()).observe(target);
  }

  get shown() {
    return this.chart.lines.filter((line) => !this.hidden.has(line.run));
  }

  // Shows steps `from` to `to`.
  zoom(from, to) {
    this.from = Math.max(0, Math.min(from, to - 1));
    this.to = Math.max(this.from + 1, Math.min(to, this.chart.steps));
    this.draw();
  }

  // The columns that uPlot requires: the middle of each group of steps, then the mean, maximum and minimum of each run.
  columns() {
    const width = Math.max(1, Math.floor((this.to - this.from) / points(this.target.clientWidth)));
    const [first, last] = [Math.floor(this.from / width) - 1, Math.ceil(this.to / width) + 1];
    const size = last - first + 1;
    const xs = Array.from({ length: size }, (_, i) => (first + i) * width + (width - 1) / 2);
    const data = [xs];
    for (const own of this.chart.lines) {
      const line = { ...this.chart.shared, ...own };
      const columns = [0, 1, 2].map(() => new Array(size).fill(undefined));
      const weights = new Array(size).fill(0);
      line.x.forEach((x, i) => {
        const n = line.n ? line.n[i] : 1;
        const at = Math.floor((x + (n - 1) / 2) / width) - first;
        if (at < 0 || at >= size) return;
        const mean = line.mean[i];
        if (mean === null) {
          // A bucket without a finite value leaves a gap, unless another bucket of the group has a finite value.
          if (weights[at] === 0) columns.forEach((column) => (column[at] = null));
          return;
        }
        const [low, high] = line.low ? [line.low[i], line.high[i]] : [mean, mean];
        if (weights[at] === 0) columns.forEach((column, k) => (column[at] = [0, high, low][k]));
        columns[0][at] += mean * n;
        columns[1][at] = Math.max(columns[1][at], high);
        columns[2][at] = Math.min(columns[2][at], low);
        weights[at] += n;
      });
      weights.forEach((weight, at) => weight > 0 && (columns[0][at] /= weight));
      data.push(...columns);
    }
    this.width = width;
    return data;
  }

  // The range of the y axis.
  range(data) {
    const { chart } = this;
    let [low, high] = [Infinity, -Infinity];
    const hold = (y) => {
      if (y === undefined || y === null) return;
      low = Math.min(low, y);
      high = Math.max(high, y);
    };
    chart.lines.forEach((line, i) => {
      if (this.hidden.has(line.run)) return;
      data[3 * i + 2].forEach(hold);
      data[3 * i + 3].forEach(hold);
    });
    const everything = this.from === 0 && this.to === chart.steps;
    if (everything || low > high) chart.baselines.forEach(([, value]) => hold(value));
    if (low > high) [low, high] = [chart.low, chart.high];
    if (this.log) return [low / 1.05, high * 1.05];
    if (chart.cut && !this.whole) {
      high = Math.min(high, chart.high);
      low = Math.min(low, high - 0.1);
    }
    const room = (high - low) * 0.04 || Math.abs(high) * 0.05 || 1;
    return [low - room, high + room];
  }

  draw() {
    const { chart, target } = this;
    const data = this.columns();
    const [low, high] = this.range(data);
    const [text, grid, faint] = [colour("--text"), colour("--grid"), colour("--faint")];
    const series = [{}];
    const bands = [];
    for (const line of chart.lines) {
      const stroke = colour(`--c${line.place % 8}`);
      const show = !this.hidden.has(line.run);
      const few = (line.x ?? this.chart.shared.x).length <= 30;
      const dash = [undefined, [7, 3], [2, 3], [9, 3, 2, 3]][Math.floor(line.place / 8) % 4];
      series.push({ show, stroke, width: 1.7, dash, points: { show: few, size: 6, fill: stroke } });
      const edge = { show, width: 0, points: { show: false } };
      series.push({ ...edge }, { ...edge });
      const at = series.length;
      const share = Math.round(255 * Number(colour("--band"))).toString(16).padStart(2, "0");
      bands.push({ series: [at - 2, at - 1], fill: stroke + share });
    }
    this.plot?.destroy();
    this.plot = new uPlot({
      width: Math.max(280, target.clientWidth),
      height: target.clientWidth < 500 ? 260 : 360,
      padding: [10, 34, null, null],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => [this.from, this.to] },
        y: { distr: this.log ? 3 : 1, range: () => [low, high] },
      },
      axes: [
        { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: faint, width: 1 },
          space: 30 + 7 * count(this.to).length,
          values: (_, values) => values.map((step) => (Number.isInteger(step) ? count(step) : "")) },
        { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: faint, width: 1 }, size: 56,
          splits: () => ticks(low, high, this.log), filter: (_, splits) => splits,
          values: (_, values) => values.map(short) },
      ],
      series,
      bands,
      cursor: {
        drag: { x: true, y: false, setScale: false },
        // A double click resets the zoom.
        bind: { dblclick: () => () => this.zoom(0, chart.steps) },
        points: { show: (u, i) => (i % 3 === 1 ? undefined : false) },
      },
      hooks: {
        draw: [(u) => this.marks(u)],
        setCursor: [(u) => this.say(u)],
        setSelect: [(u) => {
          const [from, to] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          // Deferred, because uPlot's handler still uses the plot that the zoom replaces.
          if (u.select.width > 4) queueMicrotask(() => this.zoom(Math.floor(from), Math.ceil(to)));
        }],
      },
    }, data, target);
    this.changed?.();
  }

  fit() {
    const width = Math.max(280, this.target.clientWidth);
    if (this.plot && width !== this.plot.width) this.plot.setSize({ width, height: this.plot.height });
  }

  // Draws baselines, onsets, and crosses at non-finite values.
  marks(u) {
    const { ctx, bbox } = u;
    const dot = devicePixelRatio;
    const [left, top, right, floor] = [bbox.left, bbox.top, bbox.left + bbox.width, bbox.top + bbox.height];
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * dot}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    const line = (x0, y0, x1, y1, dash, width = 1) => {
      ctx.lineWidth = width * dot;
      ctx.setLineDash(dash.map((n) => n * dot));
      ctx.beginPath();
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
      ctx.stroke();
    };
    const ground = colour("--ground");
    let [before, end] = [Infinity, right];
    for (const [label, value] of [...this.chart.baselines].sort((a, b) => a[1] - b[1])) {
      const y = u.valToPos(value, "y", true);
      if (!(y >= top && y <= floor)) continue;
      ctx.strokeStyle = ctx.fillStyle = colour("--faint");
      line(left, y, right, y, [5, 4]);
      const words = `${label} ${value.toFixed(2)}`;
      // A label that would cover the one below is placed beside it.
      end = before - y < 13 * dot ? end - 12 * dot : right - 4 * dot;
      const above = y - 3 * dot < top + 9 * dot ? y + 12 * dot : y - 3 * dot;
      // The label has an outline in the background colour, so that it can be read on top of curves.
      ctx.setLineDash([]);
      ctx.lineWidth = 4 * dot;
      ctx.strokeStyle = ground;
      ctx.strokeText(words, end, above);
      ctx.strokeStyle = ctx.fillStyle;
      ctx.fillText(words, end, above);
      end -= ctx.measureText(words).width;
      before = y;
    }
    let lane = 0;
    this.shown.forEach((of) => {
      ctx.strokeStyle = ctx.fillStyle = colour(`--c${of.place % 8}`);
      if (of.onset !== null) {
        const x = u.valToPos(of.onset, "x", true);
        line(x, top, x, floor, [2, 3]);
        ctx.beginPath();
        [[-6, 0], [6, 0], [0, 9]].forEach(([dx, dy]) => ctx.lineTo(x + dx * dot, top + dy * dot));
        ctx.fill();
      }
      // Each run with non-finite values has its own lane.
      const y = floor - (7 + 9 * (lane % 8)) * dot;
      lane += of.holes.length > 0;
      for (const [first, last] of of.holes) {
        const [x, until] = [u.valToPos(first, "x", true), u.valToPos(last, "x", true)];
        line(x - 3.5 * dot, y - 3.5 * dot, x + 3.5 * dot, y + 3.5 * dot, [], 1.8);
        line(x - 3.5 * dot, y + 3.5 * dot, x + 3.5 * dot, y - 3.5 * dot, [], 1.8);
        if (until > x) line(x, y, until, y, [], 1.2);
      }
    });
    ctx.restore();
  }

  // Shows the values under the pointer.
  say(u) {
    const at = u.cursor.idx;
    if (at === null || at === undefined || u.cursor.left < 0) return;
    const middle = u.data[0][at];
    const [first, last] = [Math.ceil(middle - (this.width - 1) / 2), Math.floor(middle + (this.width - 1) / 2)];
    const parts = [`step${first === last ? ` ${count(first)}` : `s ${count(first)} to ${count(last)}`}`];
    this.chart.lines.forEach((line, i) => {
      if (this.hidden.has(line.run)) return;
      const hole = line.holes.find(([from, to]) => from <= last && to >= first);
      const [mean, high, low] = [1, 2, 3].map((k) => u.data[3 * i + k][at]);
      if (mean === undefined && !hole) return;
      const value = mean === undefined || mean === null ? "" : short(Number(mean.toPrecision(5)));
      const spread = value && high > low ? ` (${short(low)} to ${short(high)})` : "";
      parts.push([line.place, `${this.labels.get(line.run)}: ${[value + spread, hole?.[2]].filter(Boolean).join(", ")}`]);
    });
    const spans = parts.slice(0, 14).map((part) => {
      const span = document.createElement("span");
      if (Array.isArray(part)) span.className = `f${part[0] % 8}`;
      span.textContent = Array.isArray(part) ? part[1] : part;
      return span;
    });
    this.readout.replaceChildren(...spans);
  }
}
