// Runs of the real programs for the page to show: started in a directory of their own, killed and removed at the end.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill } from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { check, PATIENCE } from './browser.mjs';

const BIN = process.env.FEDAVG_BIN ?? fileURLToPath(new URL('../../build/release/bin', import.meta.url));
export const WARDS = fileURLToPath(new URL('../../deploy/tasks/wards.yaml', import.meta.url)); // small, and its data are in the tree
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

  // To the nodes of a simulation: SIGSTOP holds the run where it is.
  signalNodes(signal) {
    const ids = readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8').trim().split(' ');
    const nodes = ids.filter((id) => readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('fedavg-client'));
    check(nodes.length > 0, 'the simulation has no nodes');
    nodes.forEach((id) => kill(Number(id), signal));
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.gone;
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
  async simulate(name, ...settings) {
    const set = ['server.http=127.0.0.1:0', ...settings].flatMap((setting) => ['--set', setting]);
    const process = this.start('simulate', WARDS, '--json', '--run-dir', this.at(name), ...set);
    return { process, url: (await process.event((event) => event.event === 'page', 'its page')).url };
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
