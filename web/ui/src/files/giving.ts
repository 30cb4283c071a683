/**
 * Files that this tab's worker has and gives to members who ask over a link: those that it sent, and those that it got. What went out from a sealed
 * copy on a shelf is given from there, which is less work, and what it was however the file is changed. Else each chunk is read, sealed and held
 * against the hashes of then before it leaves, so a file that was changed, or another one in its place, goes to nobody.
 */
import { hasRoom, type Shelf } from "./shelf.ts";
import { type WebOutgoing, WebQuestion } from "./wasm/sotto_web_files.js";

/** Files that are given, the newest. */
const HELD_MAX = 64;
/** Of those that lie in memory, so many bytes. */
const MEMORY_MAX = 256 * 1024 * 1024;
/** Of those of which there is a sealed copy, so many bytes. */
const COPIES_MAX = 1024 * 1024 * 1024;
/** Chunks that are read and sealed at once, for all links. */
const AT_ONCE = 2;

interface Held {
  outgoing: WebOutgoing;
  /** Nothing where there is only the copy. */
  open: (() => Blob | Promise<Blob>) | undefined;
  /** Bytes that it keeps in memory. */
  memory: number;
  /** All chunks, as the relay has them. */
  copy: Shelf | undefined;
}

const all = new Map<string, Held>();
const key = (conversation: string, root: string): string => `${conversation}/${root}`;

function letGo(name: string): void {
  const one = all.get(name);
  if (!one) return;
  void one.copy?.isGivenNoMore();
  one.outgoing.free();
  all.delete(name);
}

/** Deletes copies, the oldest first, until all that are left have so many bytes; their files are given by themselves, where they are there. */
async function dropCopies(bytesMax: number): Promise<void> {
  const copied = [...all].filter(([, { copy }]) => copy);
  let kept = copied.reduce((sum, [, { outgoing }]) => sum + outgoing.bytes, 0);
  const gone: (Promise<void> | undefined)[] = [];
  for (const [name, one] of copied) {
    if (kept <= bytesMax) break;
    kept -= one.outgoing.bytes;
    gone.push(one.copy?.isGivenNoMore());
    one.copy = undefined;
    if (!one.open) letGo(name);
  }
  await Promise.all(gone);
}

/** Whether so much more may be kept: what is on its way goes before what may be asked for. */
export async function makeRoom(bytes: number): Promise<boolean> {
  const has = (): Promise<boolean> => hasRoom(bytes).catch(() => false);
  if (await has()) return true;
  await dropCopies(0);
  return has();
}

/** Keeps a file for others; takes `outgoing`. */
export function hold(conversation: string, outgoing: WebOutgoing, { memory = 0, open, copy }: Partial<Omit<Held, "outgoing">>): void {
  const name = key(conversation, outgoing.root);
  letGo(name);
  copy?.isGiven();
  all.set(name, { outgoing, open, memory, copy });
  void dropCopies(COPIES_MAX);
  let kept = [...all.values()].reduce((sum, one) => sum + one.memory, 0);
  for (const [old, one] of all) {
    if (kept <= MEMORY_MAX && all.size <= HELD_MAX) break;
    if (kept > MEMORY_MAX && one.memory === 0 && all.size <= HELD_MAX) continue;
    kept -= one.memory;
    letGo(old);
  }
}

const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
let turn = 0;

/** The messages that answer a question of a member, one behind the other; nothing where none was asked. */
export function answer(conversation: string, message: Uint8Array): Promise<Uint8Array | undefined> {
  turn = (turn + 1) % AT_ONCE;
  const answered = (lanes[turn] ?? Promise.resolve()).then(() => answerNow(conversation, message));
  lanes[turn] = answered.catch(() => undefined);
  return answered;
}

async function answerNow(conversation: string, message: Uint8Array): Promise<Uint8Array | undefined> {
  const question = WebQuestion.read(message);
  if (!question) return undefined;
  try {
    return (await found(key(conversation, question.root), question)) ?? question.answer();
  } finally {
    question.free();
  }
}

async function found(name: string, question: WebQuestion): Promise<Uint8Array | undefined> {
  const one = all.get(name);
  if (!one) return undefined;
  const { isList, chunk } = question;
  if (isList) return question.answer(one.outgoing.list);
  if (chunk === undefined) return question.answer(one.outgoing.present);
  const copied = await one.copy?.read(chunk);
  if (copied) return question.answer(copied);
  // It may have been let go meanwhile.
  if (all.get(name) !== one || !one.open) return undefined;
  const place = one.outgoing.part(chunk);
  if (!place) return undefined;
  const { start, bytes } = place;
  place.free();
  try {
    const file = await one.open();
    const part = new Uint8Array(await file.slice(start, start + bytes).arrayBuffer());
    // And meanwhile.
    return all.get(name) === one ? one.outgoing.answer(question, part) : undefined;
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    // Another file than it was, or none: nobody's business.
    if (all.get(name) === one) letGo(name);
    return undefined;
  }
}
