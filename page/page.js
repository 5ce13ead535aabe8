// The page of a run: what the coordinator tells goes to the parts that show it.

import { byId, say } from './text.js';
import { Clients } from './clients.js';
import { Curves } from './curves.js';
import { Events } from './events.js';
import { Live } from './live.js';
import { Now } from './now.js';
import { Partition } from './partition.js';
import { Rounds } from './rounds.js';

const STATES = {
  live: 'live',
  reconnecting: 'reconnecting',
  finished: 'finished',
  disk: 'from disk',
};

const rounds = new Rounds();
const now = new Now(rounds);
const curves = new Curves(rounds);
const clients = new Clients();
const partition = new Partition();
const events = new Events();

function shown() {
  now.showTotals();
  curves.changed();
}

let loading = null; // one request at a time
let again = false; // what is on its way may be older than what was missed meanwhile

function loadRounds() {
  const { best, rollbacks } = now.status;
  const wanted = [best?.round, rollbacks?.last?.round].filter((round) => round > 0);
  again = loading !== null;
  loading ??= rounds.load(wanted).then(shown).finally(() => {
    loading = null;
    return again ? loadRounds() : undefined;
  });
  return loading;
}

// What the stream has not told soon, or told before we listened, is asked for; a stream that broke is opened again anyhow.
const LATE_MS = 300;
let late = 0;
let setbacks = null;

function catchUp(status) {
  const back = status.rollbacks?.count ?? 0;
  const taken = setbacks !== null && back !== setbacks;
  setbacks = back;
  if (rounds.patch(status.recent ?? [])) shown();
  if (late !== 0 || (!taken && status.round <= rounds.last)) return;
  late = setTimeout(() => {
    late = 0;
    if (taken || status.round > rounds.last) loadRounds().catch(() => {});
  }, LATE_MS);
}

new Live({
  status(status) {
    now.show(status);
    clients.live = Boolean(status.live);
    if (rounds.length > 0) catchUp(status);
  },
  state(word) {
    byId('connection').dataset.state = word;
    say(byId('connection-word'), STATES[word]);
  },
  open: () => Promise.all([loadRounds(), events.load(), clients.load(), partition.load()]),
  listening: () => events.load(), // what happened since they were loaded is not told by the stream
  round(row) {
    if (rounds.add(row)) shown();
    else loadRounds().catch(() => {});
  },
  event: (event) => events.add(event),
});
