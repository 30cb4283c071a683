/** Says in a group's conversation that a call goes on there, and lets one join. */
import { Show } from "solid-js";
import type { GroupCall } from "../engine/api.ts";
import { conversation, nameOf } from "../state/app.ts";
import { isolated, listed } from "../chat/notice.ts";
import { Icon } from "../ui/icon.tsx";
import { hasSession, isJoining, join } from "./group-panel.tsx";
import { groupWords } from "./group-words.ts";
import { canCallGroups, isInCall } from "./open.ts";

export function Bar(props: { one: GroupCall }) {
  const names = (): string => {
    const within = conversation(props.one.conversation);
    return listed([...new Set(props.one.people.map(({ account }) => isolated(nameOf(account, within))))]);
  };
  const isElsewhere = (): boolean => props.one.state === "joined";
  return (
    <Show when={props.one.state !== "ringing" && !(isElsewhere() && hasSession())}>
      <div class="banner note group-bar" role="status">
        <Icon name="phone" />
        <p>
          <Show when={canCallGroups()} fallback={groupWords().cannot}>
            <strong>{isElsewhere() ? groupWords().elsewhere : groupWords().goesOn}</strong>
            {" · "}
            <span title={names()}>{groupWords().people(props.one.people.length)}</span>
          </Show>
        </p>
        <Show when={canCallGroups() && !isElsewhere()}>
          <span class="row">
            <button
              type="button"
              class="button small"
              disabled={isInCall() || isJoining()}
              onClick={() => void join(props.one.conversation, false)}
            >
              {groupWords().join}
            </button>
            <button
              type="button"
              class="button small"
              disabled={isInCall() || isJoining()}
              onClick={() => void join(props.one.conversation, true)}
            >
              {groupWords().joinVideo}
            </button>
          </span>
        </Show>
      </div>
    </Show>
  );
}
