// Who has which labels, in a simulation: clients from left to right, labels from top to bottom, the darker the more examples,
// and below it how many examples each client has. The numbers are under the pointer, under the arrow keys and in words.

import { ask, byId, count, make, plural, say, style, whileSeen } from './text.js';

const LEAST_CELL = 4;
const SIZES = 34; // height of the bars of sizes
const GAP = 6;
const FONT = '12px system-ui, sans-serif';

const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const sum = (list) => list.reduce((a, b) => a + b, 0);

export class Partition {
  constructor() {
    this.box = byId('heat');
    this.canvas = this.box.querySelector('canvas');
    this.section = byId('partition');
    this.at = null;
    this.canvas.addEventListener('pointermove', (event) => this.point(event));
    this.canvas.addEventListener('pointerdown', (event) => this.point(event));
    this.canvas.addEventListener('pointerleave', () => this.choose(null));
    this.box.addEventListener('keydown', (event) => this.key(event));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  async load() {
    if (this.data) return;
    const data = await ask('api/v1/partition').catch(() => null);
    if (!data?.clients?.length) return; // not a simulation: nobody knows who has what
    this.data = data;
    this.sizes = this.data.counts.map(sum);
    this.most = Math.max(1, ...this.data.counts.map((row) => Math.max(0, ...row)));
    this.section.hidden = false;
    document.querySelector('nav a[href="#partition"]').hidden = false;
    this.describe();
    this.listLabels();
    new ResizeObserver(() => this.draw()).observe(this.box);
    whileSeen(this.box, () => this.draw());
  }

  describe() {
    const { labels, clients, counts, total_clients: total } = this.data;
    const known = counts.map((row) => row.filter((n) => n > 0).length).sort((a, b) => a - b);
    const sizes = [...this.sizes].sort((a, b) => a - b);
    const range = (list, format) => (list[0] === list[list.length - 1] ? `${format(list[0])}` : `${format(list[0])} to ${format(list[list.length - 1])}`);
    const shown = clients.length < total ? `${count(clients.length)} of ${plural(total, 'client')}, evenly spaced` : plural(total, 'client');
    say(byId('partition-summary'), `${shown}: each has ${range(sizes, count)} examples and knows ${range(known, count)} of ${plural(labels.length, 'label')}` +
      `${known[0] === known[known.length - 1] ? '' : `, half of them ${count(known[known.length >> 1])} or fewer`}.`);
    this.box.setAttribute('aria-label', 'Examples by client and label; arrow keys move from cell to cell');
    say(byId('heat-least'), '0');
    say(byId('heat-most'), count(this.most));
  }

  listLabels() {
    const rows = this.data.labels.map((label, j) => {
      const column = this.data.counts.map((row) => row[j]);
      return make('tr', {}, make('th', { scope: 'row' }, label), make('td', { class: 'n' }, count(sum(column))), make('td', { class: 'n' }, count(column.filter((n) => n > 0).length)));
    });
    byId('label-table').tBodies[0].replaceChildren(...rows);
  }

  // 0 is the ground; the eye sees doublings, so the square root is shown.
  shade(n) {
    if (n === 0) return style('--field');
    const [from, to] = [parse(style('--field')), parse(style('--accent'))];
    const share = 0.15 + 0.85 * Math.sqrt(n / this.most);
    return `rgb(${from.map((a, k) => Math.round(a + (to[k] - a) * share)).join(' ')})`;
  }

  layout() {
    const { labels, clients } = this.data;
    const context = this.canvas.getContext('2d');
    context.font = FONT;
    const gutter = Math.ceil(Math.min(110, Math.max(...['all', ...labels].map((label) => context.measureText(label).width)))) + 10;
    const room = Math.max(this.box.clientWidth - gutter, LEAST_CELL * clients.length);
    const height = labels.length <= 12 ? 20 : labels.length <= 30 ? 13 : 8;
    return { gutter, cell: room / clients.length, height, width: gutter + room, total: height * labels.length + GAP + SIZES + 18 };
  }

  draw() {
    if (!this.data || this.box.clientWidth === 0) return;
    const scale = window.devicePixelRatio || 1;
    const place = this.layout();
    this.place = place;
    this.canvas.width = Math.round(place.width * scale);
    this.canvas.height = Math.round(place.total * scale);
    this.canvas.style.width = `${place.width}px`;
    this.canvas.style.height = `${place.total}px`;
    const context = this.canvas.getContext('2d');
    context.scale(scale, scale);
    context.clearRect(0, 0, place.width, place.total);
    this.drawCells(context, place);
    this.drawSizes(context, place);
    this.drawWords(context, place);
    this.drawKey();
    if (this.at) this.drawFrame(context, place);
  }

  drawCells(context, { gutter, cell, height }) {
    const shades = new Map();
    const gap = cell >= 6 ? 1 : 0;
    this.data.counts.forEach((row, i) => row.forEach((n, j) => {
      if (!shades.has(n)) shades.set(n, this.shade(n));
      context.fillStyle = shades.get(n);
      const left = gutter + i * cell;
      context.fillRect(left, j * height, Math.max(1, cell - gap), height - 1);
    }));
  }

  drawSizes(context, { gutter, cell, height }) {
    const top = this.data.labels.length * height + GAP;
    const most = Math.max(1, ...this.sizes);
    context.fillStyle = style('--edge');
    this.sizes.forEach((n, i) => {
      const tall = Math.max(n > 0 ? 1 : 0, (SIZES * n) / most);
      context.fillRect(gutter + i * cell, top + SIZES - tall, Math.max(1, cell - (cell >= 6 ? 1 : 0)), tall);
    });
  }

  drawWords(context, { gutter, cell, height, width, total }) {
    const { labels, clients } = this.data;
    context.font = FONT;
    context.fillStyle = style('--soft');
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    const every = Math.ceil(14 / height);
    labels.forEach((label, j) => j % every === 0 && context.fillText(label.length > 16 ? `${label.slice(0, 15)}…` : label, gutter - 6, j * height + height / 2));
    context.fillText('all', gutter - 6, labels.length * height + GAP + SIZES / 2);
    context.textBaseline = 'alphabetic';
    context.textAlign = 'left';
    context.fillText(`client ${count(clients[0])}`, gutter, total - 3);
    context.textAlign = 'right';
    if (clients.length > 1 && cell * clients.length > 160) context.fillText(count(clients[clients.length - 1]), width, total - 3);
  }

  drawKey() {
    const canvas = byId('heat-key').querySelector('canvas');
    const context = canvas.getContext('2d');
    for (let x = 0; x < canvas.width; x += 4) {
      context.fillStyle = this.shade(Math.round((this.most * x) / (canvas.width - 4)));
      context.fillRect(x, 0, 4, canvas.height);
    }
  }

  drawFrame(context, { gutter, cell, height }) {
    context.strokeStyle = style('--ink');
    context.lineWidth = 2;
    context.strokeRect(gutter + this.at[0] * cell, this.at[1] * height, cell, height - 1);
  }

  choose(at) {
    if (String(at) === String(this.at)) return;
    this.at = at;
    this.draw();
    if (!at) {
      say(byId('heat-cell'), '');
      return;
    }
    const [i, j] = at;
    const n = this.data.counts[i][j];
    const share = this.sizes[i] > 0 ? `, ${Math.round((100 * n) / this.sizes[i])}\u202f% of its ${count(this.sizes[i])}` : '';
    say(byId('heat-cell'), `client ${count(this.data.clients[i])}, label ${this.data.labels[j]}: ${plural(n, 'example')}${share}`);
  }

  point(event) {
    if (!this.place) return;
    const frame = this.canvas.getBoundingClientRect();
    const i = Math.floor((event.clientX - frame.left - this.place.gutter) / this.place.cell);
    const j = Math.floor((event.clientY - frame.top) / this.place.height);
    const inside = i >= 0 && i < this.data.clients.length && j >= 0 && j < this.data.labels.length;
    this.choose(inside ? [i, j] : null);
  }

  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move || !this.data) return;
    event.preventDefault();
    const [i, j] = this.at ?? [0, 0];
    const within = (n, most) => Math.max(0, Math.min(most - 1, n));
    const to = this.at ? [within(i + move[0], this.data.clients.length), within(j + move[1], this.data.labels.length)] : [0, 0];
    this.choose(to);
    const left = this.place.gutter + to[0] * this.place.cell;
    if (left < this.box.scrollLeft || left > this.box.scrollLeft + this.box.clientWidth - this.place.cell) this.box.scrollLeft = left - this.box.clientWidth / 2;
  }
}
