/** The recovery words, asked for in the settings. */
import { t } from "../i18n/index.ts";
import { Dialog } from "../ui/dialog.tsx";
import { WordList } from "../welcome/words.tsx";

export default function Words(props: { words: string[]; close: () => void }) {
  return (
    <Dialog title={t().words.title} onClose={props.close}>
      <p>{t().words.why}</p>
      <WordList words={props.words} />
    </Dialog>
  );
}
