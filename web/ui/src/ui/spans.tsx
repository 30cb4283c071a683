/** Texts of others, in the pieces that the engine cut them into. They only ever become text nodes. */
import { For, type JSX } from "solid-js";
import type { Span } from "../engine/api.ts";

export function Spans(props: { spans: readonly Span[]; find?: readonly string[]; plain?: boolean }) {
  return <For each={props.spans}>{(span) => piece(span, props.find, props.plain)}</For>;
}

function piece(span: Span, find: readonly string[] | undefined, plain: boolean | undefined): JSX.Element {
  const text = find?.length ? <Marked text={span.text} words={find} /> : span.text;
  if (plain) return text;
  if (span.code_block) return <pre class="code-block" tabindex="0">{text}</pre>;
  let shown: JSX.Element = text;
  if (span.code) shown = <code>{shown}</code>;
  if (span.bold) shown = <strong>{shown}</strong>;
  if (span.italic) shown = <em>{shown}</em>;
  if (span.strike) shown = <s>{shown}</s>;
  const link = span.link === undefined ? undefined : safeLink(span.link);
  if (link)
    shown = (
      <a href={link} target="_blank" rel="noopener noreferrer nofollow" title={link}>
        {shown}
      </a>
    );
  if (span.quote) shown = <q class="quoted">{shown}</q>;
  return shown;
}

/** The engine promises http or https; a promise about other people's input is checked where it is used. */
function safeLink(link: string): string | undefined {
  return /^https?:\/\//i.test(link) && URL.canParse(link) ? link : undefined;
}

/** The text of a message in one line, for lists and excerpts. */
export function plainText(spans: readonly Span[] | undefined, limit = 200): string {
  let text = "";
  for (const span of spans ?? []) {
    text += span.text;
    if (text.length > limit) break;
  }
  return text.slice(0, limit).replace(/\s+/gu, " ");
}

/** Marks where words begin that were searched for. */
export function Marked(props: { text: string; words: readonly string[] }) {
  const pieces = (): { text: string; hit: boolean }[] => {
    const words = props.words.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/gu, "\\$&"));
    if (words.length === 0) return [{ text: props.text, hit: false }];
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})[\\p{L}\\p{N}]*`, "giu");
    const found: { text: string; hit: boolean }[] = [];
    let from = 0;
    for (const match of props.text.matchAll(pattern)) {
      if (match.index > from) found.push({ text: props.text.slice(from, match.index), hit: false });
      found.push({ text: match[0], hit: true });
      from = match.index + match[0].length;
    }
    if (from < props.text.length) found.push({ text: props.text.slice(from), hit: false });
    return found;
  };
  return <For each={pieces()}>{(one) => (one.hit ? <mark>{one.text}</mark> : one.text)}</For>;
}

export function wordsOf(query: string): string[] {
  return query.split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 16);
}
