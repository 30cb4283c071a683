/**
 * Connections to the relay that carry bytes: WebTransport on the relay's UDP port, else a WebSocket. Both are tried, the first
 * that stands is kept; a network that blocks UDP costs nobody more than a moment.
 */

import type { About } from "./api";

/** A connection as the engine uses it. */
export interface Link {
  readonly carrier: "webtransport" | "websocket";
  send(bytes: Uint8Array): void;
  /** The next bytes; rejects with the reason when there are no more. */
  receive(): Promise<Uint8Array>;
  close(): void;
}

/** What the relay says of its WebTransport. */
export interface WebTransportOffer {
  port: number;
  path: string;
  certificate_hashes: string[];
}

/** How long WebTransport may be ahead in the race before the WebSocket is tried. */
const HEAD_START_MS = 300;

/** How long a connection may take. */
const PATIENCE_MS = 10_000;

/** Bytes that arrived and the engine has not taken, before the connection is given up: the relay fetches from cursors. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;

/** Bytes that the engine is given at once: some two hundred messages. In between it answers the tabs. */
const TOGETHER_BYTES_MAX = 128 * 1024;

/**
 * What arrived and who waits for it. What came while the engine was busy is handed over in one piece: the engine puts what comes
 * together into one commit, and a commit takes longer than a message.
 */
class Arrivals {
  private chunks: Uint8Array[] = [];
  private bytes = 0;
  private waiting: { resolve: (bytes: Uint8Array) => void; reject: (why: Error) => void } | undefined;
  private ended: Error | undefined;
  private readonly turn = new MessageChannel();

  constructor() {
    this.turn.port1.onmessage = () => this.hand();
  }

  push(chunk: Uint8Array): boolean {
    this.chunks.push(chunk);
    this.bytes += chunk.byteLength;
    if (this.waiting && this.chunks.length === 1) this.handSoon();
    return this.bytes <= WAITING_BYTES_MAX;
  }

  end(why: string): void {
    this.ended ??= new Error(why);
    if (this.waiting && this.chunks.length === 0) this.hand();
  }

  next(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      if (this.ended || this.chunks.length > 0) this.handSoon();
    });
  }

  /** After what has arrived by now was pushed: each message of a WebSocket is a task of its own. */
  private handSoon(): void {
    this.turn.port2.postMessage(null);
  }

  private hand(): void {
    if (!this.waiting) return;
    const { resolve, reject } = this.waiting;
    this.waiting = undefined;
    if (this.chunks.length > 0) {
      let [count, bytes] = [0, 0];
      for (const { byteLength } of this.chunks) {
        if (count > 0 && bytes + byteLength > TOGETHER_BYTES_MAX) break;
        count += 1;
        bytes += byteLength;
      }
      const together = new Uint8Array(bytes);
      let at = 0;
      for (const chunk of this.chunks.splice(0, count)) {
        together.set(chunk, at);
        at += chunk.byteLength;
      }
      this.bytes -= bytes;
      resolve(together);
    } else if (this.ended) {
      this.turn.port1.close();
      reject(this.ended);
    }
  }
}

/** Connects the best way that works. */
export async function dial(relay: URL, offer: WebTransportOffer | null): Promise<Link> {
  const abort = new AbortController();
  const attempts: Promise<Link>[] = [];
  if (offer && typeof WebTransport !== "undefined") {
    attempts.push(overWebTransport(relay, offer, abort.signal));
    attempts.push(after(HEAD_START_MS, attempts[0]).then(() => overWebSocket(relay, abort.signal)));
  } else {
    attempts.push(overWebSocket(relay, abort.signal));
  }
  const timer = setTimeout(() => abort.abort(new Error("the relay has not answered in time")), PATIENCE_MS);
  try {
    const first = await Promise.any(attempts);
    for (const attempt of attempts) {
      attempt.then((link) => link !== first && link.close()).catch(() => undefined);
    }
    return first;
  } catch (error) {
    const errors = error instanceof AggregateError ? error.errors : [error];
    const last: unknown = errors[errors.length - 1];
    throw last instanceof Error ? last : new Error(String(last));
  } finally {
    clearTimeout(timer);
    abort.abort(new Error("another way was faster"));
  }
}

/** Waits, or goes on at once when the first attempt has failed. */
function after(ms: number, first: Promise<Link> | undefined): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    first?.catch(() => resolve());
  });
}

function overWebSocket(relay: URL, signal: AbortSignal): Promise<Link> {
  const url = new URL("api/v1/ws", relay);
  url.protocol = relay.protocol === "http:" ? "ws:" : "wss:";
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const arrivals = new Arrivals();
    const give_up = () => {
      socket.close();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", give_up);
    socket.onopen = () => {
      signal.removeEventListener("abort", give_up);
      resolve({
        carrier: "websocket",
        send: (bytes) => socket.send(bytes.slice()),
        receive: () => arrivals.next(),
        close: () => socket.close(),
      });
    };
    socket.onmessage = ({ data }) => {
      // The protocol has no text; a relay that sends some breaks it.
      const known = data instanceof ArrayBuffer;
      if (!known || !arrivals.push(new Uint8Array(data))) {
        arrivals.end(known ? "more came than could be taken" : "the relay sent text");
        socket.close();
      }
    };
    socket.onclose = ({ reason, code }) => {
      const why = reason || `the connection was closed (${code})`;
      arrivals.end(why);
      reject(new Error(why));
    };
  });
}

async function overWebTransport(relay: URL, offer: WebTransportOffer, signal: AbortSignal): Promise<Link> {
  const url = new URL(offer.path, relay);
  url.protocol = "https:";
  url.port = String(offer.port);
  const hashes = offer.certificate_hashes.map((hash) => ({
    algorithm: "sha-256",
    value: Uint8Array.from(atob(hash), (byte) => byte.charCodeAt(0)),
  }));
  const options = hashes.length > 0 ? { serverCertificateHashes: hashes } : {};
  const transport = new WebTransport(url, { ...options, congestionControl: "low-latency" });
  const close = () => {
    // One that never stood cannot be closed in good order.
    try {
      transport.close();
    } catch {
      // It is closed.
    }
  };
  signal.addEventListener("abort", close);
  transport.closed.catch(() => undefined);
  await transport.ready;
  const stream = await transport.createBidirectionalStream();
  signal.removeEventListener("abort", close);
  const arrivals = new Arrivals();
  const writer = stream.writable.getWriter();
  void pull(stream.readable.getReader(), arrivals, close);
  transport.closed.then(
    () => arrivals.end("the relay ended the connection"),
    (error: unknown) => arrivals.end(`the connection was lost: ${String(error)}`),
  );
  return {
    carrier: "webtransport",
    // Order is the writer's; what fails ends the connection, which is told by the reader.
    send: (bytes) => void writer.write(bytes.slice()).catch(() => close()),
    receive: () => arrivals.next(),
    close,
  };
}

async function pull(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  arrivals: Arrivals,
  close: () => void,
): Promise<void> {
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return arrivals.end("the relay ended the stream");
      if (!arrivals.push(value)) {
        arrivals.end("more came than could be taken");
        return close();
      }
    }
  } catch (error) {
    arrivals.end(`the connection was lost: ${String(error)}`);
  }
}

/** What the relay offers, as it says in `about`; nothing where it cannot be asked. */
export async function offerOf(relay: URL): Promise<WebTransportOffer | null> {
  const answer = await fetch(new URL("api/v1/about", relay), { cache: "no-store" });
  const about = (await answer.json()) as About & { webtransport?: WebTransportOffer | null };
  return about.webtransport ?? null;
}
