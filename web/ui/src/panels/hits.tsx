/** What a search found: the newest first, more on demand, each a link to its place. */
import { createEffect, createSignal, For, on, Show } from "solid-js";
import type { Hit, Id } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { brief } from "../i18n/time.ts";
import { app, call, titleOf } from "../state/app.ts";
import { to } from "../state/route.ts";
import { FailureNote } from "../ui/failure.tsx";
import { Spans, wordsOf } from "../ui/spans.tsx";
import { rove } from "../ui/roving.ts";

const PAGE = 20;

export function Hits(props: { words: string; conversation?: Id }) {
  const [hits, setHits] = createSignal<Hit[]>([]);
  const [more, setMore] = createSignal(false);
  const [complete, setComplete] = createSignal(true);
  const [busy, setBusy] = createSignal(false);
  const [failure, setFailure] = createSignal<unknown>();
  let run = 0;

  async function find(next: boolean): Promise<void> {
    const mine = (run += 1);
    const last = next ? hits().at(-1)?.place : undefined;
    setBusy(true);
    setFailure(undefined);
    try {
      const found = await call("search", {
        words: props.words,
        limit: PAGE,
        ...(props.conversation && { conversation: props.conversation }),
        ...(last && { before: last }),
      });
      if (mine !== run) return;
      setHits((all) => (next ? [...all, ...found.hits] : found.hits));
      setMore(found.hits.length === PAGE);
      setComplete(found.complete);
    } catch (error) {
      if (mine === run) setFailure(error);
    } finally {
      if (mine === run) setBusy(false);
    }
  }
  createEffect(
    on(
      () => [props.words, props.conversation],
      () => void find(false),
    ),
  );
  const title = (id: Id): string => {
    const one = app.conversations[id];
    return one ? titleOf(one) : id.slice(0, 8);
  };
  return (
    <div class="hits" aria-busy={busy()} onKeyDown={(event) => rove(event, "a.hit, button")}>
      <FailureNote error={failure()} />
      <p class="hint hits-state" role="status">
        {busy() && hits().length === 0 ? t().list.searching : hits().length === 0 && !failure() ? t().list.noHits : ""}
      </p>
      <ul role="list">
        <For each={hits()}>
          {(hit) => (
            <li>
              <a class="hit" href={to.line(hit.conversation, hit.sequence, props.conversation ? "search" : undefined)}>
                <span class="hit-top">
                  <bdi class="hit-who">{hit.message.own ? t().line.youSaid : hit.message.username}</bdi>
                  <Show when={!props.conversation}>
                    <bdi class="hit-where">{title(hit.conversation)}</bdi>
                  </Show>
                  <time>{brief(hit.message.time_ms)}</time>
                </span>
                <span class="hit-text" dir="auto">
                  <Spans spans={hit.message.spans ?? []} find={wordsOf(props.words)} plain />
                </span>
              </a>
            </li>
          )}
        </For>
      </ul>
      <Show when={more()}>
        <button type="button" class="button quiet small" disabled={busy()} onClick={() => void find(true)}>
          {t().common.moreLikeThis}
        </button>
      </Show>
      <Show when={!complete() && !busy()}>
        <p class="hint">{t().list.incomplete}</p>
      </Show>
    </div>
  );
}
