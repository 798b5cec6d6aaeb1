/** Who is signed in sees one of the views, kept fresh; who is not, the form to sign in. */
import { ask, login, logout, Trouble } from './ask.mjs';
import { Overview } from './overview.mjs';
import { searches } from './searches.mjs';

/** How often the state, and the view that is open, are asked for. */
const everyMs = 2_000;

const find = id => document.getElementById(id);
const [view, notice, state, line, who, tabs, pause] = ['view', 'notice', 'state', 'line', 'who', 'tabs', 'pause'].map(find);

const overview = new Overview();
let open;
let isSignedIn = false;
let isPaused = false;
let timer;
/** Counts refreshes: one that was overtaken shows nothing, and does not go on. */
let turn = 0;

/** `#connections?user=ann`. */
function address() {
  const [name, query = ''] = location.hash.slice(1).split('?');
  return { name: Object.hasOwn(searches, name) ? name : 'overview', params: Object.fromEntries(new URLSearchParams(query)) };
}

function show() {
  if (!isSignedIn) return;
  const { name, params } = address();
  for (const tab of tabs.children) {
    if (tab.hash === `#${name}`) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  document.title = `${tabs.querySelector('[aria-current]').textContent} · Avalo console`;
  open = name === 'overview' ? undefined : searches[name]();
  if (open) view.replaceChildren(...open.open(params));
  else overview.render(view);
  open?.refresh().catch(openTrouble);
}

/** What a screen reader speaks is written only when it is another. */
function write(one, text) {
  if (one.textContent !== text) one.textContent = text;
}

function say(text) {
  write(notice, text);
  notice.hidden = !text;
}

/** The service, or this worker, is away. */
function trouble(error) {
  if (!(error instanceof Trouble)) throw error;
  if (error.status === 401) return signedOut('Your session has ended.');
  state.dataset.level = 'bad';
  write(state, 'No answer');
  write(line, '');
  say(`${error.message} What is shown is what was last told.`);
}

/** What was looked for cannot be told. */
function openTrouble(error) {
  if (!(error instanceof Trouble) || error.status === 401 || error.status === 0) return trouble(error);
  open?.say(error.message);
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  if (!document.hidden && !isPaused) {
    try {
      await overview.refresh();
      if (mine !== turn || isPaused) return;
      const now = overview.state;
      state.dataset.level = now.level;
      write(state, now.text);
      write(line, now.line);
      say(overview.notice);
      // Who marks a text keeps it, and who is at a link with the keyboard their place.
      const isBusy = !getSelection().isCollapsed || open?.found.contains(document.activeElement);
      if (!isBusy && !open) overview.render(view);
      else if (!isBusy && open.isLive) await open.refresh().catch(openTrouble);
    } catch (error) {
      if (mine === turn) trouble(error);
    }
  }
  if (mine === turn && isSignedIn) timer = setTimeout(refresh, everyMs);
}

function signedIn({ name }) {
  isSignedIn = true;
  who.firstElementChild.textContent = name;
  who.hidden = tabs.hidden = false;
  view.replaceChildren();
  say('');
  show();
  refresh();
}

function signedOut(reason = '') {
  isSignedIn = false;
  turn++;
  clearTimeout(timer);
  who.hidden = tabs.hidden = true;
  write(state, '');
  write(line, '');
  who.firstElementChild.textContent = '';
  say('');
  view.replaceChildren(find('login').content.cloneNode(true));
  const form = view.querySelector('form');
  const wrong = form.querySelector('.wrong');
  wrong.textContent = reason;
  form.addEventListener('submit', async event => {
    event.preventDefault();
    wrong.textContent = '';
    try {
      signedIn(await login(form.elements.key.value.trim()));
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      wrong.textContent = error.message;
      form.elements.key.select();
    }
  });
  form.elements.key.focus();
}

find('out').addEventListener('click', async () => {
  await logout();
  signedOut();
});
// Who reads slowly, or has it read, stops it from moving.
pause.addEventListener('click', () => {
  isPaused = !isPaused;
  pause.setAttribute('aria-pressed', isPaused);
  pause.textContent = isPaused ? 'Paused' : 'Pause';
  if (!isPaused) refresh();
});
addEventListener('hashchange', show);
document.addEventListener('visibilitychange', () => { if (isSignedIn && !document.hidden) refresh(); });

try {
  signedIn(await ask('session'));
} catch (error) {
  signedOut(error.status === 401 ? '' : error.message);
}
