/** One indicator: its value, its line over time, and the thresholds it must stay below. */
import { drawing, element, format } from './elements.mjs';

const width = 300;
const height = 80;

/** The severity of a value: that of the highest threshold below it. */
export function level(value, thresholds) {
  if (value === null || value === undefined) return 'idle';
  return thresholds.filter(one => value > one.value).at(-1)?.severity ?? 'good';
}

/** @param series `{title, unit, thresholds, values}`; `values` and `times` (ms) of the same length, `null` for no value. */
export function tile({ id, title, unit, thresholds, values }, times) {
  const write = format[unit];
  const now = values.at(-1) ?? null;
  const known = values.filter(value => value !== null);
  const top = thresholds.at(-1)?.value ?? 0;
  const most = Math.max(top, ...known, unit === 'count' || unit === 'rate' ? 1 : 0) * 1.12;
  const limits = thresholds.map(one => `${one.severity} above ${write(one.value)}`).join(', ');
  const told = now === null ? 'nothing to measure' : write(now);
  const highest = known.length ? `, at most ${write(Math.max(...known))}` : '';
  return element('section', { class: 'tile', id: `tile-${id}`, 'data-level': thresholds.length ? level(now, thresholds) : 'idle' },
    element('h3', {}, title),
    element('p', { class: 'value' }, now === null ? '–' : write(now)),
    element('small', {}, limits || (known.length ? `at most ${write(Math.max(...known))}` : ' ')),
    drawing('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img',
      'aria-label': `${title}: ${told}${highest}${limits && `; ${limits}`}` },
      ...lines(values, times, most),
      ...thresholds.map(one => drawing('line', { class: `limit ${one.severity}`, x1: 0, x2: width, ...level2y(one.value, most) })),
      drawing('line', { class: 'base', x1: 0, x2: width, y1: height - .5, y2: height - .5 })),
    element('small', { class: 'ends', 'aria-hidden': 'true' },
      element('span', {}, times.length ? format.ago(times[0]) : ''), element('span', {}, 'now')));
}

/** A line at zero is seen, too. */
const place = (value, most) => Math.round((height - 1.5 - value / most * (height - 1.5)) * 10) / 10;
const level2y = (value, most) => ({ y1: place(value, most), y2: place(value, most) });

/** A line, with what lies under it, for each run of points without a hole. */
function lines(values, times, most) {
  const first = times[0];
  const span = Math.max(1, times.at(-1) - first);
  const found = [];
  let run = [];
  const end = () => {
    if (run.length === 1) run.push([Math.min(width, run[0][0] + 1), run[0][1]]);
    if (run.length) {
      const points = run.map(point => point.join(',')).join(' ');
      found.push(
        drawing('polygon', { class: 'area', points: `${run[0][0]},${height} ${points} ${run.at(-1)[0]},${height}` }),
        drawing('polyline', { class: 'line', points }));
    }
    run = [];
  };
  values.forEach((value, index) => {
    if (value === null) end();
    else run.push([Math.round((times[index] - first) / span * width * 10) / 10, place(value, most)]);
  });
  end();
  return found;
}
