// The table of those who take part: one page of rows at a time, sorted and searched by the coordinator.

import { ago, ask, at, byId, count, make, plural, say, seconds, whileSeen, words } from './text.js';

const ROWS = 25;
const FRESH_MS = 5000; // how often the rows that are looked at are asked for again
const TYPING_MS = 200;
const SHOWN = 16; // digits of a fingerprint; the pointer shows all

function hosts(node) {
  if (!node.clients) return '–';
  const last = node.first_client + node.clients - 1;
  return node.clients === 1 ? count(node.first_client) : `${count(node.first_client)} – ${count(last)}`;
}

const reasons = (refusals) => Object.entries(refusals ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${count(n)} ${words(reason)}`).join(', ');

function refusalsCell(node) {
  const cell = make('td', { class: 'refused' });
  if (node.quarantined_until) {
    const until = at(node.quarantined_until);
    cell.append(make('span', { class: 'held' }, `in quarantine until ${until}${node.reason ? `: ${words(node.reason)}` : ''}`));
  }
  const refused = reasons(node.refusals);
  if (refused !== '' && !node.quarantined_until) cell.dataset.label = 'Refused';
  cell.append(refused);
  return cell;
}

function row(node) {
  const fingerprint = node.fingerprint ?? '';
  const long = fingerprint.length > SHOWN;
  const short = make('code', long ? { title: fingerprint } : {}, long ? `${fingerprint.slice(0, SHOWN)}…` : fingerprint);
  const cell = (label, text) => make('td', { class: 'n', 'data-label': label }, text);
  return make('tr', node.online === false ? { class: 'away' } : {},
    make('td', {}, node.name),
    make('td', {}, short),
    cell('Hosts', hosts(node)),
    cell('Seen', node.online ? 'online' : node.online === false ? ago(node.last_seen_s) : '–'),
    cell('Examples', count(node.examples)),
    cell('Rounds', count(node.rounds_served)),
    cell('Update takes', seconds(node.seconds_per_update)),
    refusalsCell(node));
}

export class Clients {
  constructor() {
    this.body = byId('client-table').tBodies[0];
    this.sort = 'name';
    this.offset = 0;
    this.total = 0;
    this.asking = null;
    this.typing = 0;
    this.seen = whileSeen(byId('clients'), () => this.load());
    for (const button of document.querySelectorAll('#client-table th button')) {
      button.addEventListener('click', () => this.sortBy(button.dataset.sort));
    }
    byId('find').addEventListener('input', () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.go(0), TYPING_MS);
    });
    byId('client-search').addEventListener('submit', (event) => event.preventDefault());
    byId('before').addEventListener('click', () => this.go(this.offset - ROWS));
    byId('after').addEventListener('click', () => this.go(this.offset + ROWS));
    setInterval(() => this.live && this.seen() && this.load(), FRESH_MS);
    this.showSort();
  }

  sortBy(sort) {
    this.sort = sort;
    this.showSort();
    this.go(0);
  }

  // The coordinator sorts names upwards and the rest by what is looked for first: most, or latest.
  showSort() {
    for (const button of document.querySelectorAll('#client-table th button')) {
      const mine = button.dataset.sort === this.sort;
      if (mine) button.parentElement.setAttribute('aria-sort', this.sort === 'name' ? 'ascending' : 'descending');
      else button.parentElement.removeAttribute('aria-sort');
    }
  }

  go(offset) {
    this.offset = Math.max(0, offset);
    return this.load();
  }

  async load() {
    this.asking?.abort();
    this.asking = new AbortController();
    const find = byId('find').value.trim();
    const query = new URLSearchParams({ offset: this.offset, limit: ROWS, sort: this.sort, ...(find ? { find } : {}) });
    try {
      this.show(await ask(`api/v1/nodes?${query}`, this.asking.signal), find);
    } catch (error) {
      if (error.name !== 'AbortError') say(byId('client-count'), error.status ? error.message : 'not known: the coordinator does not answer');
    }
  }

  show({ total, offset, nodes, strangers }, find) {
    if (nodes.length === 0 && total > 0 && offset > 0) {
      this.go(Math.floor((total - 1) / ROWS) * ROWS);
      return;
    }
    this.total = total;
    this.offset = offset;
    this.body.replaceChildren(...nodes.map(row));
    const refused = reasons(strangers);
    say(byId('strangers'), refused === '' ? '' : `Strangers were refused: ${refused}.`);
    say(byId('client-count'), find ? `${plural(total, 'node matches', 'nodes match')}` : plural(total, 'node'));
    byId('pager').hidden = total <= ROWS;
    byId('before').disabled = offset === 0;
    byId('after').disabled = offset + nodes.length >= total;
    say(byId('page-of'), `${count(offset + 1)} – ${count(offset + nodes.length)} of ${count(total)}`);
  }
}
