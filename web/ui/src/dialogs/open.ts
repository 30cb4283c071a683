/**
 * Opens dialogs from anywhere; each is loaded when it is wanted first. Only the switcher is here from the start: whoever opens it goes
 * on typing at once, and that must not end up in the conversation.
 */
import { createComponent, lazy, Suspense, type Component } from "solid-js";
import type { Id } from "../engine/api.ts";
import { openDialog } from "../ui/overlay.tsx";
import Switcher from "./switcher.tsx";

interface Closing {
  close: () => void;
}

function show<P extends object>(component: Component<P & Closing>, props: P): void {
  openDialog((close) =>
    createComponent(Suspense, {
      get children() {
        return createComponent(component, { ...props, close });
      },
    }),
  );
}

const Create = lazy(() => import("./create.tsx"));
const InviteLink = lazy(() => import("./invite.tsx"));
const Safety = lazy(() => import("./safety.tsx"));
const Keys = lazy(() => import("./keys.tsx"));
const SignInAgain = lazy(() => import("./sign-in.tsx"));
const Redeem = lazy(() => import("./redeem.tsx"));
const Details = lazy(() => import("./seen.tsx"));
const Words = lazy(() => import("./words.tsx"));

export type CreateTab = "direct" | "group" | "room" | "join";

export const openCreate = (tab: CreateTab = "direct"): void => show(Create, { tab });
export const openInvite = (conversation?: Id): void => show(InviteLink, { conversation });
export const openSafety = (account: Id): void => show(Safety, { account });
export const openSwitcher = (): void => show(Switcher, {});
export const openKeys = (): void => show(Keys, {});
export const openSignInAgain = (): void => show(SignInAgain, {});
export const openRedeem = (code: string): void => show(Redeem, { code });
export const openSeen = (conversation: Id, sequence: number): void => show(Details, { conversation, sequence });
export const openWords = (words: string[]): void => show(Words, { words });
