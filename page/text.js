// Numbers and times in words, and the few lines of DOM that every part of the page needs. Nothing here ever reads HTML from
// the network: what comes in becomes text.

export const byId = (id) => document.getElementById(id);

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

const NARROW = '\u202f'; // no line ends here, and no number is cut

export function count(n) {
  return isNumber(n) ? String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, NARROW) : '–';
}

export function plural(n, word, words = word + 's') {
  return `${count(n)} ${n === 1 ? word : words}`;
}

export function percent(share, digits = 2) {
  return isNumber(share) ? `${(share * 100).toFixed(digits)}${NARROW}%` : '–';
}

export function loss(value) {
  if (!isNumber(value)) return '–';
  const size = Math.abs(value);
  return size === 0 || (size >= 1e-4 && size < 1e5) ? String(+value.toPrecision(4)) : value.toExponential(2);
}

const scaled = (value, unit) => `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}${NARROW}${unit}`;

export function bytes(n) {
  if (!isNumber(n)) return '–';
  if (n < 1000) return `${Math.round(n)}${NARROW}B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  for (n /= 1000; n >= 999.5 && i < units.length - 1; n /= 1000) i++;
  return scaled(n, units[i]);
}

export function seconds(s) {
  if (!isNumber(s)) return '–';
  if (s > 0 && s < 0.9995) return `${(s * 1000).toFixed(s < 0.00995 ? 1 : 0)}${NARROW}ms`;
  if (s > 0 && s < 9.95) return `${s.toFixed(1)}${NARROW}s`;
  s = Math.round(s);
  if (s < 60) return `${s}${NARROW}s`;
  const two = (a, unit, b, small) => `${a}${NARROW}${unit}${b > 0 ? `\u00a0${b}${NARROW}${small}` : ''}`;
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  const minutes = Math.round(s / 60);
  if (minutes < 1440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(s / 3600);
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

// One unit is enough for a forecast.
export function roughly(s) {
  if (s < 90) return `${Math.ceil(s)}${NARROW}s`;
  if (s < 5400) return `${Math.round(s / 60)}${NARROW}min`;
  return s < 129600 ? `${Math.round(s / 3600)}${NARROW}h` : `${Math.round(s / 86400)}${NARROW}d`;
}

export const ago = (s) => (!isNumber(s) ? 'never' : s < 2 ? 'now' : `${seconds(Math.round(s))} ago`);

// The same day needs no date.
export function at(s, now = Date.now()) {
  const then = new Date(s * 1000);
  const two = (n) => String(n).padStart(2, '0');
  const time = `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  if (new Date(now).toDateString() === then.toDateString()) return time;
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())} ${time}`;
}

// "quarantine_over" and "bad-seal" are names for programs.
export const words = (name) => String(name).replace(/[_-]+/g, ' ');

// The JSON of a path, null where there is nothing; an error holds the coordinator's own sentence.
export async function ask(path, signal) {
  const answer = await fetch(path, { headers: { Accept: 'application/json' }, cache: 'no-store', signal });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    const error = new Error(said.error || `${path}: ${answer.status}`);
    error.status = answer.status;
    throw error;
  }
  return answer.status === 204 ? null : answer.json();
}

export const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Calls back when a section comes into view and says whether it is there now.
export function whileSeen(node, callback) {
  let seen = false;
  new IntersectionObserver((entries) => {
    const before = seen;
    seen = entries[entries.length - 1].isIntersecting;
    if (seen && !before) callback();
  }, { rootMargin: '200px' }).observe(node);
  return () => seen && document.visibilityState === 'visible';
}
