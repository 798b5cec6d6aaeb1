/** The indicators and the workers, live. */
import { ask } from './ask.mjs';
import { tile } from './chart.mjs';
import { element, format, mark, table } from './elements.mjs';

/** An hour of points, as the worker keeps it. */
const pointsMax = 720;

/** What was told until now; a later answer adds to it. */
export class Overview {
  times = [];
  indicators = [];
  status = null;
  usage = {};

  async refresh() {
    const answer = await ask('overview', { since: this.times.at(-1) });
    // Another answer may have come meanwhile.
    const last = this.times.at(-1) ?? 0;
    const isNew = answer.times.map(time => time > last);
    this.times = [...this.times, ...answer.times.filter((_, place) => isNew[place])].slice(-pointsMax);
    this.indicators = answer.indicators.map((one, row) => ({
      ...one,
      values: [...this.indicators[row]?.values ?? [], ...one.values.filter((_, place) => isNew[place])].slice(-pointsMax),
    }));
    this.status = answer.status;
    this.usage = answer.usage;
  }

  /** The service's state in a word or two, and how bad it is. */
  get state() {
    if (!this.status) return { level: 'idle', text: '', line: '' };
    const { ready, state, status: line, version } = this.status;
    const level = !ready ? 'bad' : this.missing.length ? 'warn' : 'good';
    return { level, text: `avalod ${version}: ${ready ? 'ready' : `not ready (${state})`}`, line: line ?? '' };
  }

  /** Instances that should serve and do not. */
  get missing() {
    return (this.status?.workers ?? []).flatMap(({ name, required, instances }) => instances
      .filter(({ role, state }) => role === 'serving' && !['ready', 'reloading'].includes(state))
      .map(instance => ({ ...instance, id: `${name}.${instance.slot}`, required })));
  }

  /** A line for each worker that is away; nothing when all are there. */
  get notice() {
    // Such as one that was drained: it has no instance that could be named.
    if (this.status?.ready === false && !this.missing.length) return 'A place that must be served is not: see avaloctl status, or /readyz.';
    return this.missing.map(({ id, state, required, lastEnding }) =>
      `${id} is away (${state}${lastEnding ? `, after ${lastEnding}` : ''})${required ? '' : '; the service is ready without it'}`).join('\n');
  }

  render(view) {
    view.replaceChildren(
      element('div', { class: 'tiles' }, ...this.indicators.map(one => tile(one, this.times))),
      element('section', { class: 'card', id: 'workers' }, element('h2', {}, 'Workers'), this.#workers()));
  }

  #workers() {
    const rows = (this.status?.workers ?? []).flatMap(worker => worker.instances.map(one => this.#row(worker, one)));
    const { uptime = 0, pid, generation, lastReload } = this.status ?? {};
    const reload = lastReload && `; last reload: ${lastReload.result}`;
    return table(`avalod, pid ${pid}, up ${format.span(uptime)}, configuration ${generation}${reload ?? ''}`, [
      'Instance', 'State', ['PID', 'number'], ['Up', 'number'], ['Restarts', 'number'], ['Memory', 'number'], ['CPU', 'number'],
      ['Descriptors', 'number'], 'Says',
    ], rows);
  }

  #row(worker, instance) {
    const id = `${worker.name}.${instance.slot}`;
    const { memoryBytes, cpuShare, openDescriptors } = this.usage[id] ?? {};
    const told = (value, write) => value === null || value === undefined ? '–' : write(value);
    return [
      id, stateOf(instance), told(instance.pid, String), told(instance.uptime, format.span), String(instance.restarts),
      told(memoryBytes, format.bytes), told(cpuShare, format.share), told(openDescriptors, format.count),
      instance.restartIn ? `again in ${format.span(instance.restartIn)}` : instance.status ?? instance.lastEnding ?? '',
    ];
  }
}

function stateOf({ role, state, outdated }) {
  if (role === 'leaving') return mark('idle', 'draining');
  if (role === 'succeeding') return mark('idle', `${state} (next)`);
  const good = ['ready', 'reloading'].includes(state);
  return mark(good ? 'good' : 'bad', outdated ? `${state} (old)` : state);
}
