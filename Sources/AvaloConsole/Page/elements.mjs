/** Elements, and how numbers and times are written. */

/** `element('td', { class: 'tight' }, 'text', other)`; members of `on…` are listeners. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(one, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) one.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) one.setAttribute(key, value === true ? '' : value);
  }
  one.append(...children.filter(child => child !== undefined && child !== null));
  return one;
}

/**
 * A table. `columns` are titles, or `[title, kind]` with the cell's class: `number`, `tight`.
 * `rows` are lists of texts and elements.
 */
export function table(caption, columns, rows) {
  const kinds = columns.map(column => Array.isArray(column) ? column[1] : undefined);
  const head = columns.map((column, place) =>
    element('th', { scope: 'col', class: kinds[place] }, Array.isArray(column) ? column[0] : column));
  const body = rows.map(row => element('tr', {}, ...row.map((cell, place) =>
    element('td', { class: kinds[place] }, cell ?? '–'))));
  return element('table', {}, element('caption', {}, caption), element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body));
}

/** A word with a coloured dot: the word alone says it, too. */
export function mark(level, text) {
  return element('span', { class: 'mark', 'data-level': level }, text);
}

/** A link to a view with what is looked for there. */
export function link(view, params, text) {
  return element('a', { href: `#${view}?${new URLSearchParams(params)}` }, text);
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const number = value => (Math.abs(value) < 100 ? fine : whole).format(value);

/** `1 device`, `2 devices`. */
export const counted = (count, word) => `${whole.format(count)} ${word}${count === 1 ? '' : 's'}`;

export const format = {
  share: value => `${value > 0 && value < .001 ? '< 0.1' : number(value * 100)} %`,
  seconds: value => value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`,
  count: value => whole.format(value),
  rate: value => `${number(value)} /s`,
  bytes(value) {
    for (const unit of ['B', 'KiB', 'MiB']) {
      if (value < 1024) return `${number(value)} ${unit}`;
      value /= 1024;
    }
    return `${number(value)} GiB`;
  },
  /** `12 s`, `3 min`, `5 h`, `2 d`. */
  span(seconds) {
    if (seconds < 120) return `${Math.max(0, Math.floor(seconds))} s`;
    if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
    return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
  },
  ago: milliseconds => milliseconds ? `${format.span((Date.now() - milliseconds) / 1000)} ago` : 'never',
  /** `2026-01-31 12:34:56.789`, local time. */
  time(milliseconds) {
    if (!milliseconds) return '–';
    const local = new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60_000);
    return local.toISOString().replace('T', ' ').replace('Z', '');
  },
};
