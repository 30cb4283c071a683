/** Everything about files that is not there from the start. */
import "../styles/files.css";
import { remark } from "../ui/overlay.tsx";
import { words } from "./words.ts";

export { Card } from "./card.tsx";
export { goOn, send } from "./transfers.ts";
export { Tray } from "./tray.tsx";

/** Files that go with one message text. */
const FILES_MAX = 30;

/** What can be sent of what was chosen; says what cannot. */
export function fitting(files: readonly File[], folders: boolean): readonly File[] {
  if (folders) remark(words().folder, true);
  if (files.length > FILES_MAX) remark(words().tooMany(FILES_MAX), true);
  return files.slice(0, FILES_MAX);
}
