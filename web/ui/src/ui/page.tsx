/** A page in place of a conversation: a head that leads back, a title that has the focus first, and what stands below. */
import { onMount, type JSX } from "solid-js";
import { t } from "../i18n/index.ts";
import { Icon } from "./icon.tsx";

export function Page(props: { title: string; children: JSX.Element }) {
  let title!: HTMLHeadingElement;
  onMount(() => title.focus());
  return (
    <div class="page">
      <header class="chat-head">
        <a class="icon-button back" href="#/" aria-label={t().common.back}>
          <Icon name="back" />
        </a>
        <h1 ref={title} tabindex="-1" class="page-title">
          {props.title}
        </h1>
      </header>
      {props.children}
    </div>
  );
}
