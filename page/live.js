// The wire to the coordinator: server-sent events, and what happens when they stop. A lost stream is tried again after half a
// second, then ever more seldom, and at once when the machine is back on a network or somebody looks again.

import { ask } from './text.js';

const FIRST_MS = 500;
const LONGEST_MS = 30000;
const SILENT_MS = 70000; // a coordinator says something every 15 s: the line is dead, as after a sleep or behind a proxy

// A run that has come to its end; the coordinator leaves soon after.
const isOver = (status) => status.state === 'finished' || Boolean(status.target_round) || (status.rounds > 0 && status.round >= status.rounds);

export class Live {
  // on: { open() before each stream, listening() once it is open, status(status), round(row), event(event), state(word) }
  constructor(on) {
    this.on = on;
    this.failures = 0;
    this.timer = 0;
    this.silence = 0;
    this.status = null;
    window.addEventListener('online', () => this.now());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.now());
    this.connect();
  }

  // Those who wait for the next try need not.
  now() {
    if (this.timer === 0) return;
    clearTimeout(this.timer);
    this.timer = 0;
    this.connect();
  }

  again(after) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.connect();
    }, after);
  }

  async connect() {
    try {
      this.take(await ask('api/v1/status'));
      await this.on.open();
    } catch {
      this.lost();
      return;
    }
    // A finished run that is read from its directory tells nothing new.
    if (this.status.live || this.status.state !== 'finished') {
      this.listen();
    } else {
      this.failures = 0;
      this.say();
    }
  }

  listen() {
    const source = new EventSource('api/v1/stream');
    const broken = () => {
      clearTimeout(this.silence);
      source.close();
      this.lost();
    };
    const heard = () => {
      clearTimeout(this.silence);
      this.silence = setTimeout(broken, SILENT_MS);
    };
    heard();
    source.onopen = () => {
      heard();
      this.failures = 0;
      this.on.listening();
      this.say();
    };
    source.onerror = broken;
    for (const kind of ['status', 'round', 'event', 'alive']) source.addEventListener(kind, heard);
    source.addEventListener('status', (message) => {
      this.take(JSON.parse(message.data));
      this.say();
    });
    source.addEventListener('round', (message) => this.on.round(JSON.parse(message.data)));
    source.addEventListener('event', (message) => this.on.event(JSON.parse(message.data)));
  }

  take(status) {
    this.status = status;
    this.on.status(status);
  }

  say() {
    const { live, state } = this.status;
    this.on.state(state === 'finished' ? 'finished' : live ? 'live' : 'disk');
  }

  lost() {
    const over = this.status !== null && isOver(this.status);
    const wait = over ? LONGEST_MS : Math.min(LONGEST_MS, FIRST_MS * 2 ** this.failures);
    this.failures++;
    this.on.state(over ? 'finished' : 'reconnecting');
    this.again(wait * (0.75 + Math.random() / 2));
  }
}
