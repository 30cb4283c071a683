/** Arrow keys within lists and menus: one stop for Tab, arrows, Home and End inside. */

/** Handles a key on a container; `selector` finds what can have the focus in it, in order. */
export function rove(event: KeyboardEvent, selector: string, horizontal = false): void {
  const [back, on] = horizontal ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
  if (event.defaultPrevented || ![back, on, "Home", "End"].includes(event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
  const container = event.currentTarget as HTMLElement;
  const items = [...container.querySelectorAll<HTMLElement>(selector)].filter((item) => item.offsetParent !== null || item === document.activeElement);
  if (items.length === 0) return;
  const at = items.findIndex((item) => item === document.activeElement || item.contains(document.activeElement));
  const last = items.length - 1;
  const next =
    event.key === "Home" ? 0 : event.key === "End" ? last : event.key === on ? Math.min(at + 1, last) : Math.max(at - 1, 0);
  event.preventDefault();
  event.stopPropagation();
  items[next]?.focus();
}
