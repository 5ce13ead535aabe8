// Runs of the real programs for the page to show: started in a directory of their own, killed and removed at the end.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill } from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { check, PATIENCE } from './browser.mjs';

const BIN = process.env.FEDAVG_BIN ?? fileURLToPath(new URL('../../build/release/bin', import.meta.url));
export const WARDS = fileURLToPath(new URL('../../deploy/tasks/wards.yaml', import.meta.url)); // small, and its data are in the tree
const HELD_NODES = 2;
const ROWS = fileURLToPath(new URL('rows.py', import.meta.url));

// Asks again and again, a breath apart, for what nothing tells.
export async function until(holds, what) {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const found = await holds();
    if (found) return found;
    check(performance.now() < end, `waited in vain for ${what}`);
    await new Promise((go) => setTimeout(go, 20));
  }
}

// A port on which nobody listens, nor on the next.
async function freePair() {
  const listen = (port) => new Promise((done) => {
    const server = createServer().once('error', () => done(null)).listen(port, '127.0.0.1', () => done(server));
  });
  for (;;) {
    const first = await listen(0);
    const { port } = first.address();
    const second = port < 65535 ? await listen(port + 1) : null;
    first.close();
    second?.close();
    if (second) return port;
  }
}

// Of the threads of a process; none: it is gone.
function states(id) {
  try {
    return readdirSync(`/proc/${id}/task`).map((task) => readFileSync(`/proc/${id}/task/${task}/stat`, 'utf8').split(') ').at(-1)[0]);
  } catch {
    return existsSync(`/proc/${id}/task`) ? states(id) : [];
  }
}

const atWork = (id) => states(id).some((state) => !'ZX'.includes(state));

class Process {
  constructor(args) {
    this.events = [];
    this.log = [];
    this.child = spawn(join(BIN, 'fedavg'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.gone = new Promise((done) => this.child.on('close', (code, signal) => done(code ?? signal)));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const event = line.startsWith('{') ? JSON.parse(line) : { event: 'text', line };
      this.events.push({ ...event, heard: performance.now() });
    });
    createInterface({ input: this.child.stderr }).on('line', (line) => this.log.push(line));
  }

  event(holds, what) {
    return until(() => {
      const found = this.events.find(holds);
      check(found || this.child.exitCode === null, `${what}: the program has ended: ${this.log.join(' | ')}`);
      return found;
    }, `${what}: ${this.log.slice(-5).join(' | ')}`);
  }

  // The nodes of a simulation that is held begin to work.
  async releaseNodes() {
    const stopped = () => {
      return this.children().filter((id) => states(id).every((state) => state === 'T'));
    };
    await until(() => stopped().length === HELD_NODES, 'nodes that are stopped');
    stopped().forEach((id) => kill(Number(id), 'SIGCONT'));
  }

  // Whom it started, such as the nodes and the coordinator of a simulation.
  children() {
    try {
      return readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    } catch {
      return []; // it has ended
    }
  }

  // Those whom it started end a moment later, and may be in the middle of a write until then.
  async kill() {
    const children = this.children();
    this.child.kill('SIGKILL');
    await this.gone;
    await until(() => !children.some(atWork), 'the end of those whom it started');
  }
}

export class Runs {
  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'fedavg-page-'));
    this.processes = [];
  }

  start(...args) {
    const process = new Process(args);
    this.processes.push(process);
    return process;
  }

  at(name) {
    return join(this.dir, name);
  }

  // A simulation with its page open: its process and the page's address.
  simulate(name, ...settings) {
    return this.simulateWith([], name, ...settings);
  }

  async simulateWith(more, name, ...settings) {
    const set = ['server.http=127.0.0.1:0', ...settings].flatMap((setting) => ['--set', setting]);
    const process = this.start('simulate', WARDS, '--json', '--run-dir', this.at(name), ...set, ...more);
    return { process, url: (await process.event((event) => event.event === 'page', 'its page')).url };
  }

  // The same, and no node works before releaseNodes(): what starts one stops itself first.
  async simulateHeld(name, ...settings) {
    const held = ['--nodes', String(HELD_NODES), '--launcher', 'sh -c \'kill -STOP $$; exec "$@"\' sh'];
    for (let left = 10; ; left--) {
      try {
        return await this.simulateWith([...held, '--address', `tcp://127.0.0.1:${await freePair()}`], name, ...settings);
      } catch (error) {
        if (left === 0 || !error.message.includes('in use')) throw error; // somebody else was faster
      }
    }
  }

  // The page of a run that is read from its directory.
  async show(name) {
    const process = this.start('show', this.at(name), '--json');
    return { process, url: (await process.event((event) => event.event === 'page', 'its page')).url };
  }

  stored(name) {
    return JSON.parse(execFileSync('python3', ['-B', ROWS, this.at(name)]));
  }

  async close() {
    for (const process of this.processes) await process.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
