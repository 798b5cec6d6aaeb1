/** One thing to be told to the server, as it is kept until then. */
export interface Entry {
  /** Its place: a store gives it, and lower ones go first. */
  seq: number;
  user: string;
  /** The function to call. */
  name: string;
  data: any;
  /** Of two entries with one key only the later counts. */
  key?: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export type NewEntry = Omit<Entry, 'seq'>;

/** Where entries are kept. All methods may throw. */
export interface OutboxStore {
  /**
   * Adds an entry behind the others, and takes away an earlier one of the same user and key.
   *
   * @returns false when the user has `max` entries already
   */
  add(entry: NewEntry, max: number): Promise<boolean>;
  /** The user's oldest. */
  first(user: string): Promise<Entry | undefined>;
  all(user: string): Promise<Entry[]>;
  remove(entry: Entry): Promise<void>;
}
