/** Asks the worker that served this page. */

/** Why there is no answer. `status` 0: nobody is there. */
export class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The answer's document; a {@link Trouble} for everything that is none. */
export async function ask(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined && value !== ''));
  const target = `api/${path}${query.size ? `?${query}` : ''}`;
  return read(() => fetch(target, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(45_000) }));
}

export function login(key) {
  return read(() => fetch('api/login', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key }),
  }));
}

export async function logout() {
  // Whoever cannot be reached has nobody signed in any more.
  await fetch('api/logout', { method: 'POST' }).catch(() => {});
}

async function read(send) {
  let response;
  try {
    response = await send();
  } catch (error) {
    const late = error.name === 'TimeoutError';
    throw new Trouble(0, late ? 'The console does not answer in time.' : 'The console does not answer: avalod, or this worker of it, is down.');
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Trouble(response.status, document.error ?? `The console answered ${response.status}.`);
  return document;
}
