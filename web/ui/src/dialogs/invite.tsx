/** An invite: made with limits, then shown as links and as a QR code. */
import { createSignal, Show } from "solid-js";
import type { Invite } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { call } from "../state/app.ts";
import { Copyable } from "../ui/copyable.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Choice } from "../ui/field.tsx";
import { Qr } from "../ui/qr.tsx";

const HOUR = 3_600;
const USES = ["1", "5", "20", "100"] as const;

export default function InviteLink(props: { conversation?: string; close: () => void }) {
  const [uses, setUses] = createSignal<string>("1");
  const [expires, setExpires] = createSignal(String(72 * HOUR));
  const [made, setMade] = createSignal<Invite>();
  const action = createAction();
  const spans = (): [string, string][] => [
    [String(HOUR), t().invite.hours(1)],
    [String(24 * HOUR), t().invite.days(1)],
    [String(72 * HOUR), t().invite.days(3)],
    [String(168 * HOUR), t().invite.days(7)],
  ];
  return (
    <Dialog title={props.conversation ? t().invite.title : t().invite.relayTitle} onClose={props.close}>
      <p class="hint">{props.conversation ? t().invite.explain : t().invite.relayExplain}</p>
      <Show
        when={made()}
        fallback={
          <form
            class="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void action.run(async () => {
                const invite = await call("invite", {
                  uses: Number(uses()),
                  expires_in: Number(expires()),
                  ...(props.conversation && { conversation: props.conversation }),
                });
                setMade(invite);
              });
            }}
          >
            <div class="two">
              <Choice label={t().invite.uses} value={uses()} options={USES.map((one) => [one, one] as const)} onValue={setUses} />
              <Choice label={t().invite.expires} value={expires()} options={spans()} onValue={setExpires} />
            </div>
            <FailureNote error={action.failure()} />
            <button type="submit" class="button primary wide" disabled={action.busy()} data-focus>
              {t().invite.make}
            </button>
          </form>
        }
      >
        {(invite) => (
          <div class="stack">
            <Qr text={invite().web} label={t().invite.qr} />
            <Copyable label={t().invite.web} text={invite().web} />
            <Copyable label={t().invite.node} text={invite().link} />
            <Copyable label={t().invite.code} text={invite().code} />
            <Show when={"share" in navigator}>
              <button
                type="button"
                class="button quiet"
                onClick={() => void navigator.share({ url: invite().web }).catch(() => undefined)}
              >
                {t().invite.share}
              </button>
            </Show>
          </div>
        )}
      </Show>
    </Dialog>
  );
}
