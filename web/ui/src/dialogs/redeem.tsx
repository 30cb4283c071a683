/** An invite link that somebody opened who is signed in already. */
import { t } from "../i18n/index.ts";
import { redeem, setInvite } from "../welcome/flow.ts";
import { Dialog } from "../ui/dialog.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";

export default function Redeem(props: { code: string; close: () => void }) {
  const action = createAction();
  const close = (): void => {
    setInvite("");
    props.close();
  };
  return (
    <Dialog
      title={t().invite.join}
      onClose={close}
      footer={
        <>
          <button type="button" class="button quiet" onClick={close}>
            {t().common.cancel}
          </button>
          <button
            type="button"
            class="button primary"
            data-focus
            disabled={action.busy()}
            onClick={() =>
              void action.run(async () => {
                await redeem(props.code);
                props.close();
              })
            }
          >
            {action.busy() ? t().invite.joining : t().invite.join}
          </button>
        </>
      }
    >
      <p>{t().invite.ask}</p>
      <FailureNote error={action.failure()} />
    </Dialog>
  );
}
