// One chart of one quantity against rounds, bytes or seconds: the best so far, the values that stand, a ring around the best
// of them, and crosses where rounds were taken back. data = [xs, bests, values]. uPlot draws lines and axes; marks, touch and
// keys are here.

import { style } from './text.js';

const FONT = '12px system-ui, sans-serif';
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000];
const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000];
const SYNC = 'rounds';

// Shares on a logarithmic scale: what counts is how far they are from all. 90 %, 99 % and 99.9 % are equally far apart.
const NEARLY_ALL = 0.99999;
const NEAR = [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9999];
const fromAll = (share) => -Math.log10(1 - Math.min(share, NEARLY_ALL));
const toAll = (far) => 1 - 10 ** -far;

export class Plot {
  // kind: { log(), best: 'max' | 'min', floor, ceiling, tick(value, step) }; with the best at most, values are shares.
  constructor(figure, kind, told) {
    this.figure = figure;
    this.box = figure.querySelector('.chart');
    this.kind = kind;
    this.told = told; // (i or null): the row under the cursor
    this.crosses = [];
    this.best = null;
    this.box.addEventListener('keydown', (event) => this.key(event));
    this.box.addEventListener('touchmove', (event) => this.touch(event), { passive: true });
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  // A chart of another axis, or in other colours, is another chart: the next set draws it.
  build(axis) {
    this.axis = axis;
    this.plot?.destroy();
    this.plot = null;
  }

  set(data, crosses, best) {
    const zoom = this.zoomed ? { ...this.plot.scales.x } : null;
    this.data = data;
    this.crosses = crosses;
    this.best = best;
    if (this.box.clientWidth === 0) return;
    if (!this.plot) {
      this.plot = new window.uPlot(this.options(), data, this.box);
      return;
    }
    this.plot.setData(data, zoom === null);
    if (zoom) this.plot.setScale('x', { min: zoom.min, max: zoom.max });
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (this.plot && width > 0) this.plot.setSize({ width, height });
    else if (this.data) this.set(this.data, this.crosses, this.best);
  }

  // The row under the cursor, or null; the charts share it.
  get at() {
    return this.plot?.cursor.idx ?? null;
  }

  get zoomed() {
    const xs = this.data?.[0];
    const scale = this.plot?.scales.x;
    return Boolean(scale && (scale.min > xs[0] || scale.max < xs[xs.length - 1]));
  }

  whole() {
    const xs = this.data[0];
    this.plot?.setScale('x', { min: xs[0], max: xs[xs.length - 1] });
  }

  options() {
    const ink = style('--soft');
    const rule = style('--rule');
    const accent = style('--accent');
    const side = { stroke: ink, font: FONT, ticks: { show: false }, grid: { stroke: rule, width: 1 } };
    return {
      width: this.box.clientWidth,
      height: this.box.clientHeight,
      padding: [12, 24, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, scales: ['x', null] },
        drag: { x: true, y: false, dist: 5 },
        y: false,
        points: { size: (plot, i) => (i === 2 ? 9 : 0), width: (plot, i) => (i === 2 ? 2 : 0), stroke: accent, fill: style('--paper') },
      },
      scales: {
        x: { time: false, range: (plot, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
        y: { ...this.distribution(), range: (plot, min, max) => this.range(min, max) },
      },
      axes: [
        { ...side, grid: { show: false }, border: { show: true, stroke: style('--edge'), width: 1 }, space: 64, size: 30, gap: 8,
          ...{ seconds: { incrs: STEPS_S }, whole: { incrs: STEPS }, any: {} }[this.axis.step],
          values: (plot, splits) => splits.map((x) => this.axis.format(x)) },
        { ...side, size: 56, gap: 8, space: 34,
          ...(this.near ? { splits: (plot, i, min, max) => this.nearTicks(min, max), filter: (plot, splits) => splits } : {}),
          values: (plot, splits, axis, space, incr) => splits.map((y) => this.tick(y, incr)) },
      ],
      series: [
        {},
        { stroke: ink, width: 1, dash: [2, 3], spanGaps: true, points: { show: false }, paths: window.uPlot.paths.stepped({ align: 1 }) },
        { stroke: accent, width: 1.75, spanGaps: true, points: { show: (plot, i, from, to) => to - from <= 40, size: 5, fill: accent } },
      ],
      hooks: {
        setCursor: [() => this.told(this.at)],
        setScale: [(plot, key) => key === 'x' && this.told(this.at)],
        draw: [(plot) => this.drawMarks(plot)],
      },
    };
  }

  get near() {
    return this.kind.log() && this.kind.best === 'max';
  }

  distribution() {
    return this.near ? { distr: 100, fwd: fromAll, bwd: toAll } : { distr: this.kind.log() ? 3 : 1 };
  }

  // Those that leave each other room.
  nearTicks(min, max) {
    const pixels = (y) => ((fromAll(y) - fromAll(min)) / (fromAll(max) - fromAll(min))) * this.box.clientHeight;
    const chosen = [];
    for (const y of NEAR) {
      if (y >= min && y <= max && (chosen.length === 0 || pixels(y) - pixels(chosen[chosen.length - 1]) >= 24)) chosen.push(y);
    }
    return chosen;
  }

  // A logarithmic axis of losses is labelled at 1, 2 and 5 times a power of ten.
  tick(y, step) {
    if (this.near) return this.kind.tick(y, y < 0.99 ? 0.01 : y < 0.999 ? 0.001 : 0.0001);
    if (y === null || (this.kind.log() && !/^[125]e/.test(y.toExponential()))) return '';
    return this.kind.tick(y, step);
  }

  range(min, max) {
    const { floor, ceiling } = this.kind;
    if (min === null) return this.kind.log() && !this.near ? [0.1, 1] : [0, 1];
    if (this.near) {
      const [low, high] = [fromAll(min), fromAll(max)];
      const room = (high - low) * 0.06 || 0.1;
      return [Math.max(0, toAll(low - room)), toAll(high + room)];
    }
    if (this.kind.log()) {
      const room = (max / min) ** 0.06;
      return room > 1 ? [min / room, max * room] : [min / 2, max * 2];
    }
    const room = max > min ? (max - min) * 0.06 : Math.abs(max) * 0.1 || 1;
    return [Math.max(floor, min - room), Math.min(ceiling, max + room)];
  }

  // Crosses stay within the frame: what was taken back may be anywhere.
  drawMarks(plot) {
    const { ctx, bbox } = plot;
    const scale = window.devicePixelRatio || 1;
    const inside = (x) => x >= bbox.left - 1 && x <= bbox.left + bbox.width + 1;
    ctx.save();
    ctx.lineWidth = 1.75 * scale;
    ctx.strokeStyle = style('--ink');
    ctx.setLineDash([]);
    const arm = 4 * scale;
    for (const [i, value] of this.crosses) {
      const x = plot.valToPos(this.data[0][i], 'x', true);
      const wanted = value === null || (this.kind.log() && value <= 0) ? bbox.top : plot.valToPos(value, 'y', true);
      const y = Math.min(bbox.top + bbox.height - arm, Math.max(bbox.top + arm, wanted));
      if (!inside(x)) continue;
      ctx.beginPath();
      ctx.moveTo(x - arm, y - arm);
      ctx.lineTo(x + arm, y + arm);
      ctx.moveTo(x - arm, y + arm);
      ctx.lineTo(x + arm, y - arm);
      ctx.stroke();
    }
    if (this.best !== null) this.drawRing(plot, scale, inside);
    ctx.restore();
  }

  drawRing(plot, scale, inside) {
    const x = plot.valToPos(this.data[0][this.best], 'x', true);
    if (!inside(x)) return;
    plot.ctx.beginPath();
    plot.ctx.arc(x, plot.valToPos(this.data[2][this.best], 'y', true), 5 * scale, 0, 2 * Math.PI);
    plot.ctx.stroke();
  }

  moveTo(i) {
    const x = this.data[0][i];
    const y = this.data[2][i] ?? this.data[1][i];
    const top = y === null || y === undefined ? 10 : this.plot.valToPos(y, 'y');
    this.plot.setCursor({ left: this.plot.valToPos(x, 'x'), top });
  }

  key(event) {
    const last = (this.data?.[0].length ?? 0) - 1;
    const at = this.at ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 10, PageDown: at + 10, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.figure.querySelector('output').setAttribute('aria-live', 'polite');
    this.moveTo(Math.max(0, Math.min(last, to)));
  }

  touch(event) {
    if (!this.plot || event.touches.length !== 1) return;
    const frame = this.plot.over.getBoundingClientRect();
    const { clientX, clientY } = event.touches[0];
    this.plot.setCursor({ left: clientX - frame.left, top: clientY - frame.top });
  }
}
