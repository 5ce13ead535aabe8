// Everything that the page can show, over a coordinator that is made up (mock.mjs).

import { check, equal, LONG, main, View } from './browser.mjs';
import { faint, small, unnamed, wide } from './look.mjs';
import { Mock } from './mock.mjs';

const FULL = { taken: [60, 61], alarm: 'disk: run.db cannot be written: No space left on device; free some, the round waits' };

// Opens a page of a mock, tries it and closes both, whatever happens.
async function scene(options, act, { allowed = null, ...view } = {}) {
  const mock = await new Mock(options).listen();
  try {
    const seen = await View.open(mock.url, view);
    await act(seen, mock);
    await seen.close(allowed);
  } finally {
    await mock.close();
  }
}

async function the_page_says_where_the_run_stands() {
  await scene({ rounds: 120 }, async (view, mock) => {
    const { accuracy, loss, best } = mock.status();
    equal(await view.text('#name'), 'mnist-2nn-noniid', 'name');
    equal(await view.text('#round'), '120', 'round');
    equal(await view.text('#rounds'), 'of 1 000', 'rounds');
    equal(await view.text('#accuracy'), `${(accuracy * 100).toFixed(2)} %`, 'accuracy');
    equal(await view.text('#best'), `best ${(best.accuracy * 100).toFixed(2)} % in round ${best.round}`, 'best');
    equal(await view.text('#loss'), String(+loss.toPrecision(4)), 'loss');
    equal(await view.text('#traffic'), '1.91 GB', 'traffic');
    equal(await view.text('#phase'), 'Round 121: 7 of 10 clients answered', 'phase');
    check(/8 answers needed · 3 outstanding · deadline in [1-9] min \d+ s · 10 of 12 nodes online/.test(await view.text('#phase-aside')), await view.text('#phase-aside'));
    equal(await view.text('#connection-word'), 'live', 'connection');
    equal(await view.page.title(), '120/1\u202f000 · mnist-2nn-noniid · fedavg', 'title');
    equal(await view.page.locator('#cohort').getAttribute('aria-valuetext'), '7 of 10 answered', 'the bar in words');
  });
}

async function what_happens_is_shown_without_a_reload() {
  await scene({ rounds: 120 }, async (view, mock) => {
    await view.page.evaluate(() => { window.sameDocument = true; });
    for (let i = 1; i <= 3; i++) {
      mock.admitted = i;
      mock.commit();
      await view.until((round) => document.getElementById('round').textContent === round, `round ${120 + i}`, String(120 + i));
    }
    await view.shows('#phase', 'Round 124: 3 of 10 clients answered');
    await view.shows('#event-list li:first-child .text', 'round 123 of attempt 1, 10 clients');
    await view.until(() => document.querySelector('#chart-loss output').textContent.includes('round 123'), 'the curve of round 123');
    check(await view.page.locator('#whole').isHidden(), 'the chart shows a part of the run only');
    check(/^Round 12[123] is committed, accuracy 9/.test(await view.page.locator('#spoken').textContent()), 'nobody told who listens');
    check(await view.page.evaluate(() => window.sameDocument), 'the page was loaded again');
  });
}

async function an_evaluation_that_comes_late_is_filled_in() {
  await scene({ rounds: 20 }, async (view, mock) => {
    const row = mock.row(21);
    mock.rows.push(row);
    mock.tell('round', { ...row, accuracy: null, loss: null });
    mock.tell('round', { ...row, accuracy: 0.8765 });
    await view.until(() => document.querySelector('#chart-accuracy output').textContent.startsWith('87.65'), 'the evaluation of round 21');
  });
}

async function rounds_that_were_missed_are_asked_for() {
  await scene({ rounds: 20 }, async (view, mock) => {
    for (let i = 21; i <= 25; i++) mock.rows.push(mock.row(i));
    mock.tell('round', mock.rows[25]);
    await view.until(() => document.querySelector('#chart-loss output').textContent.includes('round 25'), 'round 25');
    mock.rows.push(mock.row(26)); // and one that only the status tells
    mock.tell('status', mock.status());
    await view.until(() => document.querySelector('#chart-loss output').textContent.includes('round 26'), 'round 26');
  });
}

// Between the list of events and the stream there is a moment in which nobody is told.
async function what_happens_before_the_stream_opens_is_shown() {
  const mock = new Mock({ rounds: 20 });
  const { handle } = mock;
  mock.handle = (request, response) => {
    if (request.url === '/api/v1/stream') mock.events.unshift({ at: 1760009000, kind: 'joined', text: 'ward-9 in between' });
    handle.call(mock, request, response);
  };
  await mock.listen();
  try {
    const view = await View.open(mock.url);
    await view.shows('#event-list li:first-child .text', 'ward-9 in between');
    await view.close();
  } finally {
    await mock.close();
  }
}

// The answer on its way is older than the gap that the stream has told of meanwhile.
async function rounds_that_were_missed_while_others_are_asked_for_are_asked_for_again() {
  await scene({ rounds: 20 }, async (view, mock) => {
    const { handle } = mock;
    const asked = new Promise((resolve) => {
      mock.handle = (request, response) => {
        if (!request.url.startsWith('/api/v1/rounds')) return handle.call(mock, request, response);
        mock.handle = handle;
        const old = JSON.stringify(mock.answer('/api/v1/rounds', new URLSearchParams()));
        return resolve(() => response.writeHead(200, { 'Content-Type': 'application/json' }).end(old));
      };
    });
    mock.rows.push(mock.row(21), mock.row(22));
    mock.tell('round', mock.rows[22]);
    const answer = await asked;
    mock.rows.push(mock.row(23), mock.row(24));
    mock.tell('round', mock.rows[24]);
    mock.tell('event', { at: 1760009000, kind: 'joined', text: 'ward-9, after the round' });
    await view.shows('#event-list li:first-child .text', 'ward-9, after the round');
    answer();
    await view.until(() => document.querySelector('#chart-loss output').textContent.includes('round 24'), 'round 24');
  });
}

async function a_coordinator_that_is_gone_is_waited_for() {
  await scene({ rounds: 50 }, async (view, mock) => {
    const port = Number(new URL(mock.url).port);
    await view.page.evaluate(() => { window.sameDocument = true; });
    await mock.close();
    await view.until(() => document.getElementById('connection-word').textContent === 'reconnecting', 'the loss');
    equal(await view.text('#round'), '50', 'what was known stays');
    mock.rows.push(mock.row(51), mock.row(52));
    await mock.listen(port);
    await view.until(() => document.getElementById('connection-word').textContent === 'live', 'the coordinator');
    await view.until(() => document.getElementById('round').textContent === '52', 'what happened meanwhile');
    check(await view.page.evaluate(() => window.sameDocument), 'the page was loaded again');
  }, { allowed: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/ });
}

async function who_is_refused_a_stream_tries_ever_more_seldom() {
  await scene({ rounds: 5 }, async (view, mock) => {
    const tries = () => mock.asked.filter((path) => path === '/api/v1/stream').length;
    await view.page.clock.install();
    mock.full = true;
    mock.hangUp();
    await view.until(() => document.getElementById('connection-word').textContent === 'reconnecting', 'the loss');
    const before = tries();
    for (let i = 0; i < 60; i++) await view.page.clock.runFor(2000); // two minutes
    const made = tries() - before;
    check(made >= 4 && made <= 14, `${made} tries in two minutes`);
    mock.full = false;
    await view.page.clock.runFor(60000);
    await view.until(() => document.getElementById('connection-word').textContent === 'live', 'the stream');
  }, { allowed: /503|ERR_INCOMPLETE_CHUNKED/ });
}

// The connection stands, and nobody is at its other end.
async function a_stream_that_fell_silent_is_opened_anew() {
  await scene({ rounds: 5 }, async (view, mock) => {
    const tries = () => mock.asked.filter((path) => path === '/api/v1/stream').length;
    await view.page.clock.install();
    mock.commit(); // from now on the page's timers are of this clock
    await view.until(() => document.getElementById('round').textContent === '6', 'round 6');
    const before = tries();
    await view.page.clock.runFor(60000);
    equal(tries(), before, 'streams within a minute');
    await view.page.clock.runFor(20000);
    await view.until(() => document.getElementById('connection-word').textContent === 'live', 'the stream');
    equal(tries(), before + 1, 'streams after it was silent for long');
  });
}

async function an_end_is_told_from_a_loss() {
  await scene({ live: false, state: 'finished', rounds: 156 }, async (view, mock) => {
    equal(await view.text('#connection-word'), 'finished', 'connection');
    equal(await view.text('#phase'), 'The run is finished.', 'phase');
    check(!mock.asked.includes('/api/v1/stream'), 'a finished run has no news');
    await view.shoot('finished');
  });
  await scene({ live: false, state: 'unfinished', simulated: 0 }, async (view) => {
    equal(await view.text('#connection-word'), 'from disk', 'connection');
    check((await view.text('#phase')).includes('a coordinator goes on with round 121'), await view.text('#phase'));
    check(await view.page.locator('#partition').isHidden(), 'a partition of a run that has none');
  });
  await scene({ rounds: 30, total: 30 }, async (view, mock) => {
    mock.hangUp();
    await mock.close();
    await view.until(() => document.getElementById('connection-word').textContent === 'finished', 'the end');
    await mock.listen();
  }, { allowed: /ERR_/ });
}

async function alarms_and_setbacks_are_seen() {
  await scene(FULL, async (view) => {
    equal(await view.text('#alarm'), FULL.alarm, 'alarm');
    equal(await view.page.locator('#alarm').getAttribute('role'), 'alert', 'its role');
    equal(await view.text('#loss-aside'), 'taken back 2 times, last in round 62', 'setbacks');
    equal(await view.text('#key-cross'), '× taken back', 'crosses');
    check((await view.text('#event-list')).includes('rollback'), 'no event');
    check((await view.text('#client-table')).includes('in quarantine until'), 'no quarantine');
    check((await view.text('#client-table')).includes('2 too large, 2 late') || (await view.text('#client-table')).includes('2 late'), 'no reasons');
  });
}

async function curves_have_three_axes_and_two_scales() {
  await scene(FULL, async (view, mock) => {
    const output = view.page.locator('#chart-loss output');
    const chart = view.page.locator('#chart-loss .chart');
    for (const axis of ['bytes', 'seconds', 'round']) {
      await view.page.locator(`input[value=${axis}]`).check({ force: true });
      await chart.focus();
      await chart.press('Home');
      check((await output.textContent()).includes('round 0'), `${axis}: ${await output.textContent()}`);
      await chart.press('End');
      await chart.press('ArrowLeft');
      check((await output.textContent()).includes('round 119'), `${axis}: ${await output.textContent()}`);
    }
    await view.page.locator('input[value=log]').check({ force: true });
    await chart.focus();
    await chart.press('Home');
    for (let i = 0; i < 60; i++) await chart.press('ArrowRight');
    check((await output.textContent()).includes('taken back'), `round 60: ${await output.textContent()}`);
    await view.page.reload();
    await view.until(() => document.querySelector('input[value=log]').checked, 'the choice of the last time');
    const box = await view.page.locator('#chart-loss .u-over').boundingBox();
    await view.page.mouse.move(box.x + box.width * 0.3, box.y + 50);
    await view.page.mouse.down();
    await view.page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await view.page.mouse.up();
    const under = await output.textContent();
    mock.commit(); // what is looked at stays
    await view.until(() => document.querySelector('#chart-loss .chart').ariaLabel.includes('over 121 rounds'), 'the curve of round 121');
    equal(await output.textContent(), under, 'under the pointer');
    await view.page.mouse.move(5, 5);
    mock.commit();
    await view.until(() => document.querySelector('#chart-loss output').textContent.includes('round 122'), 'the curve of round 122');
    await view.page.locator('#whole').click();
    check(await view.page.locator('#whole').isHidden(), 'still a part of the run');
    await view.shoot('curves', { fullPage: false });
  });
}

async function clients_are_paged_sorted_and_found() {
  await scene({ clients: 10000 }, async (view, mock) => {
    const first = () => view.text('#client-table tbody tr:first-child td:first-child');
    await view.page.locator('#clients').scrollIntoViewIfNeeded();
    await view.until(() => document.querySelectorAll('#client-table tbody tr').length === 25, 'a page of rows');
    equal(await view.text('#page-of'), '1 – 25 of 10 000', 'pager');
    await view.page.locator('#after').click();
    await view.until(() => document.getElementById('page-of').textContent.startsWith('26'), 'the second page');
    await view.page.locator('button[data-sort=rounds]').click();
    await view.until(() => document.getElementById('page-of').textContent.startsWith('1 '), 'the first page');
    const most = Math.max(...mock.nodes.map((node) => node.rounds_served));
    equal(await view.text('#client-table tbody tr:first-child td:nth-child(6)'), String(most), 'most rounds first');
    equal(await view.page.locator('th:has(button[data-sort=rounds])').getAttribute('aria-sort'), 'descending', 'the order in words');
    await view.page.locator('#find').fill('ward-777');
    await view.until(() => document.getElementById('client-count').textContent.startsWith('11 nodes match'), 'what is found');
    check((await first()).startsWith('ward-777'), await first());
    await view.page.locator('#find').fill('<b>');
    await view.until(() => document.getElementById('client-count').textContent.startsWith('0 '), 'nothing');
  });
}

async function the_partition_has_numbers() {
  await scene({}, async (view, mock) => {
    const { counts, clients } = mock.partitionAnswer();
    const heat = view.page.locator('#heat');
    await heat.scrollIntoViewIfNeeded();
    check((await view.text('#partition-summary')).startsWith('100 clients: each has 600 examples and knows 1 to '), await view.text('#partition-summary'));
    await heat.focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown']) await heat.press(key);
    const n = counts[1][1];
    equal(await view.text('#heat-cell'), `client ${clients[1]}, label 1: ${n} example${n === 1 ? '' : 's'}, ${Math.round(n / 6)} % of its 600`, 'a cell');
    const box = await view.page.locator('#heat canvas').boundingBox();
    await view.page.mouse.move(box.x + box.width - 3, box.y + 5);
    check((await view.text('#heat-cell')).startsWith('client 99, label 0'), await view.text('#heat-cell'));
    await view.page.locator('#label-details summary').click();
    const sum = counts.reduce((all, row) => all + row[3], 0);
    equal(await view.text('#label-table tbody tr:nth-child(4) td'), String(sum).replace(/\B(?=(\d{3})+$)/g, ' '), 'examples of label 3');
  });
}

async function it_fits_and_can_be_read_at_any_width_in_light_and_dark() {
  for (const width of LONG ? [360, 700, 1000, 1400] : [360, 1400]) {
    for (const dark of LONG ? [false, true] : [width === 360]) {
      await scene({ ...FULL, rounds: 1234, clients: 40, total: 20000 }, async (view) => {
        const what = `${width} ${dark ? 'dark' : 'light'}`;
        await view.page.locator('footer summary').click();
        await view.page.locator('#label-details summary').click();
        await view.until(() => document.querySelectorAll('#client-table tbody tr').length > 0 && document.querySelectorAll('.uplot').length === 2, 'all of it');
        await view.shoot(what.replace(' ', '-'));
        for (const [name, look] of Object.entries({ wide, faint, unnamed, ...(width === 360 ? { small } : {}) })) {
          const found = await view.page.evaluate(look);
          check(found.length === 0, `${what}: ${name}: ${found.join('; ')}`);
        }
      }, { width, dark, height: width < 500 ? 740 : 900 });
    }
  }
}

async function keys_reach_everything_and_show_where_they_are() {
  await scene({ clients: 40 }, async (view) => {
    const reached = [];
    await view.page.locator('#clients').scrollIntoViewIfNeeded();
    await view.until(() => document.querySelectorAll('#client-table tbody tr').length === 25, 'rows');
    await view.page.evaluate(() => window.scrollTo(0, 0));
    for (let i = 0; i < 60; i++) {
      await view.page.keyboard.press('Tab');
      const [at, framed] = await view.page.evaluate(() => {
        const node = document.activeElement;
        const marked = node.matches('fieldset input') ? node.nextElementSibling : node;
        return [node.id || node.getAttribute('href') || node.className || node.dataset.sort || node.tagName, getComputedStyle(marked).outlineStyle];
      });
      if (at === 'BODY') break;
      check(framed !== 'none', `nothing shows that the keys are at ${at}`);
      reached.push(at);
    }
    for (const wanted of ['#now', '#curves', 'chart', 'find', 'after', 'heat', 'event-more', 'api/v1/model', 'api/v1/rounds.csv', 'SUMMARY']) {
      check(reached.includes(wanted), `no key reaches ${wanted}: ${reached.join(' ')}`);
    }
  });
}

async function what_peers_write_stays_text() {
  const mock = await new Mock({ clients: 3, alarm: '<script>window.hurt = 1</script>' }).listen();
  const bad = '"><img src=x onerror="window.hurt = 1"><b>ward';
  mock.nodes[0].name = bad;
  mock.nodes[1].refusals = { '<b>reason</b>': 1 };
  mock.events.unshift({ at: 1760000000, kind: '<i>kind</i>', text: bad });
  try {
    const view = await View.open(mock.url);
    await view.page.locator('#clients').scrollIntoViewIfNeeded();
    await view.until(() => document.querySelectorAll('#client-table tbody tr').length === 3, 'rows');
    equal(await view.text('#client-table tbody tr:first-child td:first-child'), bad, 'the name');
    equal(await view.page.evaluate(() => document.querySelectorAll('main img, main b:not(figcaption b), main i:not(#cohort i), main script').length + (window.hurt ?? 0)), 0, 'elements made of text');
    await view.close();
  } finally {
    await mock.close();
  }
}

async function a_model_of_numbers_has_a_loss_alone() {
  const mock = new Mock({ rounds: 30 });
  mock.rows.forEach((row) => { row.accuracy = null; });
  await mock.listen();
  try {
    const view = await View.open(mock.url);
    await view.until(() => document.querySelector('#chart-loss .uplot') !== null, 'a chart');
    check(await view.page.locator('#accuracy').isHidden() && await view.page.locator('#chart-accuracy').isHidden(), 'an accuracy that there is not');
    await view.close();
  } finally {
    await mock.close();
  }
}

async function a_long_run_is_thinned_out_but_not_of_its_best_round() {
  const mock = new Mock({ rounds: 4321 });
  mock.rows[1234].accuracy = 0.9999;
  await mock.listen();
  try {
    const view = await View.open(mock.url);
    const chart = view.page.locator('#chart-accuracy .chart');
    await view.until(() => document.querySelector('#chart-accuracy .chart').ariaLabel?.includes('round'), 'the curve in words');
    const words = await chart.getAttribute('aria-label');
    check(words.includes('best 99.99\u202f% in round 1234.'), words);
    await view.close();
  } finally {
    await mock.close();
  }
}

await main([the_page_says_where_the_run_stands, what_happens_is_shown_without_a_reload, a_coordinator_that_is_gone_is_waited_for,
  what_peers_write_stays_text, it_fits_and_can_be_read_at_any_width_in_light_and_dark],
[an_evaluation_that_comes_late_is_filled_in, rounds_that_were_missed_are_asked_for,
  what_happens_before_the_stream_opens_is_shown, rounds_that_were_missed_while_others_are_asked_for_are_asked_for_again, who_is_refused_a_stream_tries_ever_more_seldom,
  a_stream_that_fell_silent_is_opened_anew, an_end_is_told_from_a_loss, alarms_and_setbacks_are_seen, curves_have_three_axes_and_two_scales, clients_are_paged_sorted_and_found,
  the_partition_has_numbers, keys_reach_everything_and_show_where_they_are, a_model_of_numbers_has_a_loss_alone,
  a_long_run_is_thinned_out_but_not_of_its_best_round]);
