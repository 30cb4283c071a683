/** The safety number: two people compare it by another way, so that nobody can stand between them. */
import { For, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { call, nameOf, refresh } from "../state/app.ts";
import { Dialog } from "../ui/dialog.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";
import { remark } from "../ui/overlay.tsx";
import { Qr } from "../ui/qr.tsx";
import { isolated } from "../chat/notice.ts";

export default function Safety(props: { account: string; close: () => void }) {
  const contact = createLoad(() => call("contact", { account: props.account }));
  const action = createAction();
  const name = (): string => isolated(contact.value()?.username || nameOf(props.account));
  const groups = (): string[] => contact.value()?.safety_number?.replace(/\D/gu, "").match(/.{1,5}/gu) ?? [];
  async function confirm(): Promise<void> {
    const key = contact.value()?.identity_key;
    if (!key) return;
    await action.run(async () => {
      await call("verify", { account: props.account, identity_key: key });
      remark(t().safety.marked);
      await contact.again();
      await refresh(props.account);
    });
  }
  return (
    <Dialog title={t().safety.title} onClose={props.close}>
      <Show when={!contact.error()} fallback={<FailureNote error={contact.error()} />}>
        <Show
          when={groups().length > 0}
          fallback={
            <p class="hint" role="status">
              {contact.loading() ? t().common.loading : t().safety.unknown}
            </p>
          }
        >
          <p>{t().safety.explain(name())}</p>
          <ol class="digits" aria-label={t().safety.number} translate="no">
            <For each={groups()}>{(group) => <li>{group}</li>}</For>
          </ol>
          <Show when={contact.value()?.qr_text}>{(text) => <Qr text={text()} label={t().safety.qr} />}</Show>
          <FailureNote error={action.failure()} />
          <Show
            when={!contact.value()?.verified}
            fallback={
              <p class="note good" role="status">
                <Icon name="shield" />
                <span>{t().safety.verified(name())}</span>
              </p>
            }
          >
            <button type="button" class="button primary wide" disabled={action.busy()} onClick={() => void confirm()}>
              <Icon name="shield" />
              {t().safety.confirm}
            </button>
          </Show>
        </Show>
      </Show>
    </Dialog>
  );
}
