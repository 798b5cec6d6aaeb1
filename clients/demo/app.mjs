/** Ann and Bob, each on their side. Who they are, and with which tokens, is in `users.json`, made when the demo was started. */
import { Person } from './person.mjs';

const people = document.getElementById('people');
const templates = { person: document.getElementById('person'), message: document.getElementById('message') };

try {
  const { chat, users: [first, second] } = await (await fetch('users.json')).json();
  people.replaceChildren(
    ...[new Person(first, second, chat, templates), new Person(second, first, chat, templates)].map(person => person.element));
} catch (error) {
  people.firstElementChild.textContent = `The demo could not start: ${error.message}`;
}
