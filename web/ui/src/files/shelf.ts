/**
 * What is kept of files on their way, so that they go on after the page was closed: for each a folder in the browser's private file system.
 *
 * ```text
 * sotto-files/SHELF/note      whose file it is, and what is to become of it: sealed
 *                   preview   what goes out with its message: sealed
 *                   outgoing  of what goes out, once it was read: key, hashes, and whether the copy is whole: sealed
 *                   list      of what comes in: the hashes of its chunks: sealed
 *                   paused    is there, or is not
 *                   0, 1, ..  chunks, as the relay has them
 * ```
 * So nothing of a file lies here but what the relay has too, sealed under the file's own key. For what comes in that key is in the engine's
 * store; what goes out has no message yet, and its key is in `outgoing`. What is sealed here is sealed under a key that this origin can
 * use and not read, as that of the store is; with it gone (`wipe`), all of this is noise.
 *
 * Chunks that were kept are not believed: whoever takes one holds it against the file's hashes. A tab that works on a shelf has a lock of its name,
 * which goes with its worker. What went out may stay as long as its tab, for members who ask for it (`giving.ts`): then nothing but its chunks, and
 * whoever looks next deletes them.
 */
import { openSync, removeFolder, SHELVES, SHELVES_KEY, withKeys } from "../engine/files.ts";
import type { Id, SmallPicture } from "../engine/api.ts";
import type { Left, Note } from "./messages.ts";

/** What was left so long ago nobody goes on with: relays keep a file for 30 days. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;
/** The share of what the browser gives that files on their way may fill: the rest is for what people said. */
const SHARE = 0.5;
/** Another tab may be about to let go of it. */
const LOCK_MS = 3_000;
const IV_BYTES = 12;

/** Of an upload whose file was read once. */
export interface Outgoing {
  about: string;
  list: string;
  copied: boolean;
}

const lockOf = (id: Id): string => `sotto file ${id}`;

async function shelves(create: boolean): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(SHELVES, { create });
}

let sealing: Promise<CryptoKey> | undefined;

async function drawKey(): Promise<CryptoKey> {
  const drawn = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  // Another tab may have been the first.
  await withKeys("readwrite", (keys) => keys.add(drawn, SHELVES_KEY)).catch(() => undefined);
  const kept = await withKeys<CryptoKey | undefined>("readonly", (keys) => keys.get(SHELVES_KEY));
  if (!kept) throw new Error("this browser keeps no key");
  return kept;
}

async function key(): Promise<CryptoKey> {
  sealing ??= withKeys<CryptoKey | undefined>("readonly", (keys) => keys.get(SHELVES_KEY)).then((kept) => kept ?? drawKey());
  try {
    return await sealing;
  } catch (error) {
    sealing = undefined;
    throw error;
  }
}

/** Whether so much more may be kept. */
export async function hasRoom(bytes: number): Promise<boolean> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return usage + bytes <= quota * SHARE;
}

/** What was under way when a page was closed and no other tab works on; what is of no use any more is deleted. */
export async function leftOver(): Promise<Left[]> {
  const left: Left[] = [];
  let all: FileSystemDirectoryHandle;
  try {
    all = await shelves(false);
  } catch {
    return left;
  }
  const { held = [] } = await navigator.locks.query();
  const names = new Set(held.map(({ name }) => name));
  for await (const id of all.keys()) {
    if (names.has(lockOf(id))) continue;
    const shelf = await Shelf.open(id, undefined);
    if (!shelf) continue;
    const note = await shelf.note();
    if (note && note.at > Date.now() - KEPT_MS) {
      const [outgoing, preview] = [await shelf.outgoing(), await shelf.preview()];
      const paused = await shelf.has("paused");
      left.push({ shelf: id, note, paused, copied: outgoing?.copied ?? false, ...(preview && { preview }) });
      shelf.letGo();
    } else {
      await shelf.done();
    }
  }
  return left.sort((one, other) => one.note.at - other.note.at);
}

export class Shelf {
  /** Done when what is being written is. */
  private last: Promise<void> = Promise.resolve();
  /** Members are given from it. */
  private gives = false;
  /** It is of no use but for that. */
  private isDone = false;

  private constructor(
    readonly id: Id,
    private readonly folder: FileSystemDirectoryHandle,
    readonly letGo: () => void,
  ) {}

  /** One that is there, or, with a note, a new one; nothing where there is none, another tab has it, or the browser keeps nothing. */
  static async open(id: Id, note: Note | undefined): Promise<Shelf | undefined> {
    const letGo = await lock(lockOf(id));
    if (!letGo) return undefined;
    try {
      const folder = await (await shelves(note !== undefined)).getDirectoryHandle(id, { create: note !== undefined });
      const shelf = new Shelf(id, folder, letGo);
      if (note && !(await shelf.has("note"))) await shelf.seal("note", note);
      return shelf;
    } catch {
      // A private window, or one that has no room for anything.
      letGo();
      return undefined;
    }
  }

  /** What it is for; nothing if that was never written to the end, or its key is gone. */
  note(): Promise<Note | undefined> {
    return this.unseal<Note>("note");
  }

  /** What is known of a file that goes out, once it was read. */
  outgoing(): Promise<Outgoing | undefined> {
    return this.unseal<Outgoing>("outgoing");
  }

  list(): Promise<string | undefined> {
    return this.unseal<string>("list");
  }

  preview(): Promise<SmallPicture | undefined> {
    return this.unseal<SmallPicture>("preview");
  }

  async seal(name: "note" | "preview" | "outgoing" | "list", what: Note | SmallPicture | Outgoing | string): Promise<void> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const text = new TextEncoder().encode(JSON.stringify(what));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: this.place(name) }, await key(), text);
    const whole = new Uint8Array(IV_BYTES + sealed.byteLength);
    whole.set(iv);
    whole.set(new Uint8Array(sealed), IV_BYTES);
    await this.write(name, whole);
  }

  private async unseal<T>(name: string): Promise<T | undefined> {
    try {
      const whole = await this.read(name);
      if (!whole) return undefined;
      const opened = await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: whole.subarray(0, IV_BYTES), additionalData: this.place(name) },
        await key(),
        whole.subarray(IV_BYTES),
      );
      return JSON.parse(new TextDecoder().decode(opened)) as T;
    } catch {
      return undefined;
    }
  }

  /** What was sealed for one place opens at no other. */
  private place(name: string): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(`${this.id}/${name}`);
  }

  async pause(on: boolean): Promise<void> {
    if (on) await this.write("paused", new Uint8Array());
    else await this.folder.removeEntry("paused").catch(() => undefined);
  }

  /** Which chunks were kept. */
  async chunks(): Promise<Set<number>> {
    const there = new Set<number>();
    for await (const name of this.folder.keys()) if (/^\d+$/.test(name)) there.add(Number(name));
    return there;
  }

  /** Of a copy that has no room only the note stays. */
  async clear(): Promise<undefined> {
    for (const chunk of await this.chunks().catch(() => [])) await this.folder.removeEntry(String(chunk)).catch(() => undefined);
  }

  async has(name: string): Promise<boolean> {
    return this.folder.getFileHandle(name).then(
      () => true,
      () => false,
    );
  }

  /** One after the other: from members chunks come faster than they can be kept. Fails when there is no room. */
  write(name: string | number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const written = this.last.then(() => this.put(name, bytes));
    this.last = written.catch(() => undefined);
    return written;
  }

  private async put(name: string | number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const file = await this.folder.getFileHandle(String(name), { create: true });
    const open = await openSync(file);
    try {
      open.truncate(0);
      if (open.write(bytes, { at: 0 }) !== bytes.length) throw new Error("there is no room for it");
    } finally {
      open.close();
    }
  }

  async read(name: string | number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const file = await (await this.folder.getFileHandle(String(name))).getFile();
      return new Uint8Array(await file.arrayBuffer());
    } catch {
      return undefined;
    }
  }

  /** Members are given from it from now on. */
  isGiven(): void {
    this.gives = true;
  }

  async isGivenNoMore(): Promise<void> {
    this.gives = false;
    if (this.isDone) await this.remove();
  }

  /** What it was for is done. */
  async done(): Promise<void> {
    this.isDone = true;
    if (!this.gives) return this.remove();
    // The note first: without it nobody goes on.
    for (const name of ["note", "outgoing", "preview", "paused"]) await this.folder.removeEntry(name).catch(() => undefined);
  }

  private async remove(): Promise<void> {
    const all = await shelves(false).catch(() => undefined);
    if (all) await removeFolder(this.id, all);
    this.letGo();
  }
}

/** Takes a lock until it is let go; nothing if somebody else has it. */
function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    const held = (): Promise<void> => new Promise((letGo) => resolve(letGo));
    navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, held).catch(() => resolve(undefined));
  });
}
