/** Where the person is, as the address's hash says it: back, forward and links work by themselves. */
import { createSignal } from "solid-js";

export type Panel = "info" | "pins" | "search";

export type Route =
  | { page: "home" }
  | { page: "conversation"; id: string; panel?: Panel; at?: number }
  | { page: "invite"; code: string }
  | { page: "settings" }
  | { page: "operator" };

function parse(hash: string): Route {
  const [first, second, third, fourth] = hash.replace(/^#?\/?/, "").split("/");
  if (first === "c" && second && /^[0-9a-f]{1,64}$/.test(second)) {
    const at = third === "at" ? Number(fourth) : NaN;
    if (Number.isSafeInteger(at) && at >= 0) return { page: "conversation", id: second, at };
    if (third === "info" || third === "pins" || third === "search")
      return { page: "conversation", id: second, panel: third };
    return { page: "conversation", id: second };
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
  line: (id: string, sequence: number) => `#/c/${id}/at/${sequence}`,
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
