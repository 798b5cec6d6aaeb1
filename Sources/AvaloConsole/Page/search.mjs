/** A view in which something is looked for: a form, and below it what was found. */
import { element } from './elements.mjs';

export class Search {
  /**
   * `fields` of the form: `[name, label, placeholder]`. `find(params)` answers `{ told, parts }`: what was found in a
   * few words, for who does not see it, and the elements. `isLive`: it is looked for again and again.
   */
  constructor(view, fields, find, isLive = true) {
    Object.assign(this, { view, fields, find, isLive });
    this.found = element('div', { class: 'found' });
    this.told = element('p', { class: 'told', role: 'status' });
  }

  /** The form with what the address says. */
  open(params) {
    this.params = params;
    const inputs = this.fields.map(([name, label, placeholder]) => element('label', {}, label,
      element('input', { name, placeholder, value: params[name] ?? '', maxlength: 256, autocomplete: 'off', spellcheck: 'false' })));
    const form = element('form', { class: 'search', onsubmit: event => {
      event.preventDefault();
      const said = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
      const hash = `#${this.view}?${new URLSearchParams(said)}`;
      if (location.hash === hash) dispatchEvent(new HashChangeEvent('hashchange'));
      else location.hash = hash;
    } }, ...inputs, element('button', {}, 'Look'));
    return [element('section', { class: 'card' }, form), this.told, this.found];
  }

  async refresh() {
    if (!this.isLive) this.say('Looking …');
    const { told, parts } = await this.find(this.params);
    this.#tell(told);
    this.found.replaceChildren(...parts);
  }

  /** A sentence in the place of what was found. */
  say(text) {
    this.#tell(text);
    this.found.replaceChildren(card(element('p', {}, text)));
  }

  #tell(text) {
    if (this.told.textContent !== text) this.told.textContent = text;
  }
}

export const card = (...children) => element('section', { class: 'card' }, ...children);

/** Nothing was found, and what that means. */
export const nothing = text => ({ told: text, parts: [card(element('p', {}, text))] });

/** `[name, value]` one below the other; what has no value is left out. */
export function facts(list) {
  const known = list.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return element('dl', { class: 'facts' }, ...known.flatMap(([name, value]) =>
    [element('dt', {}, name), element('dd', {}, typeof value === 'object' ? value : String(value))]));
}
