/** The messages of one chat as one of the people sees them. */

/** What a message's ticks say, for those who see them and those who hear them. */
const ticks = { waiting: ['◷', 'waits for a connection'], sent: ['✓', 'sent'], read: ['✓✓', 'read'] };

export class Messages {
  /** By message id, in their order. */
  #items = new Map();

  constructor(list, template, me) {
    this.list = list;
    this.template = template;
    this.me = me;
  }

  /** Adds a message, or learns that one of ours was kept. */
  put({ messageId, text, from, at, state }) {
    let item = this.#items.get(messageId);
    if (!item) {
      item = this.template.content.firstElementChild.cloneNode(true);
      item.classList.toggle('mine', from === this.me);
      item.querySelector('.text').textContent = text;
      const time = item.querySelector('time');
      time.dateTime = new Date(at).toISOString();
      time.textContent = new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
      this.#items.set(messageId, item);
      this.list.append(item);
      this.list.scrollTop = this.list.scrollHeight;
    }
    if (from === this.me && item.dataset.state !== 'read') this.#mark(item, state);
  }

  /** The other one has read up to there. */
  readUpTo(messageId) {
    if (!this.#items.has(messageId)) return;
    for (const [id, item] of this.#items) {
      if (item.classList.contains('mine') && item.dataset.state === 'sent') this.#mark(item, 'read');
      if (id === messageId) return;
    }
  }

  #mark(item, state) {
    item.dataset.state = state;
    const element = item.querySelector('.ticks');
    const [sign, words] = ticks[state];
    element.dataset.ticks = state;
    element.textContent = sign;
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', words);
  }
}
