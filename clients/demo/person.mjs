/** One of the people: a client with an outbox, and what they see. */
import { RealtimeEventType, RealtimeWebSocketClient } from './avalo.mjs';
import { Outbox } from './outbox.mjs';
import { Messages } from './messages.mjs';
import { Network } from './network.mjs';

const states = {
  connected: 'Connected', connecting: 'Connecting …', reconnecting: 'Reconnecting …', disconnected: 'Disconnected',
};

export class Person {
  #network = new Network();
  #unread = 0;
  #typingEnds = 0;

  /**
   * @param me    `{ id, name, token }`
   * @param other the same of the one they talk with
   * @param chat  the chat's id
   */
  constructor(me, other, chat, templates) {
    Object.assign(this, { me, other, chat });
    this.element = templates.person.content.firstElementChild.cloneNode(true);
    this.element.id = me.id;
    this.$ = selector => this.element.querySelector(selector);
    this.messages = new Messages(this.$('.messages'), templates.message, me.id);
    this.client = new RealtimeWebSocketClient({
      deviceId: deviceOf(me.id), reconnectInterval: 1000, maxReconnectAttempts: 1000, subscriptions: [`chat:${chat}`],
      environment: this.#network.environment,
    });
    this.#label();
    this.#listen();
    this.#buttons();
    this.client.connect(me.id, me.token).catch(() => {});
    // After connect, which says whose it is.
    this.outbox = new Outbox(this.client);
    this.outbox.on('failed', ({ error }) => this.#say(`Not sent: ${error.message}`));
    this.client.watchPresence(other.id, ({ payload }) => this.#presence(payload));
  }

  #label() {
    const { me, other } = this;
    this.$('.avatar').textContent = me.name[0];
    this.$('.name').textContent = me.name;
    this.element.setAttribute('aria-label', `${me.name}'s side`);
    this.$('.messages').setAttribute('aria-label', `Messages as ${me.name} sees them`);
    this.$('input').setAttribute('aria-label', `Message from ${me.name}`);
    this.$('input').placeholder = `Write to ${other.name} …`;
    this.#presence({ status: 'offline' });
    this.#state();
  }

  #listen() {
    const { client, chat, me, other } = this;
    client.onStateChange(() => this.#state());
    setInterval(() => this.#state(), 1000);
    client.on('ready', ({ unread }) => unread && this.#setUnread(Object.hasOwn(unread, chat) ? unread[chat] : 0));
    client.on('recovered', ({ topic, events }) => {
      if (topic !== `chat:${chat}`) return;
      const what = events === 1 ? 'one message' : `${events} messages`;
      this.#say(events ? `Back, and ${what} caught up with.` : 'Back, and nothing was missed.');
    });
    client.on('gap', ({ reason }) => this.#say(`Some messages are gone (${reason}).`));
    client.on(RealtimeEventType.CHAT_MESSAGE, ({ payload, sourceUserId: from, timestamp: at, replay }) => {
      if (payload.chatId !== chat) return;
      this.messages.put({ ...payload, from, at, state: 'sent' });
      if (from === me.id) return;
      this.#typing(0);
      // The count at the connection's beginning knows what is replayed.
      if (!replay) this.#setUnread(this.#unread + 1);
      this.#readIfSeen();
    });
    client.on(RealtimeEventType.TYPING_INDICATOR, ({ payload }) => {
      if (payload.chatId === chat && payload.userId === other.id) this.#typing(payload.isTyping ? payload.expiresInMs : 0);
    });
    client.on(RealtimeEventType.READ_RECEIPT, ({ payload, snapshot }) => {
      if (payload.chatId !== chat) return;
      if (payload.userId === other.id) this.messages.readUpTo(payload.messageId);
      // The count at the connection's beginning knows what was read before it.
      else if (!snapshot) this.#setUnread(0);
    });
    this.element.addEventListener('focusin', () => this.#readIfSeen());
    this.element.addEventListener('pointerdown', () => this.#readIfSeen(true));
  }

  #buttons() {
    this.$('.cut').onclick = () => {
      this.#say('Cut.');
      this.#network.cut();
    };
    this.$('.offline').onclick = ({ currentTarget: button }) => {
      this.#network.isOnline = !this.#network.isOnline;
      button.setAttribute('aria-pressed', String(!this.#network.isOnline));
      this.#say(this.#network.isOnline ? '' : 'Offline: what you write now waits.');
      this.#state();
    };
    this.$('select').onchange = ({ currentTarget: { value } }) => void this.outbox.updatePresence({ status: value });
    const input = this.$('input');
    input.oninput = () => this.client.sendTyping(this.chat, input.value !== '').catch(() => {});
    this.$('form').onsubmit = event => {
      event.preventDefault();
      void this.#send(input.value.trim());
      input.value = '';
    };
  }

  async #send(text) {
    if (!text) return;
    const messageId = `m-${crypto.randomUUID()}`;
    const at = Date.now();
    this.messages.put({ messageId, text, from: this.me.id, at, state: 'waiting' });
    await this.outbox.publish({
      type: RealtimeEventType.CHAT_MESSAGE, topic: `chat:${this.chat}`, eventId: messageId, timestamp: at,
      payload: { chatId: this.chat, messageId, text },
    });
  }

  /** Who has the keyboard, or a finger, on their side sees what is there. */
  #readIfSeen(isTouched = this.element.contains(document.activeElement)) {
    if (!isTouched || this.#unread === 0) return;
    this.#setUnread(0);
    void this.outbox.markChatAsRead(this.chat);
  }

  #setUnread(count) {
    this.#unread = count;
    const badge = this.$('.unread');
    badge.hidden = count === 0;
    badge.textContent = count;
    badge.setAttribute('aria-label', `${count} unread`);
  }

  #state() {
    const { state, reason, latency, transport, reconnectAttempts } = this.client.getConnectionInfo();
    const element = this.$('.state');
    element.dataset.state = state;
    const why = state === 'disconnected' && reason !== 'client' ? ` (${reason})` : '';
    const text = this.#network.isOnline ? states[state] + why : 'Offline';
    // Said again, it would be read aloud again.
    if (element.textContent !== text) element.textContent = text;
    const facts = state === 'connected' ? [latency !== null && `${Math.round(latency)} ms`, transport]
      : [this.#network.isOnline && reconnectAttempts > 0 && `attempt ${reconnectAttempts}`];
    this.$('.facts').textContent = facts.filter(Boolean).join(' · ');
  }

  #presence({ status }) {
    this.$('.dot').dataset.status = status;
    this.$('.presence').textContent = `${this.other.name} is ${status}`;
  }

  #typing(ms) {
    clearTimeout(this.#typingEnds);
    this.$('.typing').textContent = ms > 0 ? 'and types …' : '';
    // Its end may be lost; nobody types for ever.
    if (ms > 0) this.#typingEnds = setTimeout(() => this.#typing(0), ms);
  }

  #say(text) {
    this.$('.note').textContent = text;
  }
}

/** Each tab is a device of its own, which keeps its place over a reload. */
function deviceOf(user) {
  const key = `avalo-demo-device-${user}`;
  try {
    return (sessionStorage[key] ??= `demo-${user}-${crypto.randomUUID()}`);
  } catch {
    return `demo-${user}-${crypto.randomUUID()}`;
  }
}
