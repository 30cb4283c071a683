/**
 * Files, as far as the whole interface knows of them: that some are attached to what is being written, and that files can be dropped
 * and pasted. The rest, with the module that seals and opens, is loaded with the first one.
 */
import { createSignal, lazy } from "solid-js";
import type { Id } from "../engine/api.ts";
import { SHELVES } from "../engine/files.ts";
import { t } from "../i18n/index.ts";
import { remark } from "../ui/overlay.tsx";

const load = () => import("./files.tsx");
export const Card = lazy(() => load().then(({ Card }) => ({ default: Card })));
export const Tray = lazy(() => load().then(({ Tray }) => ({ default: Tray })));

const NONE: readonly File[] = [];

/** Files that wait for their message to be sent, by conversation. */
const [all, setAll] = createSignal<ReadonlyMap<Id, readonly File[]>>(new Map());
/** Something was once attached, so the tray has something to show, or may have. */
const [wanted, setWanted] = createSignal(false);

export const attached = (conversation: Id): readonly File[] => all().get(conversation) ?? NONE;
export const trayWanted = (conversation: Id): boolean => wanted() || attached(conversation).length > 0;

export function setAttached(conversation: Id, files: readonly File[]): void {
  setAll(new Map(all()).set(conversation, files));
}

/** Adds files to what is being written. */
export function attach(conversation: Id, files: Iterable<File>, folders = false): void {
  const more = [...files];
  void load().then(
    ({ fitting }) => {
      setWanted(true);
      setAttached(conversation, fitting([...attached(conversation), ...more], folders));
    },
    () => remark(t().status.missingFile, true),
  );
}

/** Sends what is attached; `caption` goes with the first file. */
export function sendAttached(conversation: Id, caption: string, replyTo: number | undefined): void {
  const files = attached(conversation);
  setAttached(conversation, NONE);
  void load().then(({ send }) => {
    for (const [at, file] of files.entries()) send(conversation, file, at === 0 ? caption : "", at === 0 ? replyTo : undefined);
  });
}

/** Goes on with files that were on their way when a page was closed, if there are any. */
export async function goOn(): Promise<void> {
  try {
    const shelves = await (await navigator.storage.getDirectory()).getDirectoryHandle(SHELVES);
    if ((await shelves.keys().next()).done) return;
    (await load()).goOn();
    setWanted(true);
  } catch {
    // There are none, or the browser keeps nothing.
  }
}

/** A caption whose file is not sent after all. */
const [returned, setReturned] = createSignal<{ conversation: Id; caption: string }>();
export { returned };

export function giveBack(conversation: Id, caption: string): void {
  setReturned({ conversation, caption });
}

/** A picture or files from the clipboard; what an office program copies is a text, with a picture of it beside. */
export function pasted(conversation: Id, event: ClipboardEvent): void {
  const data = event.clipboardData;
  if (!data?.files.length || data.types.includes("text/rtf")) return;
  event.preventDefault();
  attach(conversation, data.files);
}

const withFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

/** Takes files that are dropped there, as long as `conversation` names one. */
export function droppable(place: HTMLElement, conversation: () => Id | undefined): void {
  const end = (): void => {
    delete place.dataset["drop"];
  };
  place.addEventListener("dragover", (event) => {
    if (!withFiles(event) || !conversation()) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    place.dataset["drop"] = t().composer.drop;
  });
  place.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node && place.contains(event.relatedTarget))) end();
  });
  place.addEventListener("drop", (event) => {
    end();
    const id = conversation();
    if (!id || !withFiles(event)) return;
    event.preventDefault();
    const items = [...(event.dataTransfer?.items ?? [])].filter((item) => item.kind === "file");
    const isFolder = (item: DataTransferItem): boolean => item.webkitGetAsEntry()?.isDirectory ?? false;
    const files = items.filter((item) => !isFolder(item)).flatMap((item) => item.getAsFile() ?? []);
    attach(id, files, files.length < items.length);
  });
}

// A file that is dropped beside would be opened by the browser in place of this page.
for (const kind of ["dragover", "drop"] as const)
  addEventListener(kind, (event) => {
    if (!withFiles(event) || event.defaultPrevented) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
  });
