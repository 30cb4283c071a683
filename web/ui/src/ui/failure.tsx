/** Failures in the person's language, with what to do next. */
import { createSignal, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { span } from "../i18n/time.ts";
import { failureOf } from "../state/app.ts";

export function explain(error: unknown): string {
  const failure = failureOf(error);
  const known = (t().failures as Record<string, string>)[failure.code];
  const wait = failure.retry_after_ms ? ` (${span(Math.max(1, failure.retry_after_ms / 1000))})` : "";
  const detail = failure.code.startsWith("invalid") && failure.text ? ` ${failure.text}` : "";
  return (known ?? (failure.text || failure.code)) + detail + wait;
}

/** A form's one action: busy while it runs, the failure where it was asked for. */
export function createAction() {
  const [busy, setBusy] = createSignal(false);
  const [failure, setFailure] = createSignal<unknown>();
  async function run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (busy()) return undefined;
    setBusy(true);
    setFailure(undefined);
    try {
      return await work();
    } catch (error) {
      setFailure(error);
      return undefined;
    } finally {
      setBusy(false);
    }
  }
  return { busy, failure, run, reset: () => setFailure(undefined) };
}

export function FailureNote(props: { error: unknown }) {
  return (
    <div role="alert">
      <Show when={props.error}>
        <p class="failure" data-code={failureOf(props.error).code}>
          {explain(props.error)}
        </p>
      </Show>
    </div>
  );
}
