/** Finds a conversation by a few letters. */
import { createMemo, createSignal, createUniqueId, For, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, sortedIds, titleOf } from "../state/app.ts";
import { go, to } from "../state/route.ts";
import { fold } from "../main/filter.ts";
import { faceOf, isHere, kindIcon } from "../main/list-item.tsx";
import { Avatar } from "../ui/avatar.tsx";
import { Dialog } from "../ui/dialog.tsx";

const SHOWN_MAX = 8;

export default function Switcher(props: { close: () => void }) {
  const id = createUniqueId();
  const [text, setText] = createSignal("");
  const [chosen, setChosen] = createSignal(0);
  const found = createMemo(() => {
    const wanted = fold(text().trim());
    const all = sortedIds().flatMap((one) => app.conversations[one] ?? []);
    const begins = (title: string): number => {
      const at = fold(title).indexOf(wanted);
      return at < 0 ? 3 : at === 0 ? 0 : /[\s._-]/u.test(title[at - 1] ?? "") ? 1 : 2;
    };
    return all
      .map((one, at) => ({ one, at, rank: wanted === "" ? (one.unread > 0 ? 0 : 1) : begins(titleOf(one)) }))
      .filter((one) => one.rank < 3)
      .sort((a, b) => a.rank - b.rank || a.at - b.at)
      .slice(0, SHOWN_MAX)
      .map(({ one }) => one);
  });
  const take = (at: number): void => {
    const one = found()[at];
    if (!one) return;
    props.close();
    go(to.conversation(one.conversation));
  };
  return (
    <Dialog title={t().keys.switcher} onClose={props.close}>
      <input
        type="search"
        class="switcher-input"
        data-focus
        dir="auto"
        role="combobox"
        maxlength="100"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found().length > 0 ? `${id}-${chosen()}` : undefined}
        aria-label={t().keys.switcher}
        placeholder={t().keys.switcherHint}
        value={text()}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          const last = found().length - 1;
          if (event.key === "ArrowDown") setChosen(Math.min(chosen() + 1, last));
          else if (event.key === "ArrowUp") setChosen(Math.max(chosen() - 1, 0));
          else if (event.key === "Enter") take(chosen());
          else return;
          event.preventDefault();
        }}
      />
      <ul class="switcher" role="listbox" id={id} aria-label={t().list.label}>
        <For each={found()}>
          {(one, at) => (
            <li role="option" id={`${id}-${at()}`} aria-selected={chosen() === at()} onClick={() => take(at())}>
              <Avatar id={faceOf(one)} name={titleOf(one)} icon={kindIcon(one)} here={isHere(one)} size="small" />
              <bdi>{titleOf(one)}</bdi>
              <Show when={one.unread > 0}>
                <span class="unread">{one.unread}</span>
              </Show>
            </li>
          )}
        </For>
      </ul>
      <Show when={found().length === 0}>
        <p class="hint" role="status">
          {t().keys.noMatch}
        </p>
      </Show>
    </Dialog>
  );
}
