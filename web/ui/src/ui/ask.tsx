/** A dialog that asks one thing: what it asks, the failure where it was asked for, and one button. It closes when the work is done. */
import type { JSX } from "solid-js";
import { Dialog } from "./dialog.tsx";
import { createAction, FailureNote } from "./failure.tsx";

export function AskDialog(props: {
  title: string;
  /** What the button says, and while the work goes on. */
  submit: string;
  submitting?: string;
  wide?: boolean;
  work: () => Promise<unknown>;
  onClose: () => void;
  children: JSX.Element;
}) {
  const action = createAction();
  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const done = await action.run(async () => {
      await props.work();
      return true;
    });
    if (done) props.onClose();
  }
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        {props.children}
        <FailureNote error={action.failure()} />
        <button type="submit" class="button primary" classList={{ wide: props.wide ?? false }} disabled={action.busy()}>
          {action.busy() ? (props.submitting ?? props.submit) : props.submit}
        </button>
      </form>
    </Dialog>
  );
}
