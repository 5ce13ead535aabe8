// What the tests of the page share: Debian's Chromium driven by playwright-core, a page that is watched while it is open, and
// claims that are tried one after the other as in tests/house.

import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export const PATIENCE = Number(process.env.FEDAVG_PATIENCE ?? 300) * 1000; // a busy machine must not fail a test
export const LONG = process.env.FEDAVG_LONG === '1';
const SHOTS = process.env.FEDAVG_SHOTS; // a folder that receives what was seen
const SKIPPED = 77;

export class Failed extends Error {}

export function check(holds, text) {
  if (!holds) throw new Failed(text);
}

export function equal(found, expected, what) {
  check(found === expected, `${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

function skip(text) {
  console.log(`skipped: ${text}`);
  process.exit(SKIPPED);
}

function driver() {
  try {
    return createRequire(import.meta.url)('playwright-core').chromium;
  } catch {
    return skip('page: playwright-core is missing: deploy/get-page --test fetches it');
  }
}

async function launch() {
  const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  const chromium = driver();
  if (!program) skip('page: there is no chromium: deploy/install-deps --develop installs it');
  // Only pages of ours are opened, and containers often allow no sandbox within.
  return chromium.launch({ executablePath: program, args: ['--no-sandbox'], timeout: PATIENCE });
}

let browser = null;

// A page in a browser profile of its own. What goes wrong in it is found by close().
export class View {
  static async open(url, { width = 1400, height = 900, dark = false, init = null, ready = true } = {}) {
    const view = new View();
    view.origin = new URL(url).origin;
    view.context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', acceptDownloads: true });
    view.page = await view.context.newPage();
    view.page.setDefaultTimeout(PATIENCE);
    view.wrong = [];
    view.asked = [];
    view.bytes = 0;
    view.page.on('console', (message) => ['error', 'warning'].includes(message.type()) && view.wrong.push(`console: ${message.text()}`));
    view.page.on('pageerror', (error) => view.wrong.push(`error: ${error.message}`));
    view.page.on('request', (request) => view.asked.push(request.url()));
    if (init) await view.page.addInitScript(init);
    await view.page.goto(url);
    if (ready) await view.until(() => document.getElementById('connection-word').textContent !== 'connecting', 'the coordinator');
    return view;
  }

  // Waits until a function of the page holds.
  async until(holds, what, argument) {
    try {
      return await this.page.waitForFunction(holds, argument, { polling: 20, timeout: PATIENCE });
    } catch (error) {
      throw new Failed(`waited in vain for ${what}: ${error.message.split('\n')[0]}; seen: ${await this.text('main')}`);
    }
  }

  async text(selector) {
    return (await this.page.locator(selector).first().innerText()).replace(/[\u202f\u00a0]/g, ' ');
  }

  // What arrives by several messages is not there at once.
  async shows(selector, expected) {
    const same = ([where, text]) => document.querySelector(where)?.innerText.replace(/[\u202f\u00a0]/g, ' ') === text;
    await this.until(same, `${JSON.stringify(expected)} in ${selector}`, [selector, expected]);
  }

  async shoot(name, options = {}) {
    if (!SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true, ...options });
  }

  // allowed: of what a lost coordinator makes the browser say.
  async close(allowed = null) {
    const wrong = this.wrong.filter((line) => !allowed?.test(line));
    const strange = this.asked.filter((url) => !url.startsWith(`${this.origin}/`) && !url.startsWith('data:'));
    await this.context.close();
    check(wrong.length === 0, `the browser says ${wrong.join('; ')}`);
    check(strange.length === 0, `the page asks ${strange.join(', ')}`);
  }
}

// Runs each claim (a function whose name reads as one) and says how it went; those of `more` with FEDAVG_LONG=1, or by name.
export async function main(claims, more = []) {
  const named = process.argv.slice(2);
  const chosen = named.length > 0 ? [...claims, ...more].filter((claim) => named.includes(claim.name)) : [...claims, ...(LONG ? more : [])];
  let failures = 0;
  browser = await launch();
  for (const claim of chosen) {
    const started = performance.now();
    let verdict = 'holds';
    try {
      await claim();
    } catch (error) {
      failures++;
      verdict = `FAILED: ${error instanceof Failed ? error.message : error.stack}`;
    }
    console.log(`${claim.name} (${((performance.now() - started) / 1000).toFixed(1)} s): ${verdict}`);
  }
  await browser.close();
  process.exit(failures > 0 ? 1 : 0);
}
