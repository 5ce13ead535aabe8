// Accuracy and loss, side by side on one axis; which axis is the reader's choice and stays chosen.

import { byId, bytes, count, loss, percent, plural, say, seconds } from './text.js';
import { Plot } from './plot.js';

const CALM_MS = 250; // a run of many small rounds is drawn four times a second

const AXES = {
  round: { column: 'round', step: 'whole', format: (x) => (Number.isInteger(x) ? count(x) : '') },
  bytes: { column: 'bytes_total', step: 'any', format: (x) => bytes(x).replace(/\.0+(?=\D)/, '').replace(/(\.\d)0(?=\D)/, '$1') },
  seconds: { column: 'seconds_total', step: 'seconds', format: (x) => (x === 0 ? '0' : seconds(x)) },
};

function remembered(key, otherwise) {
  try {
    return localStorage.getItem(key) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // a browser that keeps nothing
  }
}

export class Curves {
  constructor(rounds) {
    this.rounds = rounds;
    this.form = byId('switches');
    this.drawn = 0;
    this.timer = 0;
    this.dirty = false;
    for (const [name, otherwise] of [['x', 'round'], ['scale', 'linear']]) {
      const value = remembered(`fedavg.${name}`, otherwise);
      const choice = [...this.form.elements[name]].find((input) => input.value === value);
      if (choice) choice.checked = true;
    }
    const log = () => this.form.elements.scale.value === 'log';
    const digits = (step) => Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
    this.plots = {
      accuracy: new Plot(byId('chart-accuracy'), { best: 'max', floor: 0, ceiling: 1, log, tick: (y, step) => percent(y, digits(step * 100)) }, (i) => this.tell(i)),
      loss: new Plot(byId('chart-loss'), { best: 'min', floor: 0, ceiling: Infinity, log, tick: (y) => loss(y) }, (i) => this.tell(i)),
    };
    this.form.addEventListener('change', () => this.choose());
    byId('whole').addEventListener('click', () => Object.values(this.plots).forEach((plot) => plot.whole()));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.build();
      this.draw();
    });
    document.addEventListener('visibilitychange', () => this.dirty && this.changed());
    this.build();
  }

  choose() {
    remember('fedavg.x', this.form.elements.x.value);
    remember('fedavg.scale', this.form.elements.scale.value);
    this.build();
    this.draw();
  }

  build() {
    const axis = AXES[this.form.elements.x.value];
    Object.values(this.plots).forEach((plot) => plot.build(axis));
  }

  changed() {
    this.dirty = true;
    if (this.timer !== 0 || document.visibilityState !== 'visible') return;
    const wait = Math.max(0, this.drawn + CALM_MS - performance.now());
    this.timer = setTimeout(() => requestAnimationFrame(() => {
      this.timer = 0;
      this.draw();
    }), wait);
  }

  draw() {
    this.drawn = performance.now();
    this.dirty = false;
    if (this.rounds.length === 0) return;
    const columns = this.rounds.columns;
    const xs = columns[AXES[this.form.elements.x.value].column].slice(); // the columns grow
    const back = columns.rolled_back ?? [];
    for (const name of ['accuracy', 'loss']) {
      const plot = this.plots[name];
      plot.figure.hidden = name === 'accuracy' && !columns.accuracy.some(Number.isFinite) && columns.loss.some(Number.isFinite);
      const { data, crosses, best } = this.series(xs, columns[name], back, plot.kind);
      plot.set(data, crosses, best);
      this.describe(name, best);
    }
    byId('key-cross').hidden = !back.some(Boolean);
    this.tell(this.plots.loss.at); // where the pointer is
  }

  // Rounds that were taken back are crosses; what stands is the line.
  series(xs, values, back, kind) {
    const stands = new Array(xs.length);
    const bests = new Array(xs.length);
    const crosses = [];
    const better = kind.best === 'max' ? (a, b) => a > b : (a, b) => a < b;
    let best = null;
    for (let i = 0; i < xs.length; i++) {
      const value = values[i] ?? null;
      const shown = value !== null && !(kind.best === 'min' && kind.log() && value <= 0);
      if (back[i]) crosses.push([i, value]);
      stands[i] = shown && !back[i] ? value : null;
      if (stands[i] !== null && (best === null || better(value, stands[best]))) best = i;
      bests[i] = best === null ? null : stands[best];
    }
    return { data: [xs, bests, stands], crosses, best };
  }

  describe(name, best) {
    const last = this.rounds.at(this.rounds.length - 1);
    const format = name === 'accuracy' ? percent : loss;
    const { round, [name]: values } = this.rounds.columns;
    const words = best === null ? 'not measured'
      : `now ${format(last[name])}, ${name === 'accuracy' ? 'best' : 'least'} ${format(values[best])} in round ${round[best]}. Arrow keys move along the curve.`;
    this.plots[name].box.setAttribute('aria-label', `${name} on the test data over ${plural(last.round, 'round')}: ${words}`);
  }

  // What stands under the cursor; without one, the last round that was evaluated.
  tell(at) {
    const columns = this.rounds.columns;
    byId('whole').hidden = !Object.values(this.plots).some((plot) => plot.zoomed);
    for (const [name, format] of [['accuracy', percent], ['loss', loss]]) {
      let i = at ?? this.rounds.length - 1;
      while (at === null && i > 0 && (columns[name][i] ?? null) === null) i--;
      if (i < 0 || i >= this.rounds.length) continue;
      const row = this.rounds.at(i);
      const parts = [`round ${count(row.round)}`, bytes(row.bytes_total), seconds(row.seconds_total)];
      if (row.rolled_back) parts.push('taken back');
      const value = row[name] ?? null;
      say(this.plots[name].figure.querySelector('output'), `${value === null ? 'not measured' : format(value)} · ${parts.join(' · ')}`);
    }
  }
}
