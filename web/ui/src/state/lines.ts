/**
 * The lines of one conversation that are loaded: a window that moves over the log by cursors, both ways. A row keeps its identity
 * while its message changes, so that only what changed is drawn again.
 */
import { batch, createSignal, type Accessor } from "solid-js";
import type { Conversation, EngineEvent, Id, Message, Queued } from "../engine/api.ts";
import { dayOf } from "../i18n/time.ts";
import { bus, call } from "./app.ts";

/** As many lines as a tall screen shows twice. */
const PAGE = 60;
/** The window: what a fling of the thumb passes before the next page is there, and little enough for a slow phone. */
const WINDOW_MAX = 300;
/** Lines of one sender within this time stand together. */
const TOGETHER_MS = 5 * 60_000;
/** Longer than any frame that somebody sees. */
const FRAME_MS_MAX = 250;

export interface Head {
  /** The first line of what can be read. */
  beginning: boolean;
  /** The first line of a day. */
  day: boolean;
  unread: boolean;
  /** Follows a line of the same sender closely. */
  joined: boolean;
  /** The next line follows closely. */
  joinedNext: boolean;
}

export interface LineRow {
  kind: "line";
  key: string;
  sequence: number;
  message: Accessor<Message>;
  head: Accessor<Head>;
  setMessage(message: Message): void;
  setHead(head: Head): void;
}

export interface QueuedRow {
  kind: "queued";
  key: string;
  queued: Queued;
}

export type Row = LineRow | QueuedRow;

const PLAIN: Head = { beginning: false, day: false, unread: false, joined: false, joinedNext: false };

function rowOf(message: Message): LineRow {
  const [get, set] = createSignal(message);
  const [head, setHead] = createSignal(PLAIN, {
    equals: (a, b) => (Object.keys(a) as (keyof Head)[]).every((key) => a[key] === b[key]),
  });
  return {
    kind: "line",
    key: String(message.sequence),
    sequence: message.sequence,
    message: get,
    head,
    setMessage: (next) => set(() => next),
    setHead,
  };
}

export type Lines = ReturnType<typeof createLines>;

export function createLines(id: Id, conversation: () => Conversation | undefined) {
  const [rows, setRows] = createSignal<LineRow[]>([]);
  const [queued, setQueued] = createSignal<QueuedRow[]>([]);
  const [atStart, setAtStart] = createSignal(false);
  const [atEnd, setAtEnd] = createSignal(true);
  const [ready, setReady] = createSignal(false);
  const [loading, setLoading] = createSignal(false);
  const [olderFailed, setOlderFailed] = createSignal(false);
  /** The list grew or shrank at its start: the virtual list keeps its place from the end. */
  const [shift, setShift] = createSignal(false);
  let unreadFrom: number | undefined;
  let archive: number | null | undefined;
  /** The newest line is looked at. */
  let following = true;
  let closed = false;
  let work = Promise.resolve();

  /** One change of the window at a time. */
  function inTurn(step: () => Promise<void>): Promise<void> {
    work = work.then(async () => {
      if (!closed) await step();
    }, undefined);
    return (work = work.catch(() => undefined));
  }

  function heads(list: LineRow[]): void {
    for (const [at, row] of list.entries()) {
      const before = list[at - 1]?.message();
      const message = row.message();
      const after = list[at + 1]?.message();
      const together = (a: Message | undefined, b: Message | undefined, bHasLine: boolean): boolean =>
        !!a && !!b && !bHasLine && a.account === b.account && said(a) && said(b) &&
        b.time_ms - a.time_ms < TOGETHER_MS && dayOf(a.time_ms) === dayOf(b.time_ms);
      row.setHead({
        beginning: at === 0 && atStart(),
        day: !before ? true : dayOf(before.time_ms) !== dayOf(message.time_ms),
        unread: row.sequence === unreadFrom,
        joined: together(before, message, row.sequence === unreadFrom),
        joinedNext: together(message, after, after?.sequence === unreadFrom),
      });
    }
  }

  function put(list: LineRow[], fromStart: boolean): void {
    batch(() => {
      setShift(fromStart);
      heads(list);
      setRows(list);
    });
  }

  /** Rows for messages, with those rows that are there already. */
  function taken(messages: readonly Message[]): LineRow[] {
    const known = new Map(rows().map((row) => [row.sequence, row]));
    return messages.map((message) => {
      const row = known.get(message.sequence);
      if (!row) return rowOf(message);
      row.setMessage(message);
      return row;
    });
  }

  function open(around?: number): Promise<void> {
    return inTurn(async () => {
      const here = conversation();
      const unread = here?.unread ?? 0;
      let list: Message[];
      let end = true;
      if (around !== undefined) {
        const [before, after] = await Promise.all([
          call("history", { conversation: id, before: around + 1, limit: PAGE }),
          call("history_after", { conversation: id, after: around, limit: PAGE }),
        ]);
        list = [...before, ...after];
        end = after.length < PAGE;
      } else {
        const limit = Math.min(WINDOW_MAX, Math.max(PAGE, unread + PAGE / 2));
        list = await call("history", { conversation: id, limit });
        if (!ready()) unreadFrom = firstUnread(list, unread);
      }
      if (closed) return;
      batch(() => {
        archive = undefined;
        setAtStart(false);
        setAtEnd(end);
        put(taken(list), false);
        setReady(true);
      });
      await readOutbox();
      if (list.length < PAGE / 2) void older();
    });
  }

  function older(): Promise<void> {
    if (atStart() || loading()) return work;
    setLoading(true);
    return inTurn(async () => {
      try {
        const first = rows()[0]?.sequence;
        let page = await call("history", { conversation: id, limit: PAGE, ...(first !== undefined && { before: first }) });
        if (first === undefined) page = page.filter((one) => !rows().some((row) => row.sequence === one.sequence));
        let start = false;
        while (page.length === 0 && !start) {
          const from = archive ?? first;
          const got = await call("fetch_history", { conversation: id, limit: PAGE, ...(from !== undefined && { before: from }) });
          archive = got.next;
          start = got.next === null;
          if (got.added > 0)
            page = await call("history", { conversation: id, limit: PAGE, ...(first !== undefined && { before: first }) });
          if (closed) return;
        }
        await nextFrame();
        if (closed) return;
        setOlderFailed(false);
        batch(() => {
          if (start) setAtStart(true);
          put([...taken(page), ...rows()], true);
        });
        trimEnd();
      } catch {
        setOlderFailed(true);
      } finally {
        setLoading(false);
      }
    });
  }

  function newer(): Promise<void> {
    if (atEnd()) return work;
    return inTurn(async () => {
      const last = rows().at(-1)?.sequence;
      if (last === undefined || atEnd()) return;
      const page = await call("history_after", { conversation: id, after: last, limit: PAGE });
      if (closed) return;
      batch(() => {
        if (page.length < PAGE) setAtEnd(true);
        put([...rows(), ...taken(page)], false);
      });
      trimStart();
    });
  }

  /** After the virtual list has taken the other end, so that only one end moves at a time. */
  function trimEnd(): void {
    if (rows().length <= WINDOW_MAX) return;
    requestAnimationFrame(() => {
      if (closed || rows().length <= WINDOW_MAX) return;
      batch(() => {
        setAtEnd(false);
        put(rows().slice(0, WINDOW_MAX), false);
      });
    });
  }

  function trimStart(): void {
    if (rows().length <= WINDOW_MAX) return;
    requestAnimationFrame(() => {
      if (!closed && rows().length > WINDOW_MAX) moveOn(rows().slice(-WINDOW_MAX));
    });
  }

  /** The window leaves its oldest lines behind. */
  function moveOn(list: LineRow[]): void {
    batch(() => {
      setAtStart(false);
      archive = undefined;
      put(list, true);
    });
  }

  async function changed(sequence: number): Promise<void> {
    const row = rows().find((one) => one.sequence === sequence);
    if (!row) return;
    const message = await call("line", { conversation: id, sequence });
    if (closed) return;
    if (message) {
      row.setMessage(message);
      heads(rows());
    } else {
      put(rows().filter((one) => one !== row), false);
    }
  }

  /** Lines were added somewhere in the past, or repaired: reads the loaded stretch again. */
  async function again(): Promise<void> {
    const list = rows();
    const first = list[0]?.sequence;
    // What is older than the window may be new too: the start is to be looked for again.
    archive = undefined;
    setAtStart(false);
    if (first === undefined) {
      const page = await call("history", { conversation: id, limit: PAGE });
      if (!closed) put(taken(page), false);
      return;
    }
    const last = list.at(-1)?.sequence ?? first;
    const page = await call("history_after", { conversation: id, after: first - 1, limit: WINDOW_MAX });
    if (closed) return;
    const kept = atEnd() ? page : page.filter((one) => one.sequence <= last);
    put(taken(kept), false);
    if (page.length === WINDOW_MAX) setAtEnd(false);
    if (kept.length < PAGE / 2) void older();
  }

  function arrived(message: Message): void {
    const list = rows();
    const at = list.findIndex((row) => row.sequence === message.sequence);
    if (at >= 0) {
      list[at]?.setMessage(message);
      return;
    }
    const last = list.at(-1);
    if (!last || message.sequence > last.sequence) {
      if (!atEnd()) return;
      if (list.length < WINDOW_MAX) put([...list, rowOf(message)], false);
      // Whoever looks at the newest line moves on with it; for others a full window is at the end no longer.
      else if (following) moveOn([...list.slice(PAGE), rowOf(message)]);
      else setAtEnd(false);
      return;
    }
    const first = list[0];
    if (first && message.sequence < first.sequence) return;
    put([...list, rowOf(message)].sort((a, b) => a.sequence - b.sequence), false);
  }

  /** Connected again, maybe through another tab's engine: what happened in between was told to nobody. */
  function catchUp(): void {
    void readOutbox().catch(() => undefined);
    // What could not be read without a connection may be asked for again.
    setOlderFailed(false);
    if (atEnd()) void inTurn(missed);
  }

  async function missed(): Promise<void> {
    const last = rows().at(-1)?.sequence;
    if (last === undefined) return again();
    const page = await call("history_after", { conversation: id, after: last, limit: WINDOW_MAX });
    if (closed || page.length === 0) return;
    const known = new Set(rows().map((row) => row.sequence));
    const list = [...rows(), ...taken(page.filter((one) => !known.has(one.sequence)))];
    if (list.length > WINDOW_MAX) setAtEnd(false);
    else put(list, false);
  }

  async function readOutbox(): Promise<void> {
    const waiting = await call("outbox", { conversation: id });
    if (closed) return;
    const known = new Map(queued().map((row) => [row.queued.number, row]));
    setShift(false);
    setQueued(
      waiting
        .filter((one) => one.text !== null)
        .map((one) => known.get(one.number) ?? { kind: "queued", key: `queued-${one.number}`, queued: one }),
    );
  }

  /** What was sent stands in the log before the outbox is read again; until then it would be there twice. */
  function sent(text: string): void {
    const at = queued().findIndex((row) => row.queued.text === text);
    if (at >= 0) setQueued(queued().toSpliced(at, 1));
  }

  function hear(event: EngineEvent): void {
    if (event.type === "state" && event.state.status.status === "synchronised" && ready()) catchUp();
    if (!("conversation" in event) || event.conversation !== id) return;
    if (event.type === "message")
      batch(() => {
        if (event.origin === "own") sent([event.file?.name, event.text].filter(Boolean).join("\n"));
        arrived(event);
      });
    else if (event.type === "changed") void inTurn(() => changed(event.sequence));
    else if (event.type === "history_added") void inTurn(again);
    else if (event.type === "outbox") void readOutbox().catch(() => undefined);
  }

  const stop = bus.on(hear);
  return {
    id,
    rows,
    queued,
    atStart,
    atEnd,
    ready,
    loading,
    olderFailed,
    shift,
    open,
    older,
    newer,
    /** Whether the newest line is looked at, so that the window moves with it. */
    follow(newest: boolean): void {
      following = newest;
    },
    /** Takes the line over unread messages away. */
    forgetUnread(): void {
      unreadFrom = undefined;
      heads(rows());
    },
    close(): void {
      closed = true;
      stop();
    },
  };
}

/**
 * A moment in which the virtual list stands where the browser does. Between a correction of the place and the scroll event that
 * follows from it, a list that grows at its start would be drawn at its old indexes: a screen of wrong lines, and again. Scroll events
 * come before the callbacks of a frame. A hidden page has no frames.
 */
function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => resolve());
    setTimeout(resolve, FRAME_MS_MAX);
  });
}

/** Somebody said it, in contrast to what happened. */
export function said(message: Message): boolean {
  return message.kind === "text" || message.kind === "deleted" || message.kind === "missing" || message.kind === "unknown";
}

function firstUnread(list: readonly Message[], unread: number): number | undefined {
  let left = unread;
  for (let at = list.length - 1; at >= 0 && left > 0; at -= 1) {
    const message = list[at];
    if (!message || message.own || !said(message)) continue;
    left -= 1;
    if (left === 0) return message.sequence;
  }
  return undefined;
}
