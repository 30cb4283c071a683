/** An open conversation: its head, its lines, the composer, and a panel beside them. */
import { createEffect, createMemo, createSignal, lazy, on, onCleanup, Show, Suspense } from "solid-js";
import type { Message } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { conversation, isMember, now } from "../state/app.ts";
import { createLines } from "../state/lines.ts";
import { route } from "../state/route.ts";
import { nameOf, me } from "../state/app.ts";
import { GroupBar, groupCallIn } from "../call/open.ts";
import { droppable } from "../files/open.ts";
import { Composer } from "./composer.tsx";
import { Header } from "./header.tsx";
import { isolated } from "./notice.ts";
import { Messages } from "./messages.tsx";

const Panel = lazy(() => import("../panels/panel.tsx"));

/** What the composer is about: an answer, a correction, or simply a text. */
export type Writing = { mode: "new" } | { mode: "reply"; to: Message } | { mode: "edit"; target: Message };

export function Conversation(props: { id: string }) {
  const here = () => conversation(props.id);
  const lines = createLines(props.id, here);
  onCleanup(lines.close);
  const [writing, setWriting] = createSignal<Writing>({ mode: "new" });
  const [asked, setAsked] = createSignal<{ sequence: number }>();

  const at = createMemo(() => {
    const place = route();
    return place.page === "conversation" && place.id === props.id ? place.at : undefined;
  });
  createEffect(on(at, (sequence) => sequence !== undefined && setAsked({ sequence })));
  const panel = () => {
    const place = route();
    return place.page === "conversation" ? place.panel : undefined;
  };

  return (
    <Show when={here()}>
      {(one) => (
        <div class="conversation" classList={{ "with-panel": !!panel() }}>
          <section class="chat" ref={(chat) => droppable(chat, () => (isMember(one()) ? props.id : undefined))} aria-label={t().conversation.messages}>
            <Header one={one()} />
            <Show when={groupCallIn(props.id)}>
              {(call) => (
                <Suspense>
                  <GroupBar one={call()} />
                </Suspense>
              )}
            </Show>
            <Messages
              one={one()}
              lines={lines}
              jump={asked()}
              onReply={(to) => setWriting({ mode: "reply", to })}
              onEdit={(target) => setWriting({ mode: "edit", target })}
              onJump={(sequence) => setAsked({ sequence })}
            />
            <TypingLine id={props.id} />
            <Show when={isMember(one())} fallback={<StandingNote standing={one().standing} />}>
              <Composer
                one={one()}
                writing={writing()}
                setWriting={setWriting}
                lastOwn={() =>
                  lines
                    .rows()
                    .findLast((row) => row.message().own && row.message().kind === "text")
                    ?.message()
                }
              />
            </Show>
          </section>
          <Show when={panel()}>
            {(which) => (
              <Suspense>
                <Panel one={one()} which={which()} />
              </Suspense>
            )}
          </Show>
        </div>
      )}
    </Show>
  );
}

function StandingNote(props: { standing: string }) {
  return (
    <p class="standing" role="status">
      {props.standing === "joining"
        ? t().conversation.joiningNote
        : props.standing === "leaving"
          ? t().conversation.leavingNote
          : t().conversation.goneNote}
    </p>
  );
}

/** The line keeps its height, so that nothing moves when somebody starts to type. */
function TypingLine(props: { id: string }) {
  const names = createMemo(() => {
    now();
    const one = conversation(props.id);
    return (one?.typing ?? []).filter((id) => id !== me()).map((id) => isolated(nameOf(id, one)));
  });
  const text = (): string => {
    const [first, second] = names();
    const words = t().conversation;
    if (!first) return "";
    if (!second) return words.typingOne(first);
    return names().length === 2 ? words.typingTwo(first, second) : words.typingMany(names().length);
  };
  return (
    <p class="typing-line" aria-live="polite">
      <Show when={names().length > 0}>
        <span class="dots" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        <span>{text()}</span>
      </Show>
    </p>
  );
}
