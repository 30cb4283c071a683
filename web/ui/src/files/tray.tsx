/** Over the composer: files that go with the message that is being written, and those on their way. */
import { createMemo, For, onCleanup, Show } from "solid-js";
import type { Id } from "../engine/api.ts";
import { bytes } from "../i18n/time.ts";
import { Icon } from "../ui/icon.tsx";
import { explainFile } from "./failure.ts";
import { FileIcon } from "./icon.tsx";
import { attached, giveBack, setAttached } from "./open.ts";
import { Progress } from "./progress.tsx";
import { again, cancel, chooseAgain, type Transfer, transfers } from "./transfers.ts";
import { kindOf, words } from "./words.ts";

/** A picture of one's own larger than this shows no preview: drawing it would take a while. */
const PREVIEW_BYTES_MAX = 20 * 1024 * 1024;
const PREVIEWS = /^image\/(png|jpeg|gif|webp|avif)$/;

/** What was written to go with it comes back into the composer. */
function stop(one: Transfer): void {
  if (one.caption && one.stage !== "saying") giveBack(one.conversation, one.caption);
  cancel(one.id);
}

/** The page was closed, and the browser gives the file to no other one. */
const isAsked = ({ failure }: Transfer): boolean => failure?.code === "file_closed" || failure?.code === "file_other";

function ask(id: number): void {
  const picker = document.createElement("input");
  picker.type = "file";
  picker.onchange = () => {
    const file = picker.files?.[0];
    if (file) chooseAgain(id, file);
  };
  picker.click();
}

export function Tray(props: { conversation: Id }) {
  const files = () => attached(props.conversation);
  const going = createMemo(() => transfers.filter((one) => one.what === "send" && one.conversation === props.conversation));
  return (
    <>
      <Show when={going().length > 0}>
        <ul class="tray" aria-label={words().sending}>
          <For each={going()}>
            {(one) => (
              <li class="tray-row" data-stage={one.failure ? "failed" : one.stage}>
                <span class="file-icon">
                  <FileIcon name={kindOf(one.kind ?? "")} />
                </span>
                <span class="file-text">
                  <span class="file-top">
                    <bdi class="file-name">{one.name}</bdi>
                    <span class="file-size">{bytes(one.bytes)}</span>
                  </span>
                  <Show when={one.caption}>
                    <span class="file-caption" dir="auto">
                      {one.caption}
                    </span>
                  </Show>
                  <Progress of={one} />
                  <Show when={one.failure}>
                    {(failure) => (
                      <span class="file-failure" role="alert" data-code={failure().code}>
                        {explainFile(failure())}
                      </span>
                    )}
                  </Show>
                </span>
                <Show when={one.failure && one.failure.code !== "file_changed"}>
                  <button type="button" class="button quiet small" onClick={() => (isAsked(one) ? ask(one.id) : again(one.id))}>
                    {isAsked(one) ? words().choose : words().again}
                  </button>
                </Show>
                <button type="button" class="icon-button small" aria-label={words().cancelOf(one.name)} title={words().cancel} onClick={() => stop(one)}>
                  <Icon name="close" />
                </button>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={files().length > 0}>
        <ul class="tray attached" aria-label={words().attached}>
          <For each={files()}>
            {(file) => (
              <li class="tray-row">
                <Preview file={file} />
                <span class="file-text">
                  <bdi class="file-name">{file.name}</bdi>
                  <span class="file-size">{bytes(file.size)}</span>
                </span>
                <button
                  type="button"
                  class="icon-button small"
                  aria-label={words().takeOff(file.name)}
                  onClick={() => setAttached(props.conversation, files().filter((one) => one !== file))}
                >
                  <Icon name="close" />
                </button>
              </li>
            )}
          </For>
        </ul>
        <Show when={files().length > 1}>
          <p class="tray-hint hint">{words().caption}</p>
        </Show>
      </Show>
    </>
  );
}

/** What one is about to send oneself; of others' files nothing is shown by its name. */
function Preview(props: { file: File }) {
  const url = PREVIEWS.test(props.file.type) && props.file.size <= PREVIEW_BYTES_MAX ? URL.createObjectURL(props.file) : undefined;
  onCleanup(() => url && URL.revokeObjectURL(url));
  return (
    <span class="file-icon">
      <Show when={url} fallback={<FileIcon name={kindOf(props.file.type)} />}>
        <img src={url} alt="" />
      </Show>
    </span>
  );
}
