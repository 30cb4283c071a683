/** Who has a text of one's own, and who has read it. */
import { createMemo, For, onCleanup, onMount, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { bus, call, conversation, me, nameOf } from "../state/app.ts";
import { Avatar } from "../ui/avatar.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";

export default function Seen(props: { conversation: string; sequence: number; close: () => void }) {
  const line = createLoad(() =>
    call("line", { conversation: props.conversation, sequence: props.sequence }),
  );
  onMount(() =>
    onCleanup(
      bus.on((event) => {
        if (event.type === "changed" && event.conversation === props.conversation && event.sequence === props.sequence)
          void line.again();
      }),
    ),
  );
  const one = () => conversation(props.conversation);
  const groups = createMemo(() => {
    const read = line.value()?.read_by ?? [];
    const delivered = (line.value()?.delivered_to ?? []).filter((id) => !read.includes(id));
    const others = (one()?.people ?? [])
      .map((person) => person.account)
      .filter((id) => id !== me() && !read.includes(id) && !delivered.includes(id));
    return [
      { key: "read", title: t().line.read, ids: read },
      { key: "delivered", title: t().line.delivered, ids: delivered },
      { key: "sent", title: t().line.sent, ids: others },
    ].filter((group) => group.ids.length > 0);
  });
  return (
    <Dialog title={t().line.details} onClose={props.close}>
      <Show when={groups().length > 0} fallback={<p class="hint">{line.loading() ? t().common.loading : t().common.nobody}</p>}>
        <For each={groups()}>
          {(group) => (
            <section>
              <h3 class="seen-title">
                <span class={`mark ${group.key}`}>
                  <Icon name={group.key === "sent" ? "check" : "checks"} />
                </span>
                {group.title}
              </h3>
              <ul class="people" role="list">
                <For each={group.ids}>
                  {(id) => (
                    <li class="person">
                      <Avatar id={id} name={nameOf(id, one())} size="small" />
                      <bdi class="person-name">{nameOf(id, one())}</bdi>
                    </li>
                  )}
                </For>
              </ul>
            </section>
          )}
        </For>
      </Show>
    </Dialog>
  );
}
