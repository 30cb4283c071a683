/** Where the person is, as the address's hash says it: back, forward and links work by themselves. */
import { createSignal } from "solid-js";

const PANELS = ["info", "pins", "search"] as const;
export type Panel = (typeof PANELS)[number];

export type Route =
  | { page: "home" }
  | { page: "conversation"; id: string; panel?: Panel; at?: number }
  | { page: "invite"; code: string }
  | { page: "settings" }
  | { page: "operator" };

/** A panel has room beside the conversation (`styles/panels.css`). */
const wide = matchMedia("(min-width: 1100px)");

function parse(hash: string): Route {
  const [first, second, third, fourth, fifth] = hash.replace(/^#?\/?/, "").split("/");
  if (first === "c" && second && /^[0-9a-f]{1,64}$/.test(second)) {
    const at = third === "at" ? Number(fourth) : NaN;
    const panel = PANELS.find((one) => one === (third === "at" ? fifth : third));
    return {
      page: "conversation",
      id: second,
      ...(panel && { panel }),
      ...(Number.isSafeInteger(at) && at >= 0 && { at }),
    };
  }
  if (first === "i" && second) return { page: "invite", code: decode(second) };
  if (first === "settings" || first === "operator") return { page: first };
  return { page: "home" };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const [route, setRoute] = createSignal<Route>(parse(location.hash));
export { route };

addEventListener("hashchange", () => setRoute(parse(location.hash)));

export const to = {
  home: () => "#/",
  conversation: (id: string) => `#/c/${id}`,
  panel: (id: string, panel: Panel) => `#/c/${id}/${panel}`,
  /** A line; where there is room, the panel that led there stays. */
  line: (id: string, sequence: number, panel?: Panel) =>
    `#/c/${id}/at/${sequence}${panel && wide.matches ? `/${panel}` : ""}`,
  settings: () => "#/settings",
  operator: () => "#/operator",
};

export function go(hash: string): void {
  if (location.hash === hash) setRoute(parse(hash));
  else location.hash = hash;
}

/** The same, without a step for the back button. */
export function replace(hash: string): void {
  history.replaceState(null, "", hash);
  setRoute(parse(hash));
}

/** The conversation on the screen, if there is one. */
export function openId(): string | undefined {
  const here = route();
  return here.page === "conversation" ? here.id : undefined;
}
