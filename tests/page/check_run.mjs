// The page of real runs: at work, killed, finished. What it says is held against run.db, read by Python.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { check, equal, LONG, main, View } from './browser.mjs';
import { Runs, until } from './run.mjs';

const SOON_MS = 1000; // what a commit may take to the page

async function scene(act) {
  const runs = new Runs();
  try {
    await act(runs);
  } finally {
    await runs.close();
  }
}

const shownRound = (view) => view.page.evaluate(() => Number(document.getElementById('round').textContent.replace(/\D/g, '')));
const percent = (share) => `${(share * 100).toFixed(2)} %`;
const loss = (value) => String(+value.toPrecision(4));

// Each round along the curve, by the keys that a person has, against its row.
async function compareCurve(view, rows) {
  const chart = view.page.locator('#chart-accuracy .chart');
  await view.until((round) => document.querySelector('#chart-accuracy .chart').ariaLabel?.includes(`over ${round} round`), 'the whole curve', rows.length - 1);
  await chart.focus();
  await chart.press('Home');
  let seconds = 0;
  for (const row of rows) {
    seconds += row.seconds ?? 0;
    const [first, second] = [await view.text('#chart-accuracy output'), await view.text('#chart-loss output')];
    check(first.startsWith(`${row.accuracy === null ? 'not measured' : percent(row.accuracy)} · round ${row.round} · `), `round ${row.round}: ${first}, stored is ${row.accuracy}`);
    check(second.startsWith(`${row.loss === null ? 'not measured' : loss(row.loss)} · round ${row.round} · `), `round ${row.round}: ${second}, stored is ${row.loss}`);
    await chart.press('ArrowRight');
  }
  return seconds;
}

async function compareFigures(view, stored) {
  const { rounds } = stored;
  const last = rounds[rounds.length - 1];
  const measured = rounds.filter((row) => row.accuracy !== null);
  const best = measured.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  await view.shows('#round', String(last.round));
  await view.shows('#accuracy', percent(measured[measured.length - 1].accuracy));
  await view.shows('#loss', loss(measured[measured.length - 1].loss));
  await view.shows('#best', `best ${percent(best.accuracy)} in round ${best.round}`);
  await view.shows('#run-id', stored.run_id);
  await view.shows('#model-digest', last.model.toLowerCase());
  const bytes = rounds.reduce((sum, row) => sum + row.bytes, 0);
  await until(async () => {
    const [number, unit] = (await view.text('#traffic')).split(' ');
    const shown = Number(number) * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit];
    return Math.abs(shown - bytes) <= bytes * 0.01;
  }, `a traffic of ${bytes}`);
}

async function a_run_is_followed_while_it_goes_on() {
  await scene(async (runs) => {
    const { process, url } = await runs.simulate('run', 'algorithm.rounds=1000000', 'algorithm.epochs=60');
    await process.event((event) => event.event === 'round' && event.round >= 2, 'two rounds');
    const view = await View.open(url);
    await view.page.evaluate(() => { window.sameDocument = true; });
    const times = [];
    for (let i = 0; i < (LONG ? 20 : 3); i++) {
      const { round } = process.events.filter((event) => event.event === 'round').at(-1);
      const told = await process.event((event) => event.event === 'round' && event.round > round, 'one more round');
      await view.until((least) => Number(document.getElementById('round').textContent.replace(/\D/g, '')) >= least, `round ${told.round}`, told.round);
      times.push(Math.max(0, performance.now() - told.heard));
    }
    times.sort((a, b) => a - b);
    console.log(`a commit is on the page after ${Math.round(times[times.length >> 1])} ms, at most ${Math.round(times.at(-1))} ms (bar: ${SOON_MS} ms)`);
    check(!LONG || times[times.length >> 1] <= SOON_MS, 'commits come too late');
    equal(await view.text('#connection-word'), 'live', 'connection');
    check(await view.page.evaluate(() => window.sameDocument), 'the page was loaded again');
    await process.kill();
    await view.until(() => document.getElementById('connection-word').textContent === 'reconnecting', 'the loss');
    const seen = await shownRound(view);
    await view.close(/ERR_/);

    const stored = runs.stored('run');
    check(stored.rounds.at(-1).round >= seen, `the page showed round ${seen}, stored is ${stored.rounds.at(-1).round}`);
    const shown = await View.open((await runs.show('run')).url);
    equal(await shown.text('#connection-word'), 'from disk', 'connection');
    await compareFigures(shown, stored);
    await shown.close();
  });
}

async function a_finished_run_is_shown_from_its_directory() {
  await scene(async (runs) => {
    const { process } = await runs.simulate('run', `algorithm.rounds=${LONG ? 40 : 8}`);
    equal(await process.gone, 0, `exit code: ${process.log.join(' | ')}`);
    const stored = runs.stored('run');
    const { url } = await runs.show('run');
    const view = await View.open(url);
    equal(await view.text('#connection-word'), 'finished', 'connection');
    await compareFigures(view, stored);
    await compareCurve(view, stored.rounds);
    await view.page.locator('#clients').scrollIntoViewIfNeeded();
    await view.until((n) => document.querySelectorAll('#client-table tbody tr').length === n, 'the nodes', Object.keys(stored.nodes).length);
    for (const [name, rounds] of Object.entries(stored.nodes)) {
      const row = view.page.locator('#client-table tbody tr', { hasText: name });
      equal((await row.locator('td').nth(5).innerText()).trim(), String(rounds), `rounds of ${name}`);
    }
    await comparePartition(view);
    await compareFiles(view, runs, stored);
    await view.shoot('real-finished');
    await view.close();
  });
}

async function a_run_that_ends_is_seen_to_its_end() {
  await scene(async (runs) => {
    const { process, url } = await runs.simulateHeld('run', 'algorithm.rounds=12');
    const view = await View.open(url);
    await view.until(() => document.getElementById('connection-word').textContent === 'live', 'the stream');
    await process.releaseNodes();
    equal(await process.gone, 0, `exit code: ${process.log.join(' | ')}`);
    await view.until(() => document.getElementById('connection-word').textContent === 'finished', 'the end');
    await view.shows('#phase', 'The run is finished.');
    await compareFigures(view, runs.stored('run'));
    await view.until(() => document.getElementById('event-list').innerText.includes('finished'), 'the event');
    await view.close(/ERR_/);
  });
}

// Each label of the rows of data, counted by whoever can read a table.
function countLabels() {
  const [head, ...rows] = readFileSync(new URL('../../deploy/tasks/wards-train.csv', import.meta.url), 'utf8').trim().split(/\r?\n/).map((line) => line.split(','));
  const [label, group] = [head.indexOf('outcome'), head.indexOf('ward')];
  const labels = new Map();
  rows.forEach((row) => labels.set(row[label], (labels.get(row[label]) ?? 0) + 1));
  return { labels, groups: new Set(rows.map((row) => row[group])).size };
}

async function comparePartition(view) {
  const { labels, groups } = countLabels();
  check((await view.text('#partition-summary')).startsWith(`${groups} clients: `), await view.text('#partition-summary'));
  await view.page.locator('#label-details summary').click();
  for (const [label, n] of labels) {
    const row = view.page.locator('#label-table tbody tr', { has: view.page.locator('th', { hasText: label }) });
    equal((await row.locator('td').first().innerText()).replace(/\D/g, ''), String(n), `examples of ${label}`);
  }
}

// What the links give is what the directory holds.
async function compareFiles(view, runs, stored) {
  const last = stored.rounds.at(-1);
  const fetched = async (link) => {
    const [download] = await Promise.all([view.page.waitForEvent('download'), view.page.locator(`#files a[href="${link}"]`).click()]);
    return readFileSync(await download.path());
  };
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  equal(digest(await fetched('api/v1/model')), digest(readFileSync(runs.at(`run/model-${last.round}.safetensors`))), 'the model');
  const lines = (await fetched('api/v1/rounds.csv')).toString().trim().split('\n');
  equal(lines.length, stored.rounds.length + 1, 'lines of the CSV');
  equal(lines.at(-1).split(',')[0], String(last.round), 'its last line');
  for (const link of ['api/v1/openapi.json', 'metrics', 'licences.txt']) {
    const answer = await until(() => view.page.request.get(new URL(link, view.page.url()).href), link);
    equal(answer.status(), 200, link);
  }
}

await main([a_run_is_followed_while_it_goes_on, a_run_that_ends_is_seen_to_its_end, a_finished_run_is_shown_from_its_directory]);
