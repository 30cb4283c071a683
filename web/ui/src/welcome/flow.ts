/** What outlives the screens of signing in: new words until somebody wrote them down, and an invite until it is used. */
import { createSignal } from "solid-js";
import { t } from "../i18n/index.ts";
import { call, conversation, enter } from "../state/app.ts";
import { go, replace, route, to } from "../state/route.ts";
import { remark } from "../ui/overlay.tsx";

const [newWords, setNewWords] = createSignal<string[]>();
export { newWords, setNewWords };

/** Somebody is on the way in: the first screen stays until its last step is done. */
const [atTheDoor, setAtTheDoor] = createSignal(false);
export { atTheDoor, setAtTheDoor };

const [invite, setInvite] = createSignal("");
export { invite, setInvite };

/** Takes the code out of the address, so that it stays in no history. */
export function takeInvite(): string {
  const here = route();
  if (here.page === "invite") {
    setInvite(here.code);
    replace(to.home());
  }
  return invite();
}

/** Uses an invite and opens the conversation that it leads into. Fails as the call fails. */
export async function redeem(code: string): Promise<void> {
  setInvite("");
  const { conversation: id } = await call("redeem", { code: code.trim() });
  if (id === null) {
    remark(t().invite.redeemed);
    return;
  }
  await enter(id);
  go(to.conversation(id));
  const joined = conversation(id);
  remark(joined?.title ? t().invite.joined(joined.title) : t().invite.redeemed);
}
