import type { Entry, NewEntry, OutboxStore } from './entry.js';

const storeName = 'entries';

/** Entries that outlive the page, shared by all tabs of one origin. */
export class IndexedDBStore implements OutboxStore {
  #database: Promise<IDBDatabase> | undefined;

  constructor(private readonly factory: IDBFactory, private readonly name = 'avalo-outbox') {}

  add(entry: NewEntry, max: number): Promise<boolean> {
    return this.#run('readwrite', async store => {
      const mine: Entry[] = await done(store.index('user').getAll(entry.user));
      const replaced = mine.filter(one => entry.key && one.key === entry.key);
      if (mine.length - replaced.length >= max) return false;
      for (const one of replaced) store.delete(one.seq);
      store.add(entry);
      return true;
    });
  }

  first(user: string): Promise<Entry | undefined> {
    // An index gives the entries of one key in the order of their places.
    return this.#run('readonly', async store => (await done<Entry[]>(store.index('user').getAll(user, 1)))[0]);
  }

  all(user: string): Promise<Entry[]> {
    return this.#run('readonly', store => done(store.index('user').getAll(user)));
  }

  remove({ seq }: Entry): Promise<void> {
    return this.#run('readwrite', store => done(store.delete(seq)));
  }

  /** One transaction; answers when it is committed. */
  async #run<T>(mode: IDBTransactionMode, body: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    const database = await this.#open();
    // On the disk before anybody is told that it is kept.
    const transaction = database.transaction(storeName, mode, { durability: 'strict' });
    const committed = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
    const [result] = await Promise.all([body(transaction.objectStore(storeName)), committed]);
    return result;
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= new Promise<IDBDatabase>((resolve, reject) => {
      const asked = this.factory.open(this.name, 1);
      asked.onupgradeneeded = () => {
        const store = asked.result.createObjectStore(storeName, { keyPath: 'seq', autoIncrement: true });
        store.createIndex('user', 'user');
      };
      asked.onsuccess = () => {
        const database = asked.result;
        // Another tab, or the browser, wants it gone: it is opened anew when it is needed again.
        database.onversionchange = database.onclose = () => {
          database.close();
          this.#database = undefined;
        };
        resolve(database);
      };
      asked.onerror = asked.onblocked = () => reject(asked.error ?? new Error('the database is blocked'));
    });
    this.#database.catch(() => (this.#database = undefined));
    return this.#database;
  }
}

function done<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}
