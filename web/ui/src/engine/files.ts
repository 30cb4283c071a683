/**
 * Where the engine keeps things: two files in the browser's private file system, which only one worker opens at a time, and
 * the key that seals them.
 *
 * The key is random, and wrapped by a WebCrypto key that can be used but not read: whoever copies the files and this
 * wrapped key out of the browser's profile still lacks what unwraps it. Both lie in IndexedDB.
 */

/** A file as the engine reads and writes it. */
export interface PrivateFile {
  size(): number;
  readAt(into: Uint8Array, at: number): number;
  writeAt(bytes: Uint8Array, at: number): number;
  resize(length: number): void;
  flush(): void;
}

/** What the engine is started with; without files, it keeps everything in memory. */
export interface Place {
  pages?: PrivateFile;
  secrets?: PrivateFile;
  key: Uint8Array;
  /** Whether it is all still there: browsers throw away what was kept when room is short, or when they are told to. */
  isKept(): Promise<boolean>;
  close(): void;
}

const FOLDER = "sotto";
const PAGES = "pages";
const SECRETS = "secrets";
const DATABASE = "sotto";
const KEYS = "keys";
const KEY = "store";
/** Stands beside the keys while everything is to be deleted. */
const WIPE = "wipe";
/** Files that are on their way (`web/ui/src/files/shelf.ts`), and the key of what is kept about them. */
export const SHELVES = "sotto-files";
export const SHELVES_KEY = "files";

class Handle implements PrivateFile {
  constructor(private readonly handle: FileSystemSyncAccessHandle) {}

  size(): number {
    return this.handle.getSize();
  }

  readAt(into: Uint8Array<ArrayBuffer>, at: number): number {
    return this.handle.read(into, { at });
  }

  writeAt(bytes: Uint8Array<ArrayBuffer>, at: number): number {
    return this.handle.write(bytes, { at });
  }

  resize(length: number): void {
    this.handle.truncate(length);
  }

  flush(): void {
    this.handle.flush();
  }

  close(): void {
    this.handle.close();
  }
}

/** Opens the files, or a place in memory where the browser gives none (a private window). */
export async function open(): Promise<Place> {
  let folder: FileSystemDirectoryHandle;
  let key: Uint8Array;
  try {
    if (await withKeys<true | undefined>("readonly", (keys) => keys.get(WIPE))) await wipe();
    const root = await navigator.storage.getDirectory();
    folder = await root.getDirectoryHandle(FOLDER, { create: true });
    key = await storeKey(folder);
  } catch (error) {
    // Firefox says so in private windows; without IndexedDB there is no key that could be kept either.
    console.warn("this browser keeps nothing here", error);
    return { key: crypto.getRandomValues(new Uint8Array(32)), isKept: () => Promise.resolve(true), close: () => {} };
  }
  const pages = await access(folder, PAGES);
  const secrets = await access(folder, SECRETS);
  return {
    pages,
    secrets,
    key,
    // Everything of a page goes at once. The open files stay readable until they are closed, so that nothing fails before.
    isKept: async () => (await withKeys<Kept | undefined>("readonly", (keys) => keys.get(KEY))) !== undefined,
    close: () => {
      pages.close();
      secrets.close();
    },
  };
}

/** Everything is to be deleted: if this worker is ended before it is, the next one begins with that. */
export async function intendToWipe(on: boolean): Promise<void> {
  // Where nothing is kept, nothing has to be deleted.
  await withKeys("readwrite", (keys) => (on ? keys.put(true, WIPE) : keys.delete(WIPE))).catch(() => undefined);
}

/** Deletes everything. The files must be closed; a tab may be about to close one that is on its way. */
export async function wipe(): Promise<void> {
  // The keys first: without them the rest is noise.
  await withKeys("readwrite", (keys) => keys.clear()).catch(() => undefined);
  for (const folder of [FOLDER, SHELVES]) await removeFolder(folder);
}

/** A worker that was just ended may hold a file of it for a moment longer. */
export async function removeFolder(name: string, within?: FileSystemDirectoryHandle): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      return await (within ?? (await navigator.storage.getDirectory())).removeEntry(name, { recursive: true });
    } catch (error) {
      // There was nothing, or nothing can be there.
      if (!isHeld(error)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const isHeld = (error: unknown): boolean => error instanceof DOMException && error.name === "NoModificationAllowedError";

/** Files that are being opened. */
const opening = new Set<FileSystemFileHandle>();

/** Chromium never answers for a file whose handle was collected as garbage meanwhile, so it is held. */
export async function openSync(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  opening.add(file);
  try {
    return await file.createSyncAccessHandle();
  } finally {
    opening.delete(file);
  }
}

/** A worker that was just ended may hold its files for a moment longer. */
async function access(folder: FileSystemDirectoryHandle, name: string): Promise<Handle> {
  const file = await folder.getFileHandle(name, { create: true });
  for (let attempt = 0; ; attempt += 1) {
    try {
      return new Handle(await openSync(file));
    } catch (error) {
      if (!isHeld(error) || attempt >= 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** What is kept: the key that unwraps, which no script can read, and the wrapped key. */
interface Kept {
  wrapping: CryptoKey;
  iv: Uint8Array<ArrayBuffer>;
  wrapped: ArrayBuffer;
}

async function storeKey(folder: FileSystemDirectoryHandle): Promise<Uint8Array> {
  const kept = await withKeys<Kept | undefined>("readonly", (keys) => keys.get(KEY));
  if (kept) {
    const key = await crypto.subtle.decrypt({ name: "AES-GCM", iv: kept.iv }, kept.wrapping, kept.wrapped);
    return new Uint8Array(key);
  }
  // The browser threw the key away, or never had one: what may lie there opens by nothing any more.
  for (const name of [PAGES, SECRETS]) await folder.removeEntry(name).catch(() => undefined);
  const key = crypto.getRandomValues(new Uint8Array(32));
  const wrapping = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const wrapped = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, wrapping, key);
  await withKeys("readwrite", (keys) => keys.put({ wrapping, iv, wrapped } satisfies Kept, KEY));
  return key;
}

export async function withKeys<T>(mode: IDBTransactionMode, work: (keys: IDBObjectStore) => IDBRequest): Promise<T> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(KEYS);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(KEYS, mode, { durability: "strict" });
      const request = work(transaction.objectStore(KEYS));
      transaction.oncomplete = () => resolve(request.result as T);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}
