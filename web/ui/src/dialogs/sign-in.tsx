/** Signing in again after the relay ended the session; keys and history are still here. */
import { createSignal } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, call } from "../state/app.ts";
import { Dialog } from "../ui/dialog.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Field } from "../ui/field.tsx";

export default function SignInAgain(props: { close: () => void }) {
  const [password, setPassword] = createSignal("");
  const action = createAction();
  return (
    <Dialog title={t().status.signInAgain} onClose={props.close}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void action
            .run(async () => {
              await call("sign_in", { name: app.state?.username ?? "", password: password() });
              return true;
            })
            .then((done) => done && props.close());
        }}
      >
        <p class="hint">
          {t().settings.signedInAs} <bdi>{app.state?.username}</bdi>
        </p>
        <input type="text" name="username" autocomplete="username" value={app.state?.username ?? ""} hidden readonly />
        <Field
          label={t().welcome.password}
          type="password"
          value={password()}
          onValue={setPassword}
          autocomplete="current-password"
          maxlength={256}
          required
          focus
        />
        <FailureNote error={action.failure()} />
        <button type="submit" class="button primary wide" disabled={action.busy()}>
          {action.busy() ? t().welcome.signingIn : t().welcome.signIn}
        </button>
      </form>
    </Dialog>
  );
}
