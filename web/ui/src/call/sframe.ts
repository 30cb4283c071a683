/**
 * SFrame (RFC 9605) with the suite AES_128_GCM_SHA256_128: how frames of sound and picture are sealed in calls of a group.
 *
 * The members share a base key per epoch of their conversation. Each device seals with a key of its own, which the key id (KID) names by
 * the device's place in the conversation, the low byte of the epoch, and a number drawn when the device joined the call. The first bytes of a frame may stay readable, for those who
 * cut it into packets; they are authenticated with the rest.
 */

const SUITE = 0x0004;
const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CONFIG_BYTES = 1;

/** How long the key of the epoch before still opens: what is under way, and senders who do not know the new one yet. */
const KEEP_MS = 10_000;

/** So many frames of one sender, of all its tracks, may overtake each other. */
const WINDOW = 4_096n;

type Bytes = Uint8Array<ArrayBuffer>;

// --- The header (section 4.3): key id and counter, each in as few bytes as it needs.

export interface Header {
  kid: bigint;
  ctr: bigint;
  /** In bytes, with the config byte. */
  length: number;
}

const SMALL = 8n;

function bytesOf(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return bytes;
}

/** The four bits for the config byte, and the bytes that follow it. */
function field(value: bigint): [bits: number, bytes: number[]] {
  if (value < SMALL) return [Number(value), []];
  const bytes = bytesOf(value);
  return [0b1000 | (bytes.length - 1), bytes];
}

export function encodeHeader(kid: bigint, ctr: bigint): Bytes {
  const [kidBits, kidBytes] = field(kid);
  const [ctrBits, ctrBytes] = field(ctr);
  return Uint8Array.of((kidBits << 4) | ctrBits, ...kidBytes, ...ctrBytes);
}

/** Nothing where the bytes are too few, or more than a value needs. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  const [config] = bytes;
  if (config === undefined) return undefined;
  let at = CONFIG_BYTES;
  const value = (bits: number): bigint | undefined => {
    if (bits < 0b1000) return BigInt(bits);
    const length = (bits & 0b111) + 1;
    const given = bytes.subarray(at, at + length);
    at += length;
    if (given.length < length || given[0] === 0) return undefined;
    const read = given.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return read < SMALL ? undefined : read;
  };
  const kid = value(config >> 4);
  const ctr = value(config & 0b1111);
  return kid === undefined || ctr === undefined ? undefined : { kid, ctr, length: at };
}

// --- Keys (section 4.4.2) and frames (sections 4.4.3 and 4.4.4).

export interface Key {
  key: CryptoKey;
  salt: Bytes;
}

function label(name: string, kid: bigint): Bytes {
  const text = new TextEncoder().encode(`SFrame 1.0 Secret ${name} `);
  const bytes = new Uint8Array(text.length + 10);
  bytes.set(text);
  const end = new DataView(bytes.buffer, text.length);
  end.setBigUint64(0, kid);
  end.setUint16(8, SUITE);
  return bytes;
}

export async function deriveKey(baseKey: Bytes, kid: bigint): Promise<Key> {
  const base = await crypto.subtle.importKey("raw", baseKey, "HKDF", false, ["deriveBits"]);
  const derive = (name: string, bytes: number): Promise<ArrayBuffer> =>
    crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: label(name, kid) }, base, bytes * 8);
  const [key, salt] = await Promise.all([derive("key", KEY_BYTES), derive("salt", NONCE_BYTES)]);
  return { key: await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]), salt: new Uint8Array(salt) };
}

function nonceOf({ salt }: Key, ctr: bigint): Bytes {
  const nonce = salt.slice();
  const low = new DataView(nonce.buffer, NONCE_BYTES - 8);
  low.setBigUint64(0, low.getBigUint64(0) ^ ctr);
  return nonce;
}

function joined(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const parameters = (key: Key, ctr: bigint, additionalData: Bytes): AesGcmParams => ({
  name: "AES-GCM",
  iv: nonceOf(key, ctr),
  additionalData,
  tagLength: TAG_BYTES * 8,
});

/** Header and ciphertext. */
export async function seal(key: Key, kid: bigint, ctr: bigint, metadata: Uint8Array, plain: Bytes): Promise<Bytes> {
  const header = encodeHeader(kid, ctr);
  const sealed = await crypto.subtle.encrypt(parameters(key, ctr, joined(header, metadata)), key.key, plain);
  return joined(header, new Uint8Array(sealed));
}

/** What was sealed; nothing where it was altered, or sealed with another key. `sealed` begins with this header. */
export async function open(key: Key, header: Header, metadata: Uint8Array, sealed: Bytes): Promise<Bytes | undefined> {
  const additional = joined(sealed.subarray(0, header.length), metadata);
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(key, header.ctr, additional), key.key, sealed.subarray(header.length)));
  } catch {
    return undefined;
  }
}

// --- Who seals with what (section 5.2).

/** What the engine tells with each epoch. */
export interface Epoch {
  epoch: number;
  baseKey: Bytes;
  /** Drawn at each joining: whoever leaves and joins again within an epoch must not use a key again, as the counter starts anew. */
  context: number;
  /** This device's place in the conversation. */
  mine: number;
  /** The places of all devices. */
  senders: ReadonlyMap<string, number>;
}

export function kidOf({ context, index, epoch }: { context: number; index: number; epoch: number }): bigint {
  return (BigInt(context) << 32n) | (BigInt(index) << 8n) | BigInt(epoch % 256);
}

/** Place and epoch, without the context, which is the sender's own. */
const whose = (kid: bigint): bigint => kid & 0xffff_ffffn;

interface Held {
  about: Epoch;
  /** When it opens nothing any more. */
  until: number;
}

/** The keys of a call: the newest epoch's, and for a moment those of the one before. */
export class KeyRing {
  private held: Held[] = [];
  private own: { kid: bigint; key: Promise<Key> } | undefined;
  /** Counts over all that this device seals, so that no two frames have the same nonce. */
  private ctr = 0n;

  add(about: Epoch, now: number): void {
    const [newest, ...older] = this.held;
    if (newest && newest.about.epoch > about.epoch) return;
    const before = newest?.about.epoch === about.epoch ? older : this.held;
    this.held = [
      { about, until: Infinity },
      ...before.map((old) => ({ ...old, until: Math.min(old.until, now + KEEP_MS) })).filter((old) => old.until > now),
    ];
    const kid = kidOf({ ...about, index: about.mine });
    if (this.own?.kid !== kid) this.own = { kid, key: deriveKey(about.baseKey, kid) };
  }

  /** What the next frame is sealed with; nothing before the first key is there. */
  async next(): Promise<{ key: Key; kid: bigint; ctr: bigint } | undefined> {
    if (!this.own) return undefined;
    const { kid } = this.own;
    const ctr = this.ctr++;
    return { key: await this.own.key, kid, ctr };
  }

  /** The base key of what this device seals under this id; nothing where the id names none, or another device. */
  baseOf(device: string, kid: bigint, now: number): Bytes | undefined {
    const found = this.held.find(({ about, until }) => {
      const index = about.senders.get(device);
      return index !== undefined && until > now && whose(kid) === kidOf({ context: 0, index, epoch: about.epoch });
    });
    return found?.about.baseKey;
  }
}

/** The counters that were seen lately: a frame opens once. */
class Seen {
  private highest = -1n;
  private readonly last: bigint[] = [];

  isFresh(ctr: bigint): boolean {
    return ctr > this.highest - WINDOW && this.last[Number(ctr % WINDOW)] !== ctr;
  }

  add(ctr: bigint): void {
    if (ctr > this.highest) this.highest = ctr;
    this.last[Number(ctr % WINDOW)] = ctr;
  }
}

/** The bytes that a depacketizer of VP8 reads stay clear: 10 of a key frame, 3 of another. Of sound there are none. */
export function clearBytes(kind: string, frame: Uint8Array): number {
  if (kind !== "video") return 0;
  return isKeyFrame(frame) ? 10 : 3;
}

/** Of VP8 (RFC 6386, section 9.1). */
export function isKeyFrame([first = 0]: Uint8Array): boolean {
  return (first & 1) === 0;
}

/** Seals a frame; nothing as long as there is no key. */
export async function sealFrame(keys: KeyRing, kind: string, frame: Bytes): Promise<Bytes | undefined> {
  const next = await keys.next();
  if (!next) return undefined;
  const clear = frame.subarray(0, clearBytes(kind, frame));
  return joined(clear, await seal(next.key, next.kid, next.ctr, clear, frame.subarray(clear.length)));
}

interface Known {
  kid: bigint;
  key: Key;
  seen: Seen;
}

/** Opens the frames of one track of a device. */
export class Opener {
  private known: Known[] = [];

  constructor(
    private readonly keys: KeyRing,
    private readonly device: string,
    private readonly kind: string,
  ) {}

  /** What was sealed; nothing where it is cut, altered, replayed, sealed by another device or with a key that is not known. */
  async open(frame: Bytes, now: number): Promise<Bytes | undefined> {
    const clear = frame.subarray(0, clearBytes(this.kind, frame));
    const sealed = frame.subarray(clear.length);
    const header = decodeHeader(sealed);
    const base = header && this.keys.baseOf(this.device, header.kid, now);
    if (!header || !base) return undefined;
    const known = this.known.find(({ kid }) => kid === header.kid) ?? {
      kid: header.kid,
      key: await deriveKey(base, header.kid),
      seen: new Seen(),
    };
    if (!known.seen.isFresh(header.ctr)) return undefined;
    const plain = await open(known.key, header, clear, sealed);
    if (!plain) return undefined;
    known.seen.add(header.ctr);
    // Two epochs are open at a time.
    if (!this.known.includes(known)) this.known = [known, ...this.known.slice(0, 1)];
    return joined(clear, plain);
  }
}
