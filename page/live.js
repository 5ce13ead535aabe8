// The wire to the coordinator: server-sent events, and what happens when they stop. A lost stream is tried again after half a
// second, then ever more seldom, at once when the machine is back on a network. A coordinator without a stream (a run
// that is only read from its directory) is asked for its status now and then.

import { ask } from './text.js';

const FIRST_MS = 500;
const LONGEST_MS = 30000;
const DISK_MS = 10000;

export class Live {
  // on: { open() before each stream, status(status), round(row), event(event), state(word) }
  constructor(on) {
    this.on = on;
    this.failures = 0;
    this.timer = 0;
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
    if (this.status.live) {
      this.listen();
    } else {
      this.failures = 0;
      if (this.status.state !== 'finished') this.again(DISK_MS);
    }
  }

  listen() {
    const source = new EventSource('api/v1/stream');
    source.onopen = () => {
      this.failures = 0;
      this.say();
    };
    source.onerror = () => {
      source.close();
      this.lost();
    };
    source.addEventListener('status', (message) => this.take(JSON.parse(message.data)));
    source.addEventListener('round', (message) => this.on.round(JSON.parse(message.data)));
    source.addEventListener('event', (message) => this.on.event(JSON.parse(message.data)));
  }

  take(status) {
    this.status = status;
    this.on.status(status);
    this.say();
  }

  say() {
    const { live, state } = this.status;
    this.on.state(state === 'finished' ? 'finished' : live ? 'live' : 'disk');
  }

  // A coordinator whose run is finished may end; the page stays as it is.
  lost() {
    if (this.status?.state === 'finished') {
      this.on.state('finished');
      this.again(LONGEST_MS);
      return;
    }
    const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.failures);
    this.failures++;
    this.on.state('reconnecting');
    this.again(wait * (0.75 + Math.random() / 2));
  }
}
