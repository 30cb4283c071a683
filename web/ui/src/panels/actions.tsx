/** Changes of a conversation that ask something first: its name, its timer, leaving it. */
import { createSignal } from "solid-js";
import { t } from "../i18n/index.ts";
import { span } from "../i18n/time.ts";
import { call, type Conversation } from "../state/app.ts";
import { AskDialog } from "../ui/ask.tsx";
import { Choice, Field } from "../ui/field.tsx";
import { attempt, confirmed, openDialog } from "../ui/overlay.tsx";

/** The longest name that the protocol carries. */
export const NAME_BYTES_MAX = 64;
const TIMERS = [30, 300, 3_600, 28_800, 86_400, 604_800, 2_419_200];

export function askRename(one: Conversation): void {
  openDialog((close) => {
    const [name, setName] = createSignal(one.name);
    return (
      <AskDialog
        title={t().info.rename}
        submit={t().common.save}
        work={() => call("rename", { conversation: one.conversation, name: name().trim() })}
        onClose={close}
      >
        <Field label={t().info.name} value={name()} onValue={setName} maxlength={NAME_BYTES_MAX} focus />
      </AskDialog>
    );
  });
}

export function askTimer(one: Conversation): void {
  openDialog((close) => {
    const [value, setValue] = createSignal(String(one.timer ?? 0));
    const choices = (): [string, string][] => [
      ["0", t().info.timerOff],
      ...[...new Set([...TIMERS, ...(one.timer ? [one.timer] : [])])]
        .sort((a, b) => a - b)
        .map((seconds): [string, string] => [String(seconds), span(seconds)]),
    ];
    return (
      <AskDialog
        title={t().info.timer}
        submit={t().common.save}
        work={() => call("set_timer", { conversation: one.conversation, seconds: Number(value()) || null })}
        onClose={close}
      >
        <p class="hint">{t().info.timerExplain}</p>
        <Choice label={t().info.timer} value={value()} options={choices()} onValue={setValue} />
      </AskDialog>
    );
  });
}

export async function askLeave(one: Conversation): Promise<void> {
  if (await confirmed(t().info.leaveSure, t().info.leave))
    await attempt(() => call("leave", { conversation: one.conversation }));
}

/** Usernames as people type them into one field. */
export function usernames(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/u).map((name) => name.replace(/^@/u, "")).filter(Boolean))];
}
