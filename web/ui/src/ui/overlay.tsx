/** What lies over everything: questions, dialogs opened from anywhere, and short remarks. */
import { createSignal, For, Show, type JSX } from "solid-js";
import { Portal } from "solid-js/web";
import { t } from "../i18n/index.ts";
import { explain } from "./failure.tsx";
import { Dialog } from "./dialog.tsx";

type Make = (close: () => void) => JSX.Element;

interface Layer {
  number: number;
  make: Make;
  closed?: () => void;
}

const [layers, setLayers] = createSignal<Layer[]>([]);
let last = 0;

/** Opens a dialog; the result closes it. */
export function openDialog(make: Make, closed?: () => void): () => void {
  const number = (last += 1);
  setLayers((all) => [...all, { number, make, ...(closed && { closed }) }]);
  return () => close(number);
}

function close(number: number): void {
  const layer = layers().find((one) => one.number === number);
  if (!layer) return;
  setLayers((all) => all.filter((one) => one.number !== number));
  layer.closed?.();
}

export function dialogIsOpen(): boolean {
  return layers().length > 0;
}

/** Asks before something that cannot be taken back. */
export function confirmed(question: string, yes: string, danger = true): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  openDialog(
    (done) => (
      <Dialog
        title={yes}
        onClose={done}
        footer={
          <>
            <button type="button" class="button quiet" onClick={done}>
              {t().common.cancel}
            </button>
            <button
              type="button"
              class="button"
              classList={{ danger }}
              data-focus
              onClick={() => {
                resolve(true);
                done();
              }}
            >
              {yes}
            </button>
          </>
        }
      >
        <p class="question">{question}</p>
      </Dialog>
    ),
    () => resolve(false),
  );
  return promise;
}

interface Toast {
  number: number;
  text: string;
  bad: boolean;
}

const [toasts, setToasts] = createSignal<Toast[]>([]);
/** Long enough to read two lines. */
const TOAST_MS = 6_000;
const TOASTS_MAX = 3;

export function remark(text: string, bad = false): void {
  const number = (last += 1);
  setToasts((all) => [...all.filter((one) => one.text !== text).slice(1 - TOASTS_MAX), { number, text, bad }]);
  setTimeout(() => setToasts((all) => all.filter((one) => one.number !== number)), TOAST_MS);
}

/** For what somebody clicked and that failed: says so. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    remark(explain(error), true);
    return undefined;
  }
}

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    remark(t().common.copied);
  } catch (error) {
    remark(explain(error), true);
  }
}

export function Overlay() {
  return (
    <>
      <For each={layers()}>{(layer) => <Portal>{layer.make(() => close(layer.number))}</Portal>}</For>
      <div class="toasts" role="status" aria-live="polite">
        <For each={toasts()}>
          {(toast) => (
            <div class="toast" classList={{ bad: toast.bad }}>
              <span>{toast.text}</span>
              <Show when={toast.bad}>
                <button
                  type="button"
                  class="link"
                  onClick={() => setToasts((all) => all.filter((one) => one.number !== toast.number))}
                >
                  {t().common.dismiss}
                </button>
              </Show>
            </div>
          )}
        </For>
      </div>
    </>
  );
}
