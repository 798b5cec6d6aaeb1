import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { App } from '../../.build/readme/page.js';
import { RealtimeProvider, useConnectionState, usePresence, useTyping, useUnread } from '../../src/react/index.js';
import { Bench } from '../support/fakes.js';

function Page() {
  return createElement('p', null, useConnectionState(), JSON.stringify([usePresence(['bob']), useTyping('c'), useUnread()]));
}

test('on a server a page renders without a connection', () => {
  const bench = new Bench();
  const html = renderToString(createElement(
    RealtimeProvider, { client: bench.client, userId: 'ann', token: 'token', children: createElement(Page) }));
  assert.match(html, /disconnected/);
  assert.equal(bench.sockets.length, 0);
});

test('the page that the README shows renders, for nobody and for somebody', () => {
  assert.match(renderToString(createElement(App, { user: null })), /^<p>disconnected/);
  const user = { id: 'ann', getIdToken: async () => 'token' };
  assert.match(renderToString(createElement(App, { user })).replace(/<!-- -->/g, ''), /<h2>bob is unknown<\/h2>.*0 unread/);
});
