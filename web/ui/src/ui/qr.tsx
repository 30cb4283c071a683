/** A QR code as one path, dark on white in both themes: cameras expect it so. */
import { Show } from "solid-js";
import { call } from "../state/app.ts";
import { createLoad } from "./load.ts";

/** The quiet zone that the standard asks for. */
const MARGIN = 4;

export function Qr(props: { text: string; label: string }) {
  const rows = createLoad(
    () => call("qr", { text: props.text }),
    () => props.text,
  );
  const path = (modules: boolean[][]): string =>
    modules
      .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + MARGIN} ${y + MARGIN}h1v1h-1z` : "")))
      .join("");
  return (
    <Show when={rows.value()}>
      {(modules) => (
        <svg
          class="qr"
          role="img"
          aria-label={props.label}
          viewBox={`0 0 ${modules().length + 2 * MARGIN} ${modules().length + 2 * MARGIN}`}
          shape-rendering="crispEdges"
        >
          <rect class="qr-ground" width="100%" height="100%" />
          <path class="qr-dark" d={path(modules())} />
        </svg>
      )}
    </Show>
  );
}
