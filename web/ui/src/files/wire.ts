/** The relay's HTTP API for files, as the worker asks it: with patience for what a moment may mend. */

import type { Failure, Id } from "../engine/api.ts";

/** One chunk may take so long: the relay's own limit. */
const REQUEST_TIMEOUT_MS = 120_000;
/** The longest wait before the next try. The network's return ends every wait. */
const WAIT_MAX_MS = 15_000;
/** A token is asked for anew after this; the engine knows when it runs out. */
const ACCESS_KEPT_MS = 30_000;
/** What is read of a refusal. */
const PROBLEM_BYTES_MAX = 64 * 1024;

/** Codes that a moment may mend. */
const PASSING = new Set(["unreachable", "unavailable", "timed_out", "offline", "rate_limited", "internal", "malformed_answer"]);

/** Why something is not to be had. */
export class Refused extends Error implements Failure {
  constructor(
    readonly code: string,
    readonly text: string,
    readonly least_ms = 0,
    readonly room?: number,
  ) {
    super(text);
  }
}

/** One upload or download, as far as waiting and ending go. */
export class Job {
  private readonly controller = new AbortController();
  private gate: PromiseWithResolvers<void> | undefined;
  private waits = false;

  constructor(
    readonly id: number,
    private readonly tell: (waits: boolean) => void,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  cancel(): void {
    this.controller.abort();
    this.resume();
  }

  pause(): void {
    this.gate ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.gate?.resolve();
    this.gate = undefined;
  }

  /** Holds while it is paused; throws when it was cancelled. */
  async turn(): Promise<void> {
    await this.gate?.promise;
    this.signal.throwIfAborted();
  }

  waiting(on: boolean): void {
    if (this.waits === on) return;
    this.waits = on;
    this.tell(on);
  }

  /** Tries until it is done, cancelled, or refused for good. */
  async persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      await this.turn();
      try {
        const done = await attempt();
        this.waiting(false);
        return done;
      } catch (error) {
        if (this.signal.aborted || !(error instanceof Refused) || !PASSING.has(error.code)) throw error;
        this.waiting(true);
        const wait = Math.min(WAIT_MAX_MS, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
        await rest(Math.max(error.least_ms, wait), this.signal);
      }
    }
  }
}

const resting = new Set<() => void>();

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      resting.delete(wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    resting.add(wake);
    signal.addEventListener("abort", wake);
  });
}

/** Whoever waits tries at once. */
export function hurry(): void {
  for (const wake of [...resting]) wake();
}

export class Wire {
  private access: { token: string; at: number } | undefined;
  private asked: PromiseWithResolvers<string> | undefined;

  constructor(
    private readonly relay: string,
    private readonly ask: () => void,
  ) {}

  give(token: string): void {
    this.access = { token, at: Date.now() };
    this.asked?.resolve(token);
    this.asked = undefined;
  }

  deny(failure: Failure): void {
    this.asked?.reject(new Refused(failure.code, failure.text, failure.retry_after_ms ?? 0));
    this.asked = undefined;
  }

  private token(): Promise<string> {
    if (this.access && Date.now() - this.access.at < ACCESS_KEPT_MS) return Promise.resolve(this.access.token);
    if (!this.asked) {
      this.asked = Promise.withResolvers<string>();
      this.ask();
    }
    return this.asked.promise;
  }

  /** Asks until there is an answer; gives at most `most` bytes of it. */
  request(job: Job, method: string, path: string, most: number, body?: Uint8Array<ArrayBuffer>, anew = false): Promise<Uint8Array<ArrayBuffer>> {
    let renewed = false;
    return job.persist(async () => {
      try {
        return await this.once(job, method, path, most, body, anew);
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== "token_refused" || renewed) throw error;
        renewed = true;
        this.access = undefined;
        return this.once(job, method, path, most, body, anew);
      }
    });
  }

  private async once(
    job: Job,
    method: string,
    path: string,
    most: number,
    body: Uint8Array<ArrayBuffer> | undefined,
    anew: boolean,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const token = await this.token();
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body) headers["content-type"] = "application/octet-stream";
    // A chunk never changes: the browser may keep what it got, still sealed.
    const cache = anew ? "reload" : /\/chunks\/\d+$/.test(path) ? "default" : "no-store";
    let answer: Response;
    try {
      answer = await fetch(new URL(`api/v1/${path}`, this.relay), {
        method,
        headers,
        cache,
        ...(body && { body }),
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.any([job.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      if (answer.ok) return await upTo(answer, most);
    } catch (error) {
      job.signal.throwIfAborted();
      if (error instanceof Refused) throw error;
      throw new Refused("unreachable", String(error));
    }
    throw await refusal(answer);
  }

  /** The same, of JSON. */
  async json<T>(job: Job, method: string, path: string, body?: Uint8Array<ArrayBuffer>): Promise<T> {
    const bytes = await this.request(job, method, path, PROBLEM_BYTES_MAX, body);
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  }
}

/** The path of a file of a conversation. */
export const pathOf = (conversation: Id, root: string): string => `blobs/${conversation}/${root}`;

/** A relay that sends more than was asked for fills nobody's memory. */
async function upTo(answer: Response, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(most);
  let length = 0;
  const reader = answer.body?.getReader();
  for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
    if (length + piece.value.length > most) {
      await reader?.cancel();
      throw new Refused("file_damaged", "more came than the file has");
    }
    whole.set(piece.value, length);
    length += piece.value.length;
  }
  return whole.subarray(0, length);
}

async function refusal(answer: Response): Promise<Refused> {
  const least = Number(answer.headers.get("retry-after") ?? 0) * 1000 || 0;
  try {
    const problem = JSON.parse(new TextDecoder().decode(await upTo(answer, PROBLEM_BYTES_MAX))) as { code?: string; detail?: string };
    if (problem.code) return new Refused(problem.code, problem.detail ?? "", least);
  } catch {
    // It is not the relay that speaks: something between.
  }
  return new Refused(answer.status >= 500 ? "unavailable" : "malformed_answer", `the answer was ${answer.status}`, least);
}
