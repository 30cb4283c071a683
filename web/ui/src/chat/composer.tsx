/** Where one writes. What was not sent stays as a draft, also over a reload; while something is edited the draft waits. */
import { createEffect, createMemo, createSignal, createUniqueId, For, on, onCleanup, onMount, Show, Suspense } from "solid-js";
import type { Message } from "../engine/api.ts";
import { openEmoji } from "../emoji/open.ts";
import { attach, attached, pasted, returned, sendAttached, Tray, trayWanted } from "../files/open.ts";
import { t } from "../i18n/index.ts";
import { count as number } from "../i18n/time.ts";
import { app, call, me, nameOf, type Conversation } from "../state/app.ts";
import { prefs, rememberEmoji } from "../state/prefs.ts";
import { Icon } from "../ui/icon.tsx";
import { explain } from "../ui/failure.tsx";
import { remark } from "../ui/overlay.tsx";
import { plainText } from "../ui/spans.tsx";
import { complete, type Suggestion } from "./complete.ts";
import type { Writing } from "./conversation.tsx";

const DRAFT_AFTER_MS = 400;
/** Others show somebody as typing for a few seconds after each sign of it. */
const TYPING_EVERY_MS = 3_000;
/** A text and what belongs to it must fit into 64 KiB of content. */
const TEXT_BYTES_MAX = 60 * 1024;

const encoder = new TextEncoder();
const touch = matchMedia("(pointer: coarse)");

export function Composer(props: {
  one: Conversation;
  writing: Writing;
  setWriting: (writing: Writing) => void;
  lastOwn: () => Message | undefined;
}) {
  const id = props.one.conversation;
  const listId = createUniqueId();
  let area!: HTMLTextAreaElement;
  let picker!: HTMLInputElement;
  const [text, setText] = createSignal(props.one.draft);
  const [suggestions, setSuggestions] = createSignal<Suggestion[]>([]);
  const [chosen, setChosen] = createSignal(0);
  let correcting = false;
  const over = createMemo(() =>
    text().length * 3 <= TEXT_BYTES_MAX ? 0 : Math.max(0, encoder.encode(text()).length - TEXT_BYTES_MAX),
  );

  let stashed = props.one.draft;
  let keeping: number | undefined;
  let keptLast = props.one.draft;
  function keepNow(): void {
    clearTimeout(keeping);
    keeping = undefined;
    const draft = props.writing.mode === "edit" ? stashed : text();
    if (draft === keptLast || encoder.encode(draft).length > TEXT_BYTES_MAX) return;
    keptLast = draft;
    void call("keep_draft", { conversation: id, text: draft }).catch(() => undefined);
  }
  addEventListener("pagehide", keepNow);
  onCleanup(() => {
    removeEventListener("pagehide", keepNow);
    keepNow();
  });

  function write(next: string, caret?: number): void {
    setText(next);
    area.value = next;
    if (caret !== undefined) area.setSelectionRange(caret, caret);
    grow();
  }

  function grow(): void {
    area.style.setProperty("height", "auto");
    area.style.setProperty("height", `${area.scrollHeight}px`);
  }

  onMount(() => {
    write(text(), text().length);
    if (!touch.matches) area.focus({ preventScroll: true });
  });

  createEffect(
    on(
      () => props.writing,
      (writing, before) => {
        if (writing.mode === "edit") {
          if (before?.mode !== "edit") stashed = text();
          const old = writing.target.text ?? plainText(writing.target.spans, TEXT_BYTES_MAX);
          write(old, old.length);
        } else if (before?.mode === "edit") {
          write(stashed, stashed.length);
        }
        area.focus();
      },
      { defer: true },
    ),
  );

  let typed = 0;
  function input(): void {
    setText(area.value);
    grow();
    clearTimeout(keeping);
    keeping = window.setTimeout(keepNow, DRAFT_AFTER_MS);
    const time = Date.now();
    if (props.writing.mode !== "edit" && area.value.trim() && time - typed > TYPING_EVERY_MS) {
      typed = time;
      void call("typing", { conversation: id }).catch(() => undefined);
    }
    suggest();
  }

  let asking = 0;
  function suggest(): void {
    const mine = (asking += 1);
    const people = props.one.people.filter((person) => person.account !== me());
    void complete(area.value.slice(0, area.selectionStart), people).then((found) => {
      if (mine !== asking) return;
      setSuggestions(found);
      setChosen(0);
    });
  }

  function take(one: Suggestion): void {
    const caret = area.selectionStart;
    const before = area.value.slice(0, caret - one.replaces) + one.insert;
    if (one.emoji) rememberEmoji(one.emoji);
    setSuggestions([]);
    write(before + area.value.slice(caret), before.length);
    area.focus();
    input();
  }

  function insert(piece: string): void {
    const [from, until] = [area.selectionStart, area.selectionEnd];
    write(area.value.slice(0, from) + piece + area.value.slice(until), from + piece.length);
    area.focus();
    input();
  }

  async function correct(target: Message, body: string): Promise<void> {
    if (correcting) return;
    correcting = true;
    try {
      if (body !== target.text) await call("edit", { conversation: id, target: target.sequence, text: body });
      props.setWriting({ mode: "new" });
    } catch (error) {
      remark(explain(error), true);
    } finally {
      correcting = false;
    }
  }

  function putBack(texts: string[]): void {
    const before = (now: string): string => [...texts, ...(now ? [now] : [])].join("\n");
    if (props.writing.mode === "edit") stashed = before(stashed);
    else write(before(text()));
  }

  createEffect(on(returned, (back) => back?.conversation === id && putBack([back.caption]), { defer: true }));

  /** Texts that the engine has not stored yet, and those that it refused, in the order they were written. */
  let leaving = 0;
  const refused: string[] = [];

  /** The field is free at once, for whoever types faster than texts are stored; what is refused comes back into it. */
  async function send(): Promise<void> {
    const body = text();
    const { writing } = props;
    const files = writing.mode !== "edit" && attached(id).length > 0;
    if ((!files && !body.trim()) || over() > 0) return;
    if (writing.mode === "edit") return correct(writing.target, body);
    clearTimeout(keeping);
    write("", 0);
    setSuggestions([]);
    typed = 0;
    props.setWriting({ mode: "new" });
    if (files) {
      sendAttached(id, body.trim() && body, writing.mode === "reply" ? writing.to.sequence : undefined);
      return keepNow();
    }
    leaving += 1;
    try {
      await call("send", {
        conversation: id,
        text: body,
        ...(writing.mode === "reply" && { reply_to: writing.to.sequence }),
      });
    } catch (error) {
      refused.push(body);
      remark(explain(error), true);
    }
    leaving -= 1;
    if (leaving > 0) return;
    if (refused.length > 0) putBack(refused.splice(0));
    keepNow();
  }

  function stop(): void {
    props.setWriting({ mode: "new" });
  }

  function press(event: KeyboardEvent): void {
    if (event.isComposing) return;
    const list = suggestions();
    if (list.length > 0) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        setChosen((chosen() + (event.key === "ArrowDown" ? 1 : list.length - 1)) % list.length);
        return;
      }
      const one = list[chosen()];
      if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && one) {
        event.preventDefault();
        take(one);
        return;
      }
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        setSuggestions([]);
        return;
      }
    }
    if (event.key === "Enter") {
      const command = event.ctrlKey || event.metaKey;
      if (command || (prefs.enterSends && !event.shiftKey && !event.altKey && !touch.matches)) {
        event.preventDefault();
        void send();
      }
    } else if (event.key === "Escape" && props.writing.mode !== "new") {
      event.preventDefault();
      event.stopPropagation();
      stop();
    } else if (event.key === "ArrowUp" && !event.altKey && text() === "" && props.writing.mode === "new") {
      const last = props.lastOwn();
      if (!last) return;
      event.preventDefault();
      props.setWriting({ mode: "edit", target: last });
    }
  }

  const away = (): boolean => !["ready", "synchronised"].includes(app.state?.status.status ?? "");
  const about = (): Message | undefined =>
    props.writing.mode === "reply" ? props.writing.to : props.writing.mode === "edit" ? props.writing.target : undefined;
  return (
    <div class="composer">
      <Show when={about()}>
        {(message) => (
          <div class="about">
            <Icon name={props.writing.mode === "edit" ? "edit" : "reply"} />
            <div class="about-text">
              <p class="about-title">
                {props.writing.mode === "edit"
                  ? t().composer.editing
                  : t().composer.replyingTo(message().own ? t().common.you : message().username || nameOf(message().account))}
              </p>
              <p class="about-excerpt" dir="auto">
                {plainText(message().spans)}
              </p>
            </div>
            <button type="button" class="icon-button" aria-label={t().composer.stop} onClick={stop}>
              <Icon name="close" />
            </button>
          </div>
        )}
      </Show>
      <Show when={suggestions().length > 0}>
        <ul class="suggestions" role="listbox" id={listId} aria-label={t().composer.suggestions}>
          <For each={suggestions()}>
            {(one, at) => (
              <li
                role="option"
                id={`${listId}-${at()}`}
                aria-selected={chosen() === at()}
                on:mousedown={(event) => {
                  event.preventDefault();
                  take(one);
                }}
              >
                <span class="suggestion-sign">{one.sign}</span>
                <bdi>{one.label}</bdi>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={over() > 0}>
        <p class="failure" role="alert">
          {t().composer.tooLong(number(over()))}
        </p>
      </Show>
      <Show when={trayWanted(id)}>
        <Suspense>
          <Tray conversation={id} />
        </Suspense>
      </Show>
      <form
        class="composer-row"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <button type="button" class="icon-button" aria-label={t().composer.attach} disabled={props.writing.mode === "edit"} onClick={() => picker.click()}>
          <Icon name="clip" />
        </button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          onChange={() => {
            attach(id, picker.files ?? []);
            picker.value = "";
            area.focus();
          }}
        />
        <button
          type="button"
          class="icon-button"
          aria-label={t().composer.emoji}
          onClick={(event) =>
            openEmoji(event.currentTarget, (emoji) => {
              rememberEmoji(emoji);
              insert(emoji);
            })
          }
        >
          <Icon name="smile" />
        </button>
        <textarea
          ref={area}
          rows="1"
          dir="auto"
          aria-label={t().composer.label}
          placeholder={away() ? t().composer.placeholderOffline : t().composer.placeholder}
          aria-autocomplete="list"
          aria-controls={suggestions().length > 0 ? listId : undefined}
          aria-activedescendant={suggestions().length > 0 ? `${listId}-${chosen()}` : undefined}
          enterkeyhint={touch.matches ? "enter" : "send"}
          onInput={input}
          onKeyDown={press}
          onPaste={(event) => props.writing.mode !== "edit" && pasted(id, event)}
          onBlur={() => setSuggestions([])}
          onClick={() => suggestions().length > 0 && suggest()}
        />
        <button type="submit" class="send" aria-label={t().composer.send} disabled={(!text().trim() && (props.writing.mode === "edit" || attached(id).length === 0)) || over() > 0}>
          <Icon name={props.writing.mode === "edit" ? "check" : "send"} />
        </button>
      </form>
    </div>
  );
}
