/** The recovery words of a new account, shown once. Nothing else can be done before somebody says that they are kept. */
import { createSignal, For } from "solid-js";
import { t } from "../i18n/index.ts";
import { app } from "../state/app.ts";
import { keepForGood } from "../state/install.ts";
import { Icon } from "../ui/icon.tsx";
import { copyText } from "../ui/overlay.tsx";
import { setNewWords } from "./flow.ts";

export default function NewWords(props: { words: string[] }) {
  const [kept, setKept] = createSignal(false);
  function done(): void {
    keepForGood();
    setNewWords(undefined);
  }
  return (
    <main class="welcome">
      <section class="card words-card" aria-labelledby="words-title">
        <h1 id="words-title">{t().words.title}</h1>
        <p>{t().words.why}</p>
        <WordList words={props.words} />
        <label class="check-row">
          <input type="checkbox" checked={kept()} onChange={(event) => setKept(event.currentTarget.checked)} />
          <span>{t().words.written}</span>
        </label>
        <button type="button" class="button primary wide" disabled={!kept()} onClick={done}>
          {t().common.done}
        </button>
      </section>
    </main>
  );
}

/** The words with their numbers, and two ways to take them along. */
export function WordList(props: { words: string[] }) {
  const text = (): string => props.words.map((word, at) => `${at + 1}. ${word}`).join("\n");
  function download(): void {
    const header = `${t().words.file}: ${app.state?.username ?? ""} @ ${location.host}\n\n`;
    const url = URL.createObjectURL(new Blob([header, text(), "\n"], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `sotto-recovery-${(app.state?.username ?? "words").replace(/[^\p{L}\p{N}_-]/gu, "_")}.txt`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
  return (
    <>
      <ol class="words" translate="no">
        <For each={props.words}>{(word) => <li>{word}</li>}</For>
      </ol>
      <div class="row">
        <button type="button" class="button quiet" onClick={() => void copyText(props.words.join(" "))}>
          <Icon name="copy" />
          {t().common.copy}
        </button>
        <button type="button" class="button quiet" onClick={download}>
          <Icon name="down" />
          {t().words.download}
        </button>
      </div>
    </>
  );
}
