/** A file in a message: what it is, what can be done with it, how far it is; a picture shows itself. */
import { createEffect, createMemo, createSignal, createUniqueId, Match, onCleanup, Show, Switch, untrack } from "solid-js";
import type { Message } from "../engine/api.ts";
import { bytes } from "../i18n/time.ts";
import { conversation, failureOf, nameOf } from "../state/app.ts";
import { prefs } from "../state/prefs.ts";
import { Icon } from "../ui/icon.tsx";
import { openDialog } from "../ui/overlay.tsx";
import { explainFile } from "./failure.ts";
import { FileIcon } from "./icon.tsx";
import type { FileFailure } from "./messages.ts";
import { look, seenOf } from "./preview.ts";
import { fromWhom, Progress } from "./progress.tsx";
import { cancel, MEMORY_BYTES_MAX, type Picture, pause, pictureOf, save, show, transfers } from "./transfers.ts";
import { Viewer } from "./viewer.tsx";
import { kindName, kindOf, words } from "./words.ts";

/** What may turn out to be a picture: the content decides. */
const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/;

export function Card(props: { message: Message; tab: boolean }) {
  const file = createMemo(() => props.message.file ?? { name: "", bytes: 0, media_type: "", root: "" });
  const id = createUniqueId();
  const [refused, setRefused] = createSignal<FileFailure>();
  const mine = (what: "save" | "show") =>
    transfers.find((one) => one.what === what && one.conversation === props.message.conversation && one.sequence === props.message.sequence);
  const saving = createMemo(() => mine("save"));
  const showing = createMemo(() => mine("show"));
  const picture = createMemo(() => pictureOf(props.message));
  const mayShow = (): boolean => PICTURES.test(file().media_type) && file().bytes <= MEMORY_BYTES_MAX;
  const failure = (): FileFailure | undefined => refused() ?? saving()?.failure ?? showing()?.failure;
  const tab = () => (props.tab ? 0 : -1);
  /** Whoever wants no picture to show itself wants no small one either. */
  const wanted = (): boolean => prefs.pictureBytes > 0 || !!showing();
  /** What is shown above the line: the picture, else the small one that came with it, whose place is kept until it is there. */
  const shown = createMemo((): Picture | undefined => {
    const whole = picture();
    const { preview } = props.message;
    return whole ?? (whole === undefined && preview && wanted() ? { url: seenOf(props.message) ?? "", ...preview } : undefined);
  });
  createEffect(() => {
    if (props.message.preview && wanted() && !picture()) untrack(() => look(props.message));
  });

  function open(): void {
    if (!picture()) show(props.message);
    // While the dialog is open, what it shows may be deleted.
    const last = (before?: Picture): Picture | undefined => shown() ?? before;
    openDialog((close) => {
      const seen = createMemo(last);
      return <Viewer picture={seen() ?? { url: "", width: 1, height: 1 }} name={file().name} onSave={saveIt} close={close} />;
    });
  }

  createEffect(() => {
    if (mayShow() && file().bytes <= prefs.pictureBytes && picture() === undefined && !showing()) untrack(() => show(props.message));
  });
  // Who has scrolled past it does not wait for it any more.
  onCleanup(() => {
    const left = showing();
    if (left) cancel(left.id);
  });

  function saveIt(): void {
    setRefused(undefined);
    save(props.message).catch((error: unknown) => setRefused(failureOf(error) as FileFailure));
  }

  const savedText = (): string => {
    const is = saving()?.kind ?? "";
    const differs = is !== file().media_type && kindOf(is) !== kindOf(file().media_type);
    return differs ? words().savedAs(kindName(file().media_type), kindName(is)) : words().saved;
  };
  /** Who sent what is not the file's. */
  const liars = (): string => {
    const accounts = new Set(saving()?.dropped ?? []);
    return [...accounts].map((account) => nameOf(account, conversation(props.message.conversation))).join(", ");
  };
  /** All is here of what was begun before the page was closed; a click says where to. */
  const isReady = (): boolean => saving()?.stage === "ready" && !saving()?.failure;
  const moving = (): boolean => !!saving() && !saving()?.failure && saving()?.stage !== "done" && !isReady();
  return (
    <div class="file" role="group" aria-labelledby={id} onDblClick={(event) => event.stopPropagation()}>
      <Switch>
        <Match when={shown() && mayShow()}>
          <button type="button" class="file-picture" tabindex={tab()} aria-label={words().openOf(file().name)} aria-busy={!picture()} onClick={open}>
            <Small of={shown()} alt="" />
          </button>
        </Match>
        <Match when={shown()}>
          <div class="file-picture still">
            <Small of={shown()} alt={words().previewOf(file().name)} />
          </div>
        </Match>
        <Match when={showing() && !showing()?.failure}>
          <div class="file-picture waiting" role="status" aria-label={words().loading}>
            <FileIcon name="image" />
          </div>
        </Match>
      </Switch>
      <div class="file-row">
        <Show when={!(shown() && mayShow())}>
          <span class="file-icon">
            <FileIcon name={kindOf(file().media_type)} />
          </span>
        </Show>
        <span class="file-text">
          <bdi class="file-name" id={id}>
            {file().name}
          </bdi>
          <span class="file-size" title={file().media_type}>
            {bytes(file().bytes)} · {kindName(file().media_type)}
          </span>
        </span>
        <Show when={!moving()}>
          <Show when={mayShow() && picture() === undefined && (!showing() || showing()?.failure)}>
            <button type="button" class="button quiet small" tabindex={tab()} aria-label={words().showOf(file().name)} onClick={() => show(props.message)}>
              {words().show}
            </button>
          </Show>
          <button type="button" class="icon-button small file-save" tabindex={tab()} aria-label={words().saveOf(file().name)} title={words().save} onClick={saveIt}>
            <FileIcon name="save" />
          </button>
        </Show>
        <Show when={(moving() || isReady()) && saving()}>
          {(one) => (
            <>
              <Show when={moving()}>
                <button
                  type="button"
                  class="icon-button small"
                  tabindex={tab()}
                  aria-label={one().paused ? words().resume : words().pause}
                  onClick={() => pause(one().id, !one().paused)}
                >
                  <FileIcon name={one().paused ? "resume" : "pause"} />
                </button>
              </Show>
              <button type="button" class="icon-button small" tabindex={tab()} aria-label={words().cancelOf(file().name)} title={words().cancel} onClick={() => cancel(one().id)}>
                <Icon name="close" />
              </button>
            </>
          )}
        </Show>
      </div>
      <Show when={saving()}>{(one) => <Progress of={one()} />}</Show>
      <Show when={picture() === null}>
        <p class="file-note">{words().noPicture}</p>
      </Show>
      <Show when={saving()?.stage === "done"}>
        <p class="file-note" role="status">
          {savedText()}
        </p>
      </Show>
      <Show when={saving()?.stage === "done" && saving()}>
        {(one) => (
          <Show when={fromWhom(one())}>
            {(from) => <p class="file-note file-from">{from()}</p>}
          </Show>
        )}
      </Show>
      <Show when={liars()}>
        {(names) => (
          <p class="file-failure" role="alert" data-code="dropped">
            {words().dropped(names())}
          </p>
        )}
      </Show>
      <Show when={failure()}>
        {(why) => (
          // What nobody asked for is not announced.
          <p class="file-failure" role={refused() || saving()?.failure ? "alert" : undefined} data-code={why().code}>
            {explainFile(why())}
          </p>
        )}
      </Show>
    </div>
  );
}

/** A picture in the room that it will take, which is there before anything is drawn: no line moves when it comes. */
function Small(props: { of: Picture | undefined; alt: string }) {
  return (
    <span class="file-room" style={{ "--wide": String(props.of?.width ?? 1), "--high": String(props.of?.height ?? 1) }}>
      <Show when={props.of?.url}>{(url) => <img src={url()} alt={props.alt} draggable={false} />}</Show>
    </span>
  );
}
