/**
 * The list of lines. Only what is near the screen exists as elements; the window of lines behind it moves by cursors. It stays at
 * the newest line while it is there, and otherwise where the reader is.
 */
import { batch, createEffect, createMemo, createSignal, on, onCleanup, onMount, Show } from "solid-js";
import { Virtualizer, type VirtualizerHandle } from "virtua/solid";
import type { Message } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { bus, call, type Conversation } from "../state/app.ts";
import type { Lines, Row } from "../state/lines.ts";
import { visible } from "../state/notify.ts";
import { Icon } from "../ui/icon.tsx";
import { plainText } from "../ui/spans.tsx";
import { remark } from "../ui/overlay.tsx";
import { isolated } from "./notice.ts";
import { Line, QueuedLine } from "./line.tsx";

/** Nearer to an end than this, the next page is read. */
const NEAR_PX = 1_500;
/** This close to the newest line counts as there. */
const STICK_PX = 60;
/** What moves within this time after a wheel, a finger, a pointer or a key was moved by the reader; so does what rolls on. */
const BY_HAND_MS = 700;
const MARK_EVERY_MS = 300;

export function Messages(props: {
  one: Conversation;
  lines: Lines;
  jump: { sequence: number } | undefined;
  onReply: (message: Message) => void;
  onEdit: (message: Message) => void;
  onJump: (sequence: number) => void;
}) {
  let scroller!: HTMLDivElement;
  let content!: HTMLDivElement;
  let handle: VirtualizerHandle | undefined;
  const lines = props.lines;
  const all = createMemo<Row[]>(() => (lines.atEnd() ? [...lines.rows(), ...lines.queued()] : lines.rows()));
  const [stuck, setStuck] = createSignal(true);
  const [below, setBelow] = createSignal(0);
  const [focused, setFocused] = createSignal<string>();
  const [lit, setLit] = createSignal<number>();
  const [heard, setHeard] = createSignal("");
  /** The first place was chosen; what is on the screen there counts as seen a little later. */
  let placed = false;
  let settled = false;

  const toEnd = (): void => {
    if (all().length > 0) handle?.scrollToIndex(all().length - 1, { align: "end" });
  };

  async function toNewest(): Promise<void> {
    if (!lines.atEnd()) await lines.open();
    // What a wheel set rolling before goes on no longer: whatever moves now is the way to the end.
    byHand = -BY_HAND_MS;
    setStuck(true);
    setBelow(0);
    requestAnimationFrame(toEnd);
  }

  function indexOf(sequence: number): number {
    return lines.rows().findIndex((row) => row.sequence === sequence);
  }

  async function jumpTo(sequence: number): Promise<void> {
    if (indexOf(sequence) < 0) {
      const line = await call("line", { conversation: lines.id, sequence }).catch(() => null);
      if (!line) {
        remark(t().line.replyGone);
        if (!lines.ready()) void lines.open();
        return;
      }
      placed = true;
      settled = true;
      setStuck(false);
      await lines.open(sequence);
    }
    const at = indexOf(sequence);
    if (at < 0) return;
    setStuck(false);
    requestAnimationFrame(() => {
      handle?.scrollToIndex(at, { align: "center" });
      setLit(sequence);
      setTimeout(() => setLit((now) => (now === sequence ? undefined : now)), 2_000);
    });
  }

  onMount(() => {
    if (!props.jump) void lines.open();
    // What grows or shrinks (reactions, the composer, the keyboard of a phone) must not push the newest line away.
    const watch = new ResizeObserver(() => {
      if (placed && stuck()) scroller.scrollTop = scroller.scrollHeight;
    });
    watch.observe(scroller);
    watch.observe(content);
    onCleanup(() => watch.disconnect());
  });
  createEffect(on(() => props.jump, (jump) => jump && void jumpTo(jump.sequence)));

  // The first lines: at the line over unread ones where there is one, else at the newest.
  createEffect(
    on(lines.ready, (ready) => {
      if (!ready || placed) return;
      placed = true;
      const unread = lines.rows().findIndex((row) => row.head().unread);
      requestAnimationFrame(() => {
        toEnd();
        afterFrames(3, () => {
          settled = true;
          // Where everything unread fits on the screen, the newest line is the better place.
          if (handle && unread >= 0 && handle.getItemOffset(unread) < handle.scrollOffset) {
            setStuck(false);
            handle.scrollToIndex(unread, { align: "start", offset: -48 });
            afterFrames(2, scrolled);
          }
          markSeen();
        });
      });
    }),
  );
  createEffect(
    on(all, (rows, before) => {
      if (placed && before && rows.length > before.length && stuck() && !lines.shift()) requestAnimationFrame(toEnd);
    }),
  );

  createEffect(() => lines.follow(stuck()));
  // More was missed than the window holds: whoever was at the newest line goes on being there.
  createEffect(on(lines.atEnd, (end) => !end && placed && stuck() && void toNewest(), { defer: true }));

  const stop = bus.on((event) => {
    if (event.type !== "message" || event.conversation !== lines.id) return;
    if (event.own) {
      lines.forgetUnread();
      if (event.origin === "own") void toNewest();
      return;
    }
    if (!stuck() || !lines.atEnd()) setBelow((count) => count + 1);
    if (event.kind === "text") setHeard(`${event.username}: ${plainText(event.spans, 140)}`);
  });
  onCleanup(stop);
  // A text of one's own goes to the end, where one sees it waiting.
  createEffect(
    on(
      () => lines.queued().at(-1)?.key,
      (key, before) => key && key !== before && void toNewest(),
      { defer: true },
    ),
  );

  let marking: number | undefined;
  let marked = -1;
  function markSeen(): void {
    if (!settled || !visible() || marking !== undefined) return;
    marking = window.setTimeout(() => {
      marking = undefined;
      if (!handle || !visible() || all().length === 0) return;
      const last = handle.findItemIndex(handle.scrollOffset + handle.viewportSize - 8);
      const rows = lines.rows();
      const row = rows[Math.min(last, rows.length - 1)];
      if (!row || row.sequence <= marked || props.one.unread === 0) return;
      marked = row.sequence;
      void call("mark_read", { conversation: lines.id, upto: row.sequence }).catch(() => undefined);
    }, MARK_EVERY_MS);
  }
  onCleanup(() => clearTimeout(marking));
  createEffect(on([visible, all, () => props.one.unread], markSeen));

  /**
   * Only the reader leaves the newest line, by moving up: with a hand, or in a list that is as it was (a search of the browser does
   * that). Lines that come faster than they are drawn, leave the window for others, or get another size, move nobody.
   */
  let stood: { offset: number; size: number; rows: Row[] } = { offset: 0, size: 0, rows: [] };
  let byHand = -BY_HAND_MS;
  const hand = (): void => {
    byHand = performance.now();
  };
  function scrolled(): void {
    if (!handle || !placed) return;
    // The virtual list's own figures: asking the element would lay everything out once more in each frame.
    const { scrollOffset: offset, scrollSize: size, viewportSize } = handle;
    const left = size - offset - viewportSize;
    const moving = performance.now() - byHand < BY_HAND_MS && Math.abs(offset - stood.offset) >= 1;
    // A window that moved on while lines came can be just as long as before.
    const isSame = size === stood.size && all() === stood.rows;
    const up = offset < stood.offset - 1 && (moving || isSame);
    if (moving) hand();
    stood = { offset, size, rows: all() };
    const end = left < STICK_PX && lines.atEnd();
    batch(() => {
      if (end || up) setStuck(end);
      if (end) setBelow(0);
    });
    if (stuck() && !end && lines.atEnd()) requestAnimationFrame(toEnd);
    readOn();
    markSeen();
  }

  /** Near an end the next page is read. */
  function readOn(): void {
    if (!handle || !placed) return;
    const { scrollOffset: offset, scrollSize: size, viewportSize } = handle;
    const left = size - offset - viewportSize;
    // On the way to the newest line, what is passed asks for nothing: a page that comes at the top would stop it there.
    const underway = stuck() && left >= STICK_PX;
    if (offset < NEAR_PX && !underway && !lines.olderFailed()) void lines.older();
    if (left < NEAR_PX) void lines.newer();
  }
  // Whoever stands at the very top moves no further, so that no event asks for the page after this one, for a beginning that has to be
  // looked for again, or for what there was no connection for.
  createEffect(
    on([lines.loading, lines.atStart, lines.olderFailed], ([loading]) => !loading && afterFrames(3, readOn), { defer: true }),
  );

  function focusRow(at: number): void {
    const row = all()[Math.min(Math.max(at, 0), all().length - 1)];
    if (!row) return;
    setFocused(row.key);
    handle?.scrollToIndex(all().indexOf(row), { align: "nearest" });
    requestAnimationFrame(() => scroller.querySelector<HTMLElement>(`[data-key="${row.key}"]`)?.focus({ preventScroll: true }));
  }

  function press(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const inside = (event.target as HTMLElement).closest<HTMLElement>("[data-key]");
    const now = inside ? all().findIndex((row) => row.key === inside.dataset["key"]) : all().length;
    const moves: Record<string, number> = {
      ArrowUp: now - 1,
      ArrowDown: now + 1,
      PageUp: now - 8,
      PageDown: now + 8,
      Home: 0,
      End: all().length - 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    focusRow(next);
  }

  /** Tab leads to one line only: the one that had the focus last, else the newest. */
  const tabbable = createMemo(() => {
    const key = focused();
    return key !== undefined && all().some((row) => row.key === key) ? key : all().at(-1)?.key;
  });
  /** It is always there, or Tab would lead nowhere. */
  const keep = createMemo(() => {
    const at = all().findIndex((row) => row.key === tabbable());
    return at < 0 ? [] : [at];
  });

  return (
    <div class="messages">
      <div
        ref={scroller}
        class="scroller"
        role="log"
        aria-live="off"
        aria-label={t().conversation.messages}
        aria-busy={lines.loading()}
        tabindex="-1"
        onKeyDown={(event) => {
          hand();
          press(event);
        }}
        on:wheel={{ handleEvent: hand, passive: true }}
        on:touchmove={{ handleEvent: hand, passive: true }}
        on:pointerdown={hand}
      >
        <Show when={lines.ready() && all().length === 0}>
          <div class="first-words">
            <span class="first-hand" aria-hidden="true">👋</span>
            <p>{t().conversation.empty}</p>
            <p class="hint">
              <Icon name="lock" class="inline" /> {t().conversation.encrypted}. {t().conversation.encryptedHint}
            </p>
          </div>
        </Show>
        <div class="filler" />
        <div ref={content}>
          <Virtualizer
            ref={(made) => (handle = made)}
            scrollRef={scroller}
            data={all()}
            shift={lines.shift()}
            itemSize={64}
            bufferSize={400}
            onScroll={scrolled}
            keepMounted={keep()}
          >
            {(row) =>
              row.kind === "queued" ? (
                <QueuedLine row={row} tab={tabbable() === row.key} />
              ) : (
                <Line
                  row={row}
                  one={props.one}
                  lit={lit() === row.sequence}
                  tab={tabbable() === row.key}
                  onFocus={() => setFocused(row.key)}
                  onReply={props.onReply}
                  onEdit={props.onEdit}
                  onJump={props.onJump}
                />
              )
            }
          </Virtualizer>
        </div>
      </div>
      <Show when={lines.loading()}>
        <p class="loading-older" role="status">{t().conversation.loadingOlder}</p>
      </Show>
      <Show when={lines.olderFailed() && !lines.loading()}>
        <p class="loading-older">
          {t().conversation.olderFailed}{" "}
          <button type="button" class="link" onClick={() => void lines.older()}>
            {t().common.retry}
          </button>
        </p>
      </Show>
      <Show when={!stuck() || !lines.atEnd()}>
        <button
          type="button"
          class="to-newest"
          aria-label={t().conversation.toNewest + (below() > 0 ? `, ${t().conversation.newBelow(below())}` : "")}
          onClick={() => void toNewest()}
        >
          <Show when={below() > 0}>
            <span class="unread">{below()}</span>
          </Show>
          <Icon name="down" />
        </button>
      </Show>
      <p class="visually-hidden" aria-live="polite">
        {heard() && isolated(heard())}
      </p>
    </div>
  );
}

function afterFrames(count: number, run: () => void): void {
  if (count === 0) run();
  else requestAnimationFrame(() => afterFrames(count - 1, run));
}
