/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Outbox stores: IndexedDB, and memory where a browser forbids that (then nothing survives a
 * reload, and everything else works).
 */
import type { Entry, NewEntry, OutboxStore } from "./outbox";
import type { Id } from "./protocol";

const DATABASE = "districhat";
const VERSION = 1;
const ENTRIES = "outbox";
const NUMBERS = "numbers";

export class MemoryOutboxStore implements OutboxStore {
  private readonly entries: Entry[] = [];
  private readonly numbers = new Map<Id, number>();

  async add(fresh: NewEntry & { renumbered?: number }, replaced?: Entry): Promise<Entry> {
    if (replaced) {
      await this.remove(replaced.client, replaced.number);
    }
    const number = (this.numbers.get(fresh.client) ?? 0) + 1;
    this.numbers.set(fresh.client, number);
    const entry: Entry = { ...fresh, number, state: "pending" };
    this.entries.push(entry);
    return entry;
  }

  put(entry: Entry): Promise<void> {
    const at = this.index(entry.client, entry.number);
    if (at >= 0) {
      this.entries[at] = entry;
    }
    return Promise.resolve();
  }

  remove(client: Id, number: number): Promise<void> {
    const at = this.index(client, number);
    if (at >= 0) {
      this.entries.splice(at, 1);
    }
    return Promise.resolve();
  }

  of_client(client: Id, user: Id): Promise<Entry[]> {
    return Promise.resolve(
      this.entries.filter((entry) => entry.client === client && entry.user === user),
    );
  }

  clients(user: Id): Promise<Id[]> {
    const mine = this.entries.filter((entry) => entry.user === user);
    return Promise.resolve([...new Set(mine.map((entry) => entry.client))]);
  }

  private index(client: Id, number: number): number {
    return this.entries.findIndex((one) => one.client === client && one.number === number);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

export class IdbOutboxStore implements OutboxStore {
  private constructor(private readonly database: IDBDatabase) {}

  static async open(factory: IDBFactory = indexedDB): Promise<IdbOutboxStore> {
    const request = factory.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      const entries = request.result.createObjectStore(ENTRIES, { keyPath: ["client", "number"] });
      entries.createIndex("user", "user");
      request.result.createObjectStore(NUMBERS);
    };
    const database = await done(request);
    /* Another tab brings a newer version: let it. */
    database.onversionchange = () => database.close();
    return new IdbOutboxStore(database);
  }

  async add(fresh: NewEntry & { renumbered?: number }, replaced?: Entry): Promise<Entry> {
    const transaction = this.database.transaction([ENTRIES, NUMBERS], "readwrite", {
      durability: "strict",
    });
    const kept = committed(transaction);
    const numbers = transaction.objectStore(NUMBERS);
    const last = (await done(numbers.get(fresh.client))) as number | undefined;
    const entry: Entry = { ...fresh, number: (last ?? 0) + 1, state: "pending" };
    numbers.put(entry.number, entry.client);
    transaction.objectStore(ENTRIES).add(entry);
    if (replaced) {
      transaction.objectStore(ENTRIES).delete([replaced.client, replaced.number]);
    }
    await kept;
    return entry;
  }

  async put(entry: Entry): Promise<void> {
    const transaction = this.database.transaction(ENTRIES, "readwrite");
    transaction.objectStore(ENTRIES).put(entry);
    await committed(transaction);
  }

  async remove(client: Id, number: number): Promise<void> {
    const transaction = this.database.transaction(ENTRIES, "readwrite");
    transaction.objectStore(ENTRIES).delete([client, number]);
    await committed(transaction);
  }

  async of_client(client: Id, user: Id): Promise<Entry[]> {
    return (await this.of_user(user)).filter((entry) => entry.client === client);
  }

  async clients(user: Id): Promise<Id[]> {
    return [...new Set((await this.of_user(user)).map((entry) => entry.client))];
  }

  private of_user(user: Id): Promise<Entry[]> {
    const store = this.database.transaction(ENTRIES).objectStore(ENTRIES);
    return done(store.index("user").getAll(user)) as Promise<Entry[]>;
  }
}

export async function open_outbox_store(): Promise<OutboxStore> {
  try {
    return await IdbOutboxStore.open();
  } catch {
    return new MemoryOutboxStore();
  }
}
