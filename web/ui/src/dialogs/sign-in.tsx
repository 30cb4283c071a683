/** Signing in again after the relay ended the session; keys and history are still here. */
import { createSignal } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, call } from "../state/app.ts";
import { AskDialog } from "../ui/ask.tsx";
import { Field } from "../ui/field.tsx";

export default function SignInAgain(props: { close: () => void }) {
  const [password, setPassword] = createSignal("");
  return (
    <AskDialog
      title={t().status.signInAgain}
      submit={t().welcome.signIn}
      submitting={t().welcome.signingIn}
      wide
      work={() => call("sign_in", { name: app.state?.username ?? "", password: password() })}
      onClose={props.close}
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
    </AskDialog>
  );
}
