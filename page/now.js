// The first section: where the run stands, in figures and in one sentence.

import { byId, bytes, count, loss, percent, plural, roughly, say, seconds } from './text.js';

const SPOKEN_MS = 10000; // who listens instead of looking is not talked over
const PHASES = {
  idle: 'between rounds',
  pick: 'picking clients',
  broadcast: 'sealing the model for its clients',
  aggregate: 'all are in: taking the mean',
  commit: 'storing the new model',
  rollback: 'taking back what was committed last',
};

// The middle one of the last rounds, so that one late client does not change the forecast.
function pace(recent) {
  const times = recent.filter((row) => row.clients > 0 && row.seconds > 0).map((row) => row.seconds).sort((a, b) => a - b);
  return times.length > 0 ? times[times.length >> 1] : null;
}

function phaseWords(status) {
  const live = status.live;
  if (!live) {
    const words = {
      new: 'Nothing was committed yet.',
      finished: 'The run is finished.',
      unfinished: `The run is not finished. This is what its directory holds; a coordinator goes on with round ${count(status.round + 1)}.`,
    };
    return words[status.state] ?? words.unfinished;
  }
  if (live.phase === 'finished') return 'The run is finished.';
  if (live.phase === 'stopped') return 'The coordinator has stopped.';
  const round = `Round ${count(live.round)}`;
  if (live.phase === 'collect') return `${round}: ${count(live.admitted)} of ${plural(live.picked, 'client')} answered`;
  if (live.waits_for) return `${round}: ${live.waits_for}`;
  if (live.phase === 'idle' && live.nodes_online === 0) return `${round}: waiting for clients, none is here`;
  return `${round}: ${PHASES[live.phase] ?? live.phase}`;
}

export class Now {
  constructor(rounds) {
    this.rounds = rounds;
    this.status = null;
    this.heard = 0; // when the deadline was told
    this.spokenAt = -SPOKEN_MS;
    this.spokenRound = null;
    setInterval(() => this.status?.live && this.showPhase(), 1000);
  }

  show(status) {
    this.status = status;
    this.heard = performance.now();
    const name = status.name || 'a run without a name';
    say(byId('name'), name);
    const of = status.rounds ? ` of ${count(status.rounds)}` : '';
    document.title = `${count(status.round)}${status.rounds ? '/' + count(status.rounds) : ''} · ${name} · fedavg`;
    say(byId('round'), count(status.round));
    say(byId('rounds'), status.target_round ? `target reached in round ${count(status.target_round)}` : of.trim());
    this.showRunBar(status, of);
    this.showScores(status);
    this.showPhase();
    this.showFoot(status);
    this.speak(status);
  }

  showRunBar(status, of) {
    const bar = byId('run-bar');
    const rounds = status.state === 'finished' ? status.round : status.rounds || 0;
    bar.setAttribute('aria-valuemax', String(Math.max(rounds, 1)));
    bar.setAttribute('aria-valuenow', String(Math.min(status.round, rounds)));
    bar.setAttribute('aria-valuetext', `${count(status.round)}${of} rounds`);
    bar.firstElementChild.style.transform = `scaleX(${rounds > 0 ? Math.min(1, status.round / rounds) : 0})`;
  }

  showScores(status) {
    const best = status.best?.round ?? null;
    const scored = status.accuracy !== null || status.loss === null; // a model of numbers has a loss alone
    byId('accuracy').parentElement.hidden = !scored;
    say(byId('accuracy'), percent(status.accuracy));
    say(byId('best'), best !== null ? `best ${percent(status.best.accuracy)} in round\u00a0${count(best)}` : '');
    say(byId('loss'), loss(status.loss));
    const where = scored || best === null ? 'on the test data' : `on the test data, least in round\u00a0${count(best)}`;
    const back = status.rollbacks?.count ?? 0;
    say(byId('loss-aside'), back > 0 ? `taken back ${plural(back, 'time')}, last in round\u00a0${count(status.rollbacks.last.round)}` : where);
    const one = pace(status.recent ?? []);
    const left = status.live && status.rounds > status.round ? status.rounds - status.round : 0;
    say(byId('pace'), one === null ? '' : `${seconds(one)} a round${left > 0 ? `, at most ${roughly(one * left)} left` : ''}`);
    const alarm = byId('alarm');
    alarm.hidden = !status.alarm;
    say(alarm, status.alarm ?? '');
  }

  // What the whole run has cost stands in its last round.
  showTotals() {
    if (this.rounds.length === 0) return;
    const last = this.rounds.at(this.rounds.length - 1);
    say(byId('time'), seconds(last.seconds_total));
    say(byId('traffic'), bytes(last.bytes_total));
    say(byId('traffic-aside'), last.clients > 0 ? `${bytes((last.bytes_down + last.bytes_up) / last.clients)} a client and round` : '');
  }

  showPhase() {
    const { status } = this;
    const live = status.live;
    say(byId('phase'), phaseWords(status));
    const collecting = Boolean(live && live.picked > 0 && ['collect', 'aggregate', 'commit'].includes(live.phase));
    byId('cohort').hidden = !collecting;
    if (collecting) this.showCohort(live);
    say(byId('phase-aside'), live ? this.asides(status, live).join(' · ') : '');
  }

  showCohort(live) {
    const bar = byId('cohort');
    bar.setAttribute('aria-valuemax', String(live.picked));
    bar.setAttribute('aria-valuenow', String(live.admitted));
    bar.setAttribute('aria-valuetext', `${live.admitted} of ${live.picked} answered`);
    bar.firstElementChild.style.transform = `scaleX(${Math.min(1, live.admitted / live.picked)})`;
    bar.style.setProperty('--quorum', `${Math.min(100, (100 * live.quorum) / live.picked)}%`);
    bar.style.setProperty('--cell', live.picked <= 100 ? `${100 / live.picked}%` : '200%');
  }

  asides(status, live) {
    const parts = [];
    const idle = ['idle', 'finished', 'stopped'].includes(live.phase);
    if (!idle && live.picked > 0) {
      parts.push(`${plural(live.quorum, 'answer')} needed`, `${count(live.outstanding)} outstanding`);
      if (live.deadline_s !== null && live.deadline_s !== undefined) {
        const left = Math.max(0, live.deadline_s - (performance.now() - this.heard) / 1000);
        parts.push(left > 0 ? `deadline in ${seconds(Math.ceil(left))}` : 'deadline passed');
      }
    }
    if (live.attempt > 1) parts.push(`attempt ${count(live.attempt)}`);
    if (status.attempts_failed > 0) parts.push(`${plural(status.attempts_failed, 'attempt')} of this round failed`);
    parts.push(`${count(live.nodes_online)} of ${plural(live.nodes, 'node')} online`);
    return parts;
  }

  showFoot(status) {
    say(byId('run-id'), status.run_id);
    say(byId('exact'), status.reproducible ? 'exact: the same task, seed and answers give the same bits' : 'not reproducible: inexact arithmetic took part');
    byId('model-file').hidden = !status.model;
    say(byId('model-digest'), status.model ?? '');
  }

  speak(status) {
    if (this.spokenRound === null) this.spokenRound = status.round;
    const now = performance.now();
    const done = status.state === 'finished';
    if (status.round === this.spokenRound || (now - this.spokenAt < SPOKEN_MS && !done)) return;
    this.spokenRound = status.round;
    this.spokenAt = now;
    const score = status.accuracy === null ? `loss ${loss(status.loss)}` : `accuracy ${percent(status.accuracy)}`;
    say(byId('spoken'), `Round ${status.round} is committed, ${score}.${done ? ' The run is finished.' : ''}`);
  }
}
