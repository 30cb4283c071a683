/**
 * Files that this tab's worker has and gives to members who ask over a link: those that it sent, and those that it got. Each chunk is read, sealed and held
 * against the hashes of then before it leaves, so a file that was changed, or another one in its place, goes to nobody.
 */
import { type WebOutgoing, WebQuestion } from "./wasm/sotto_web_files.js";

/** Files that are given, the newest. */
const HELD_MAX = 64;
/** Of those that lie in memory, so many bytes. */
const MEMORY_MAX = 256 * 1024 * 1024;
/** Chunks that are read and sealed at once, for all links. */
const AT_ONCE = 2;

interface Held {
  outgoing: WebOutgoing;
  open: () => Blob | Promise<Blob>;
  /** Bytes that it keeps in memory. */
  memory: number;
}

const all = new Map<string, Held>();
const key = (conversation: string, root: string): string => `${conversation}/${root}`;

function letGo(name: string): void {
  all.get(name)?.outgoing.free();
  all.delete(name);
}

/** Keeps a file for others; takes `outgoing`. */
export function hold(conversation: string, outgoing: WebOutgoing, memory: number, open: Held["open"]): void {
  const name = key(conversation, outgoing.root);
  letGo(name);
  all.set(name, { outgoing, open, memory });
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
  const place = one.outgoing.part(chunk);
  if (!place) return undefined;
  const { start, bytes } = place;
  place.free();
  try {
    const file = await one.open();
    const part = new Uint8Array(await file.slice(start, start + bytes).arrayBuffer());
    // It may have been let go meanwhile.
    return all.get(name) === one ? one.outgoing.answer(question, part) : undefined;
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    // Another file than it was, or none: nobody's business.
    if (all.get(name) === one) letGo(name);
    return undefined;
  }
}
