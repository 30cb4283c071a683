/** How frames of calls of groups are sealed, without a browser: RFC 9605's own vectors (appendix C), and hostile frames. */
import { expect, test } from "@playwright/test";
import { decodeHeader, deriveKey, encodeHeader, type Epoch, KeyRing, kidOf, open, Opener, seal, sealFrame } from "../src/call/sframe.ts";

const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (of: Uint8Array | undefined): string | undefined => of && Buffer.from(of).toString("hex");
const text = (words: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(words);

const BASE_KEY = bytes("000102030405060708090a0b0c0d0e0f");

/** Appendix C.1, its corners. */
const HEADERS: [kid: bigint, ctr: bigint, encoded: string][] = [
  [0n, 0n, "00"],
  [0n, 1n, "01"],
  [0n, 0xffn, "08ff"],
  [0n, 0x100n, "090100"],
  [0n, 0xffff_ffffn, "0bffffffff"],
  [0n, 0xffff_ffff_ffff_ffffn, "0fffffffffffffffff"],
  [1n, 0n, "10"],
  [1n, 0x100_0000n, "1b01000000"],
  [0xffn, 0n, "80ff"],
  [0xffn, 1n, "81ff"],
  [0xffn, 0xffn, "88ffff"],
  [0x100n, 0xffffn, "990100ffff"],
  [0xffffn, 0x1_0000n, "9affff010000"],
  [0x100_0000n, 0x100_0000_0000n, "bd01000000010000000000"],
  [0xffff_ffffn, 0xffff_ffff_ffff_ffffn, "bfffffffffffffffffffffffff"],
  [0x1_0000_0000n, 0x100n, "c901000000000100"],
];

test("headers are those of RFC 9605, and others are refused", () => {
  for (const [kid, ctr, encoded] of HEADERS) {
    expect(hex(encodeHeader(kid, ctr))).toBe(encoded);
    const length = encoded.length / 2;
    expect(decodeHeader(bytes(encoded))).toEqual({ kid, ctr, length });
    expect(decodeHeader(bytes(`${encoded}ff`))).toEqual({ kid, ctr, length });
    for (let cut = 0; cut < length; cut += 1) expect(decodeHeader(bytes(encoded).subarray(0, cut))).toBeUndefined();
  }
  // More bytes than the value needs.
  for (const padded of ["8007", "0807", "0900ff", "9000ff"]) expect(decodeHeader(bytes(padded))).toBeUndefined();
});

test("a frame of AES_128_GCM_SHA256_128 is that of RFC 9605", async () => {
  const [kid, ctr] = [0x123n, 0x4567n];
  const metadata = bytes("4945544620534672616d65205747");
  const plain = bytes("64726166742d696574662d736672616d652d656e63");
  const key = await deriveKey(BASE_KEY, kid);
  expect(hex(key.salt)).toBe("75234edefe07819026751816");
  const sealed = await seal(key, kid, ctr, metadata, plain);
  expect(hex(sealed)).toBe("9901234567b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb");
  const header = decodeHeader(sealed);
  expect(header).toEqual({ kid, ctr, length: 5 });
  expect(hex(await open(key, header!, metadata, sealed))).toBe(hex(plain));
});

const NOW = 1_000_000;
const SENDERS = new Map([["anna", 0], ["bert", 3]]);
const about = (mine: number, epoch: number, context = 0x0100_0000 + mine): Epoch => ({
  epoch,
  context,
  mine,
  senders: SENDERS,
  baseKey: BASE_KEY.map((byte) => byte ^ epoch % 251),
});
const ring = (mine: number, epoch: number): KeyRing => {
  const keys = new KeyRing();
  keys.add(about(mine, epoch), NOW);
  return keys;
};
/** An inter frame of VP8 has its lowest bit set. */
const INTER = Uint8Array.of(0x31, 2, 3, ...text("the rest of a picture"));

test("frames of a device open once, in whatever order, with what stays clear authenticated", async () => {
  const anna = ring(0, 1);
  const opener = new Opener(ring(3, 1), "anna", "video");
  const sealed = [];
  for (let at = 0; at < 3; at += 1) sealed.push((await sealFrame(anna, "video", INTER))!);
  const [first, second, third] = sealed as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  expect(hex(first.subarray(0, 3))).toBe("310203");
  expect(Buffer.from(first).includes("picture")).toBe(false);
  for (const frame of [second, first]) expect(hex(await opener.open(frame, NOW))).toBe(hex(INTER));
  for (const again of [second, first]) expect(await opener.open(again, NOW)).toBeUndefined();
  for (let at = 0; at < third.length; at += 1) {
    const [flipped, cut] = [third.slice(), third.slice(0, at)];
    flipped[at]! ^= 0x40;
    expect(await opener.open(flipped, NOW), `bit of byte ${at}`).toBeUndefined();
    expect(await opener.open(cut, NOW), `cut at ${at}`).toBeUndefined();
  }
  expect(hex(await opener.open(third, NOW))).toBe(hex(INTER));
  // Sound is sealed whole, and the first bytes of a key frame are those that a depacketizer reads.
  const sound = (await sealFrame(anna, "audio", text("sound")))!;
  expect(hex(await new Opener(ring(3, 1), "anna", "audio").open(sound, NOW))).toBe(hex(text("sound")));
  const key = (await sealFrame(anna, "video", Uint8Array.of(0x30, ...text("a whole picture"))))!;
  expect(hex(key.subarray(0, 10))).toBe(hex(Uint8Array.of(0x30, ...text("a whole p"))));
});

test("nobody's frame opens with another key or on another's connection, and old keys go", async () => {
  expect(await sealFrame(new KeyRing(), "audio", text("no key yet"))).toBeUndefined();
  const anna = ring(0, 1);
  const sealed = (await sealFrame(anna, "audio", text("sound")))!;
  const opens = async (keys: KeyRing, device = "anna", now = NOW) =>
    (await new Opener(keys, device, "audio").open(sealed, now)) !== undefined;
  expect(await opens(ring(3, 1))).toBe(true);
  expect(await opens(new KeyRing())).toBe(false);
  expect(await opens(ring(3, 2))).toBe(false);
  expect(await opens(ring(3, 257)), "the same low byte of the epoch").toBe(false);
  expect(await opens(ring(3, 1), "bert"), "a member gives another's frames as its own").toBe(false);
  expect(await opens(ring(3, 1), "clara"), "of who is not there").toBe(false);
  // What came before the change of epochs is still on its way.
  const bert = ring(3, 1);
  bert.add(about(3, 2), NOW);
  expect(await opens(bert)).toBe(true);
  expect(await opens(bert, "anna", NOW + 10_000)).toBe(false);
  bert.add(about(3, 1), NOW);
  expect(hex((await sealFrame(bert, "audio", text("newest")))!.subarray(1, 9))).toBe(hex(encodeHeader(kidOf({ ...about(3, 2), index: 3 }), 0n).subarray(1, 9)));
  // Who joins again has another key: the counter starts anew.
  const again = new KeyRing();
  again.add(about(0, 1, 0x0200_0000), NOW);
  expect(hex(await sealFrame(again, "audio", text("sound")))).not.toBe(hex(sealed));
});
