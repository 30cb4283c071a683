/** Keys that work everywhere. */
import { openCreate, openKeys, openSwitcher } from "../dialogs/open.ts";
import { go, openId, route, to } from "../state/route.ts";
import { dialogIsOpen } from "../ui/overlay.tsx";
import { shownIds } from "./filter.ts";

/** Whether a key would be typed into something. */
export function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) ||
      (target instanceof HTMLInputElement && !["checkbox", "radio", "button"].includes(target.type)))
  );
}

/** The conversation after or before the open one, in the list as it is shown. */
function step(by: number): void {
  const ids = shownIds();
  const at = ids.indexOf(openId() ?? "");
  const next = ids[at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(Math.max(at + by, 0), ids.length - 1)];
  if (next) go(to.conversation(next));
}

function up(): void {
  const here = route();
  if (here.page === "conversation" && here.panel) go(to.conversation(here.id));
  else if (here.page !== "home") go(to.home());
}

export function watchKeys(): () => void {
  const press = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing || dialogIsOpen()) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    let run: (() => void) | undefined;
    if (command && !event.shiftKey && !event.altKey && event.code === "KeyK") run = openSwitcher;
    else if (event.altKey && !command && key === "arrowdown") run = () => step(1);
    else if (event.altKey && !command && key === "arrowup") run = () => step(-1);
    else if (event.altKey && !command && event.code === "KeyN") run = () => openCreate();
    else if (command && event.shiftKey && event.code === "KeyF") {
      const id = openId();
      if (id) run = () => go(to.panel(id, "search"));
    } else if (key === "escape" && !document.querySelector("[popover]:popover-open")) run = up;
    else if (event.key === "?" && !typing(event.target)) run = openKeys;
    if (!run) return;
    event.preventDefault();
    run();
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}
