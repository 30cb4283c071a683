/** The keys. */
import { For } from "solid-js";
import { t } from "../i18n/index.ts";
import { prefs } from "../state/prefs.ts";
import { Dialog } from "../ui/dialog.tsx";

const COMMAND = /Mac|iP(?:hone|ad)/.test(navigator.userAgent) ? "⌘" : "Ctrl";

export default function Keys(props: { close: () => void }) {
  const rows = (): [string[], string][] => [
    [[COMMAND, "K"], t().keys.switcher],
    [["Alt", "↓"], t().keys.next],
    [["Alt", "↑"], t().keys.previous],
    [["Alt", "N"], t().keys.newConversation],
    [[COMMAND, "Shift", "F"], t().keys.search],
    [prefs.enterSends ? ["Enter"] : [COMMAND, "Enter"], t().keys.send],
    [prefs.enterSends ? ["Shift", "Enter"] : ["Enter"], t().keys.newLine],
    [["↑"], t().keys.editLast],
    [["↑", "↓"], t().keys.messages],
    [["Enter"], t().keys.messageMenu],
    [["Esc"], t().keys.close],
    [["?"], t().keys.help],
  ];
  return (
    <Dialog title={t().keys.title} onClose={props.close}>
      <dl class="keys">
        <For each={rows()}>
          {([keys, what]) => (
            <div>
              <dt>
                <For each={keys}>{(key) => <kbd>{key}</kbd>}</For>
              </dt>
              <dd>{what}</dd>
            </div>
          )}
        </For>
      </dl>
    </Dialog>
  );
}
