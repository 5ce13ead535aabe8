// A coordinator made up for the page: the files of page/ and the interface under api/v1 with the headers that the real one
// sends, over a run of any size. What a real run shows rarely (an alarm, a round taken back, ten thousand clients) is set here.
// By hand: `node tests/page/mock.mjs [PORT [ROUNDS [CLIENTS]]]` commits a round a second.

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = new URL('../../page/', import.meta.url);
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', txt: 'text/plain' };
const MODEL = '5a9e'.repeat(16);

// The same every time.
function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function asset(path) {
  const name = path === '/' ? 'index.html' : path.slice(1);
  if (!/^[A-Za-z.]+$/.test(name)) return null;
  try {
    const place = name.startsWith('uPlot') ? `node_modules/uplot/dist/${name}` : name;
    return { type: TYPES[name.split('.').pop()], body: readFileSync(new URL(place, PAGE)) };
  } catch {
    return null;
  }
}

export class Mock {
  constructor({ rounds = 120, clients = 12, total = 1000, live = true, state = 'collect', alarm = null, taken = [], simulated = 100 } = {}) {
    Object.assign(this, { total, live, state, alarm, taken, simulated, clients });
    this.streams = new Set();
    this.asked = [];
    this.rows = [];
    this.events = [];
    this.random = chance(7);
    for (let i = 0; i <= rounds; i++) this.rows.push(this.row(i));
    for (let i = 0; i < Math.min(rounds, 60); i++) this.events.unshift({ at: 1760000000 + i * 31, kind: 'committed', text: `round ${i + 1} of attempt 1, 10 clients` });
    for (const round of taken) this.events.unshift({ at: 1760005000 + round, kind: 'rollback', text: `round ${round} is taken back: loss 4.12 against 0.31` });
    this.nodes = Array.from({ length: clients }, (_, i) => this.node(i));
    this.admitted = 7;
  }

  row(i) {
    const wave = this.random() - 0.5;
    const before = this.rows[i - 1];
    const back = this.taken.includes(i);
    const seconds = i === 0 ? 0 : 2.4 + this.random();
    return {
      round: i, accuracy: back ? 0.31 : i === 0 ? 0.098 : 0.985 - 0.62 * Math.exp(-i / 28) + 0.02 * wave * Math.exp(-i / 300),
      loss: back ? 4.12 : i === 0 ? 2.31 : 0.055 + 1.6 * Math.exp(-i / 24) * (1 + 0.3 * wave), seconds, train_seconds: seconds * 0.8,
      bytes_down: i === 0 ? 0 : 7969160, bytes_up: i === 0 ? 0 : 7970720, clients: i === 0 ? 0 : 10, weight: i === 0 ? 0 : 6000,
      seconds_total: (before?.seconds_total ?? 0) + seconds, bytes_total: (before?.bytes_total ?? 0) + (i === 0 ? 0 : 15939880), rolled_back: back,
    };
  }

  node(i) {
    const reasons = ['not_finite', 'too_large', 'late', 'bad_seal'];
    const held = i % 11 === 5;
    return {
      name: `ward-${i}`, fingerprint: (0x9e3779b97f4a7c15n * BigInt(i + 1)).toString(16).slice(-16).repeat(2), first_client: i * 7, clients: i % 3 === 0 ? 1 : 7,
      online: i % 5 !== 4, last_seen_s: i % 13 === 12 ? null : i * 3.7, examples: 600 + ((i * 131) % 900), rounds_served: (i * 17) % 120,
      seconds_per_update: 0.8 + (i % 9) / 7, refusals: i % 4 === 1 ? { [reasons[i % 4]]: 1 + (i % 6), late: 2 } : {},
      quarantined_until: held ? 1760009000 : null, reason: held ? 'too_large' : null,
    };
  }

  status() {
    const last = this.rows[this.rows.length - 1];
    const standing = this.rows.filter((row) => row.round > 0 && !row.rolled_back);
    const best = standing.reduce((a, b) => (a && a.accuracy >= b.accuracy ? a : b), null);
    return {
      name: 'mnist-2nn-noniid', run_id: '0f4c'.repeat(8), state: this.state, round: last.round, rounds: this.total, attempt: 1, clients: last.clients,
      reproducible: true, accuracy: last.accuracy, loss: last.loss, best: { round: best?.round ?? null, accuracy: best?.accuracy ?? null },
      target_round: null, model: MODEL, refusals: {}, attempts_failed: 0,
      rollbacks: { count: this.taken.length, in_a_row: 0, last: this.taken.length > 0 ? { round: this.taken[this.taken.length - 1] + 1, to_round: 1, reason: 'loss', loss: 4.12, reference: 0.3 } : null },
      quarantined: [], recent: this.rows.slice(-10), alarm: this.alarm,
      live: this.live ? { phase: this.state, round: last.round + 1, attempt: 1, picked: 10, admitted: this.admitted, outstanding: 10 - this.admitted, goal: 10, quorum: 8,
        deadline_s: 552, nodes_online: this.nodes.filter((node) => node.online).length, nodes: this.nodes.length } : null,
    };
  }

  // First, last and evenly between.
  roundsAnswer(query) {
    const most = Number(query.get('points') ?? 1000);
    const rows = this.rows.slice(Number(query.get('from') ?? 0), Number(query.get('to') ?? this.rows.length) + 1);
    const n = rows.length;
    const chosen = n <= most ? rows : Array.from({ length: most }, (_, i) => rows[Math.round((i * (n - 1)) / (most - 1))]);
    const columns = Object.fromEntries(Object.keys(this.rows[0]).map((key) => [key, chosen.map((row) => row[key])]));
    return { from: chosen[0].round, to: chosen[chosen.length - 1].round, last: this.rows.length - 1, columns };
  }

  nodesAnswer(query) {
    const find = query.get('find') ?? '';
    const by = { name: () => 0, last_seen: (a, b) => (a.last_seen_s ?? 1e9) - (b.last_seen_s ?? 1e9), rounds: (a, b) => b.rounds_served - a.rounds_served,
      refusals: (a, b) => Object.keys(b.refusals).length - Object.keys(a.refusals).length };
    const found = this.nodes.filter((node) => node.name.includes(find)).sort(by[query.get('sort')] ?? by.name);
    const offset = Number(query.get('offset'));
    return { total: found.length, offset, nodes: found.slice(offset, offset + Math.min(200, Number(query.get('limit')))) };
  }

  partitionAnswer() {
    const random = chance(3);
    const clients = Array.from({ length: this.simulated }, (_, i) => i);
    const counts = clients.map(() => {
      const row = new Array(10).fill(0);
      for (let shard = 0; shard < 2; shard++) {
        const label = Math.floor(random() * 10);
        const cut = random() < 0.25 ? Math.floor(random() * 300) : 300;
        row[label] += cut;
        row[(label + 1) % 10] += 300 - cut;
      }
      return row;
    });
    return { labels: [...'0123456789'], clients, counts, total_clients: clients.length };
  }

  answer(path, query) {
    switch (path) {
    case '/api/v1/status': return this.status();
    case '/api/v1/rounds': return this.roundsAnswer(query);
    case '/api/v1/nodes': return this.nodesAnswer(query);
    case '/api/v1/events': return { events: this.events.slice(0, 200) };
    case '/api/v1/partition': return this.simulated > 0 ? this.partitionAnswer() : null;
    default: return null;
    }
  }

  handle(request, response) {
    const url = new URL(request.url, 'http://x');
    this.asked.push(url.pathname);
    const headers = { 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };
    if (url.pathname === '/api/v1/stream' && this.full) {
      response.writeHead(503, headers).end('{"error":"16 streams are open"}');
      return;
    }
    if (url.pathname === '/api/v1/stream') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
      this.streams.add(response);
      request.on('close', () => this.streams.delete(response));
      return;
    }
    const file = asset(url.pathname);
    const json = file ? null : this.answer(url.pathname, url.searchParams);
    if (!file && url.pathname === '/api/v1/partition' && this.simulated === 0) response.writeHead(204, headers).end();
    else if (file) response.writeHead(200, { ...headers, 'Content-Type': `${file.type}; charset=utf-8` }).end(file.body);
    else if (json) response.writeHead(200, { ...headers, 'Content-Type': 'application/json' }).end(JSON.stringify(json));
    else response.writeHead(404, { ...headers, 'Content-Type': 'application/json' }).end('{"error":"there is nothing of this name"}');
  }

  tell(event, data) {
    for (const stream of this.streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  commit() {
    this.rows.push(this.row(this.rows.length));
    const last = this.rows[this.rows.length - 1];
    this.events.unshift({ at: Date.now() / 1000, kind: 'committed', text: `round ${last.round} of attempt 1, 10 clients` });
    this.tell('round', last);
    this.tell('status', this.status());
    this.tell('event', this.events[0]);
  }

  hangUp() {
    for (const stream of this.streams) stream.destroy();
  }

  async listen(port = 0) {
    this.server = createServer((request, response) => this.handle(request, response));
    await new Promise((ready) => this.server.listen(port, '127.0.0.1', ready));
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
    return this;
  }

  // Also of those connections that a browser keeps.
  async close() {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port = 5680, rounds = 120, clients = 12] = process.argv.slice(2).map(Number);
  const mock = await new Mock({ rounds, clients }).listen(port);
  setInterval(() => {
    mock.admitted = (mock.admitted + 3) % 11;
    mock.commit();
  }, 1000);
  console.log(mock.url);
}
