/** A face for those who have no picture: initials on a colour that is always the same for the same id. */
import { Show } from "solid-js";
import { Icon, type IconName } from "./icon.tsx";

const COLOURS = 8;

export function hueOf(id: string): number {
  let sum = 0;
  for (let at = 0; at < id.length && at < 64; at += 1) sum = (sum * 31 + id.charCodeAt(at)) >>> 0;
  return sum % COLOURS;
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

function initials(name: string): string {
  const words = name.slice(0, 64).trim().split(/[\s._-]+/u).filter(Boolean);
  const first = (word: string | undefined): string =>
    word ? ([...segmenter.segment(word)].find((s) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(s.segment))?.segment ?? "") : "";
  return (first(words[0]) + first(words[1])).toLocaleUpperCase() || "?";
}

export function Avatar(props: { id: string; name: string; icon?: IconName; here?: boolean; size?: "small" | "large" }) {
  return (
    <span class={`avatar hue-${hueOf(props.id)}`} classList={{ [props.size ?? ""]: !!props.size }} aria-hidden="true">
      <Show when={props.icon} fallback={<bdi>{initials(props.name)}</bdi>}>
        {(icon) => <Icon name={icon()} />}
      </Show>
      <Show when={props.here}>
        <span class="here-dot" />
      </Show>
    </span>
  );
}
