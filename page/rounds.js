// The rounds as columns, as the API gives them: down-sampled history, and each new round as it is committed.

import { ask } from './text.js';

export const POINTS = 1000; // a chart has fewer pixels

export class Rounds {
  constructor() {
    this.columns = { round: [] };
  }

  get length() {
    return this.columns.round.length;
  }

  get last() {
    return this.length > 0 ? this.columns.round[this.length - 1] : -1;
  }

  at(i) {
    const row = {};
    for (const [name, column] of Object.entries(this.columns)) row[name] = column[i];
    return row;
  }

  // wanted: rounds that are told apart from the others, and so must not be left out.
  async load(wanted = []) {
    this.columns = (await ask(`api/v1/rounds?points=${POINTS}`)).columns;
    for (const round of wanted) {
      if (round > this.last || this.find(round) >= 0) continue;
      const one = (await ask(`api/v1/rounds?from=${round}&to=${round}`)).columns;
      const i = this.columns.round.findIndex((other) => other > round);
      for (const [name, column] of Object.entries(this.columns)) column.splice(i, 0, one[name][0]);
    }
  }

  // False: rounds are missing in between, or there are more than a chart wants: load anew.
  add(row) {
    if (row.round <= this.last) {
      this.patch([row]);
      return true;
    }
    if (row.round !== this.last + 1 || this.length >= 3 * POINTS) return false;
    for (const [name, column] of Object.entries(this.columns)) column.push(row[name] ?? null);
    return true;
  }

  // What became known of rounds after their commit, such as an evaluation. True: something did.
  patch(rows) {
    let changed = false;
    for (const row of rows) {
      const i = this.find(row.round);
      if (i < 0) continue;
      for (const [name, column] of Object.entries(this.columns)) {
        if (name in row && column[i] !== row[name]) {
          column[i] = row[name];
          changed = true;
        }
      }
    }
    return changed;
  }

  find(round) {
    const list = this.columns.round;
    let low = 0;
    let high = list.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] < round) low = middle + 1;
      else high = middle;
    }
    return list[low] === round ? low : -1;
  }
}
