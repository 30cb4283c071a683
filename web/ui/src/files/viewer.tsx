/** A picture over the whole window, to be looked at closely: by keys, wheel and pointer. */
import { createEffect, createSignal, on, onCleanup, onMount, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { Icon } from "../ui/icon.tsx";
import { FileIcon } from "./icon.tsx";
import type { Picture } from "./transfers.ts";
import { words } from "./words.ts";

const STEP = 1.4;
const LARGEST = 8;
/** Between a whole picture and the edges of the window, both sides together. */
const MARGIN = 32;

export function Viewer(props: { picture: Picture; name: string; onSave: () => void; close: () => void }) {
  let dialog!: HTMLDialogElement;
  let stage!: HTMLDivElement;
  let image!: HTMLImageElement;
  const before = document.activeElement;
  const [whole, setWhole] = createSignal(1);
  /** Undefined: as large as the window allows, and no larger than it is. */
  const [scale, setScale] = createSignal<number>();
  const now = (): number => scale() ?? whole();

  function fit(): void {
    const { width, height } = props.picture;
    setWhole(Math.min(1, (stage.clientWidth - MARGIN) / width, (stage.clientHeight - MARGIN) / height));
    draw();
  }

  function draw(): void {
    image.style.setProperty("width", `${Math.max(1, props.picture.width * now())}px`);
  }

  /** Keeps the point under the pointer, or the middle, where it is. */
  function zoom(by: number, x = stage.clientWidth / 2, y = stage.clientHeight / 2): void {
    const from = now();
    const to = Math.min(Math.max(from * by, whole()), LARGEST);
    const [left, top] = [stage.scrollLeft + x, stage.scrollTop + y];
    setScale(to <= whole() ? undefined : to);
    draw();
    stage.scrollTo((left * to) / from - x, (top * to) / from - y);
  }

  function all(): void {
    setScale(undefined);
    draw();
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = stage.clientHeight / 6;
    const keys: Record<string, () => void> = {
      "+": () => zoom(STEP),
      "=": () => zoom(STEP),
      "-": () => zoom(1 / STEP),
      "0": all,
      ArrowLeft: () => stage.scrollBy(-step, 0),
      ArrowRight: () => stage.scrollBy(step, 0),
      ArrowUp: () => stage.scrollBy(0, -step),
      ArrowDown: () => stage.scrollBy(0, step),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  let held: { x: number; y: number; left: number; top: number } | undefined;
  onMount(() => {
    dialog.showModal();
    stage.focus();
    // The whole picture takes the place of its preview, as large as that was drawn.
    createEffect(on(() => [props.picture.width, props.picture.height], fit));
    const watch = new ResizeObserver(fit);
    watch.observe(dialog);
    onCleanup(() => watch.disconnect());
  });
  onCleanup(() => {
    dialog.close();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  return (
    <dialog
      ref={dialog}
      class="viewer"
      aria-label={`${words().viewer}: ${props.name}`}
      on:cancel={(event) => {
        event.preventDefault();
        props.close();
      }}
      on:close={() => dialog.isConnected && props.close()}
      onKeyDown={press}
    >
      <header class="viewer-head">
        <bdi class="viewer-name">{props.name}</bdi>
        <span class="viewer-scale" aria-live="polite">
          {words().zoom(Math.round(now() * 100))}
        </span>
        <button type="button" class="icon-button" aria-label={words().zoomOut} disabled={scale() === undefined} onClick={() => zoom(1 / STEP)}>
          <FileIcon name="out" />
        </button>
        <button type="button" class="icon-button" aria-label={words().zoomIn} disabled={now() >= LARGEST} onClick={() => zoom(STEP)}>
          <FileIcon name="in" />
        </button>
        <Show when={scale() !== undefined}>
          <button type="button" class="icon-button" aria-label={words().zoomFit} onClick={all}>
            <FileIcon name="fit" />
          </button>
        </Show>
        <button type="button" class="icon-button" aria-label={words().saveOf(props.name)} onClick={() => props.onSave()}>
          <FileIcon name="save" />
        </button>
        <button type="button" class="icon-button" aria-label={t().common.close} onClick={() => props.close()}>
          <Icon name="close" />
        </button>
      </header>
      <div
        ref={stage}
        class="viewer-stage"
        classList={{ larger: scale() !== undefined }}
        tabindex="0"
        role="img"
        aria-label={props.name}
        on:wheel={{
          handleEvent: (event: WheelEvent) => {
            event.preventDefault();
            const box = stage.getBoundingClientRect();
            zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientX - box.left, event.clientY - box.top);
          },
          passive: false,
        }}
        onDblClick={(event) => {
          const box = stage.getBoundingClientRect();
          if (scale() === undefined) zoom(Math.max(2, 1 / whole()), event.clientX - box.left, event.clientY - box.top);
          else all();
        }}
        onPointerDown={(event) => {
          if (event.pointerType !== "mouse" || event.button !== 0) return;
          held = { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop };
          stage.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => held && stage.scrollTo(held.left + held.x - event.clientX, held.top + held.y - event.clientY)}
        onPointerUp={() => (held = undefined)}
        onPointerCancel={() => (held = undefined)}
      >
        <img ref={image} src={props.picture.url || undefined} width={props.picture.width} height={props.picture.height} alt="" draggable={false} />
      </div>
    </dialog>
  );
}
