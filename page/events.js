// What happened, newest first.

import { ask, at, byId, make, words } from './text.js';

const KEPT = 200;
const FIRST = 12;
const GRAVE = new Set(['abandoned', 'rollback', 'quarantine', 'refused', 'alarm']);

const name = (event) => `${event.at} ${event.kind} ${event.text}`;

function line(event) {
  const time = make('time', { datetime: new Date(event.at * 1000).toISOString() }, at(event.at));
  return make('li', GRAVE.has(event.kind) ? { class: 'grave' } : {}, time, make('span', { class: 'kind' }, words(event.kind)), make('span', { class: 'text' }, event.text));
}

export class Events {
  constructor() {
    this.list = byId('event-list');
    this.events = [];
    this.told = []; // since they were asked for last
    this.all = false;
    this.drawing = 0;
    byId('event-more').addEventListener('click', () => {
      this.all = true;
      this.draw();
    });
  }

  // What the stream tells while the answer is on its way may be in it, or newer than it.
  async load() {
    this.told = [];
    try {
      const { events } = await ask(`api/v1/events?limit=${KEPT}`);
      const known = new Set(events.map(name));
      this.events = [...this.told.filter((event) => !known.has(name(event))), ...events].slice(0, KEPT);
      this.draw();
    } catch {
      // the stream tells those that come
    }
  }

  add(event) {
    this.told.unshift(event);
    this.told.length = Math.min(this.told.length, KEPT);
    this.events.unshift(event);
    this.events.length = Math.min(this.events.length, KEPT);
    if (this.drawing === 0) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    const shown = this.all ? this.events : this.events.slice(0, FIRST);
    this.list.replaceChildren(...shown.map(line));
    byId('event-none').hidden = this.events.length > 0;
    byId('event-more').hidden = shown.length === this.events.length;
  }
}
