/** What the engine needs of a worker: HTTP, connections, one timer, and somebody to tell. See `web/src/browser.rs`. */

import { dial, type Link, offerOf } from "./link";

/** An answer over HTTP, whatever it says. */
interface Answer {
  status: number;
  retryAfter?: number;
  body: Uint8Array;
}

/** How long one request may take: the slowest is a registration, whose password hash queues behind others. */
const REQUEST_TIMEOUT_MS = 20_000;

export class Host {
  readonly relayHost: string;
  readonly relayPort: number;
  /** Set once the engine is there. */
  wake: () => void = () => {};
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly relay: URL,
    readonly deviceName: string,
    private readonly tell: (event: unknown) => void,
  ) {
    this.relayHost = relay.hostname.replace(/^\[|\]$/g, "");
    this.relayPort = Number(relay.port) || (relay.protocol === "http:" ? 80 : 443);
  }

  emit(event: string): void {
    this.tell(JSON.parse(event));
  }

  wakeIn(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wake(), ms);
  }

  async fetch(method: string, path: string, access?: string, body?: Uint8Array): Promise<Answer> {
    const headers: Record<string, string> = { accept: "application/json, application/problem+json" };
    if (access) headers.authorization = `Bearer ${access}`;
    if (body) headers["content-type"] = "application/json";
    const answer = await fetch(new URL(`api/v1${path}`, this.relay), {
      method,
      headers,
      body: body?.slice(),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const wait = Number(answer.headers.get("retry-after") ?? Number.NaN);
    return {
      status: answer.status,
      ...(Number.isFinite(wait) ? { retryAfter: wait } : {}),
      body: new Uint8Array(await answer.arrayBuffer()),
    };
  }

  async dial(): Promise<Link> {
    // Certificates change every few days and ports with a restart: asked anew each time.
    return dial(this.relay, await offerOf(this.relay));
  }

  stop(): void {
    clearTimeout(this.timer);
    this.wake = () => {};
  }
}
