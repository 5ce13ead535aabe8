// One chart of one quantity against rounds, bytes or seconds: the best so far, the values that stand, and crosses where
// rounds were taken back. data = [xs, bests, values]. uPlot draws lines and axes; marks, touch and keys are here.

import { style } from './text.js';

const FONT = '12px system-ui, sans-serif';
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000];
const SYNC = 'rounds';

export class Plot {
  // kind: { name, format(value), log(), best: 'max' | 'min', floor, ceiling }
  constructor(figure, kind, told) {
    this.figure = figure;
    this.box = figure.querySelector('.chart');
    this.kind = kind;
    this.told = told; // (i or null): the row under the cursor
    this.crosses = [];
    this.notes = [];
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

  set(data, crosses, notes) {
    const zoom = this.zoomed ? { ...this.plot.scales.x } : null;
    this.data = data;
    this.ends = [data[0][0], data[0][data[0].length - 1]];
    this.crosses = crosses;
    this.notes = notes;
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
    else if (this.data) this.set(this.data, this.crosses, this.notes);
  }

  // The row under the cursor, or null; the charts share it.
  get at() {
    return this.plot?.cursor.idx ?? null;
  }

  // Held against what was drawn last: the columns grow in place.
  get zoomed() {
    const scale = this.plot?.scales.x;
    return Boolean(scale && (scale.min > this.ends[0] || scale.max < this.ends[1]));
  }

  whole() {
    const [min, max] = this.ends;
    this.plot.setScale('x', { min, max });
  }

  options() {
    const ink = style('--soft');
    const rule = style('--rule');
    const accent = style('--accent');
    const side = { stroke: ink, font: FONT, ticks: { show: false }, grid: { stroke: rule, width: 1 } };
    return {
      width: this.box.clientWidth,
      height: this.box.clientHeight,
      padding: [12, 14, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, scales: ['x', null] },
        drag: { x: true, y: false, dist: 5 },
        y: false,
        points: { size: (plot, i) => (i === 2 ? 9 : 0), width: (plot, i) => (i === 2 ? 2 : 0), stroke: accent, fill: style('--paper') },
      },
      scales: {
        x: { time: false, range: (plot, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
        y: { distr: this.kind.log() ? 3 : 1, range: (plot, min, max) => this.range(min, max) },
      },
      axes: [
        { ...side, grid: { show: false }, border: { show: true, stroke: style('--edge'), width: 1 }, space: 64, size: 30, gap: 8,
          ...(this.axis.step === 'seconds' ? { incrs: STEPS_S } : {}),
          ...(this.axis.step === 'whole' ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000] } : {}),
          values: (plot, splits) => splits.map((x) => this.axis.format(x)) },
        { ...side, size: 56, gap: 8, space: 34, values: (plot, splits, axis, space, incr) => splits.map((y) => this.tick(y, incr)) },
      ],
      series: [
        {},
        { stroke: ink, width: 1, dash: [2, 3], spanGaps: true, points: { show: false }, paths: window.uPlot.paths.stepped({ align: 1 }) },
        { stroke: accent, width: 1.75, spanGaps: true, points: { show: (plot, i, from, to) => to - from <= 40, size: 5, fill: accent } },
      ],
      hooks: { setCursor: [() => this.told(this.at)], draw: [(plot) => this.drawMarks(plot)], setScale: [(plot, key) => key === 'x' && this.told(this.at)] },
    };
  }

  // A logarithmic axis is labelled at 1, 2 and 5 times a power of ten.
  tick(y, step) {
    if (y === null || (this.kind.log() && !/^[125]e/.test(y.toExponential()))) return '';
    return this.kind.tick(y, step);
  }

  range(min, max) {
    const { floor, ceiling } = this.kind;
    if (min === null) return this.kind.log() ? [0.1, 1] : [0, 1];
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
    ctx.lineWidth = 2 * scale;
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
    for (const note of this.notes) this.drawNote(plot, note, scale, inside);
    ctx.restore();
  }

  // A ring around a point, with a few words beside it, in the frame.
  drawNote(plot, { i, value, text }, scale, inside) {
    const { ctx, bbox } = plot;
    const x = plot.valToPos(this.data[0][i], 'x', true);
    const y = plot.valToPos(value, 'y', true);
    if (!inside(x)) return;
    ctx.lineWidth = 1.75 * scale;
    ctx.strokeStyle = style('--ink');
    ctx.beginPath();
    ctx.arc(x, y, 5 * scale, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.font = FONT.replace('12px', `${12 * scale}px`);
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    const width = ctx.measureText(text).width;
    const left = Math.max(bbox.left + 2 * scale, Math.min(x - width / 2, bbox.left + bbox.width - width));
    const below = this.kind.best === 'max' ? y + 26 * scale : y - 20 * scale;
    const base = Math.min(bbox.top + bbox.height - 6 * scale, Math.max(bbox.top + 12 * scale, below));
    ctx.lineJoin = 'round';
    ctx.lineWidth = 4 * scale;
    ctx.strokeStyle = style('--paper');
    ctx.strokeText(text, left, base);
    ctx.fillStyle = style('--ink');
    ctx.fillText(text, left, base);
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
