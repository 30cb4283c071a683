/** A new conversation: with a person, a group, a room, or into one that exists. */
import { createSignal, For, Match, onMount, Show, Switch } from "solid-js";
import type { HistoryPolicy } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { bus, call, nameOf } from "../state/app.ts";
import { go, to } from "../state/route.ts";
import { NAME_BYTES_MAX, usernames } from "../panels/actions.tsx";
import { listed } from "../chat/notice.ts";
import { Dialog } from "../ui/dialog.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Choice, Field, Switch as Toggle } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";
import { remark } from "../ui/overlay.tsx";
import { rove } from "../ui/roving.ts";
import { redeem } from "../welcome/flow.ts";
import type { CreateTab } from "./open.ts";

export default function Create(props: { tab: CreateTab; close: () => void }) {
  const [tab, setTab] = createSignal(props.tab);
  const tabs: CreateTab[] = ["direct", "group", "room", "join"];
  const done = (id: string): void => {
    props.close();
    go(to.conversation(id));
  };
  return (
    <Dialog title={t().create.title} onClose={props.close}>
      <div class="tabs" role="tablist" aria-label={t().create.title} onKeyDown={(event) => rove(event, "[role=tab]", true)}>
        <For each={tabs}>
          {(one) => (
            <button
              type="button"
              role="tab"
              id={`create-${one}`}
              aria-controls="create-panel"
              aria-selected={tab() === one}
              tabindex={tab() === one ? 0 : -1}
              onClick={() => setTab(one)}
              onFocus={() => setTab(one)}
            >
              {t().create[one]}
            </button>
          )}
        </For>
      </div>
      <div role="tabpanel" id="create-panel" aria-labelledby={`create-${tab()}`}>
        <Switch>
          <Match when={tab() === "direct"}>
            <Direct done={done} />
          </Match>
          <Match when={tab() === "group"}>
            <Many room={false} done={done} />
          </Match>
          <Match when={tab() === "room"}>
            <Many room={true} done={done} />
          </Match>
          <Match when={tab() === "join"}>
            <Join done={done} close={props.close} />
          </Match>
        </Switch>
      </div>
    </Dialog>
  );
}

function Direct(props: { done: (id: string) => void }) {
  const [name, setName] = createSignal("");
  const action = createAction();
  let form!: HTMLFormElement;
  onMount(() => form.querySelector("input")?.focus());
  return (
    <form
      ref={form}
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(async () => {
          const made = await call("open_direct", { username: name().trim().replace(/^@/u, "") });
          props.done(made.conversation);
        });
      }}
    >
      <Field
        label={t().create.username}
        hint={t().create.usernameHint}
        value={name()}
        onValue={setName}
        autocapitalize="none"
        autocomplete="off"
        spellcheck={false}
        maxlength={33}
        required
        focus
      />
      <FailureNote error={action.failure()} />
      <button type="submit" class="button primary wide" disabled={action.busy() || name().trim() === ""}>
        {t().create.start}
      </button>
    </form>
  );
}

function Many(props: { room: boolean; done: (id: string) => void }) {
  const [name, setName] = createSignal("");
  const [members, setMembers] = createSignal("");
  const [history, setHistory] = createSignal<HistoryPolicy>(props.room ? "all" : "since-joining");
  const [isListed, setListed] = createSignal(false);
  const [listedName, setListedName] = createSignal("");
  const action = createAction();
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(async () => {
          const stop = bus.on((one) => {
            if (one.type === "not_added")
              remark(t().create.notAdded(listed(one.accounts.map((id) => nameOf(id)))), true);
          });
          setTimeout(stop, 30_000);
          const made = await call("create", {
            name: name().trim(),
            room: props.room,
            history: history(),
            members: usernames(members()),
            ...(props.room && isListed() && { listed_name: listedName().trim() || name().trim() }),
          });
          props.done(made.conversation);
        });
      }}
    >
      <Show when={props.room}>
        <p class="hint">{t().create.roomExplain}</p>
      </Show>
      <Field
        label={props.room ? t().create.roomName : t().create.groupName}
        value={name()}
        onValue={setName}
        maxlength={NAME_BYTES_MAX}
        required
      />
      <Show when={!props.room}>
        <Field
          label={t().create.members}
          hint={t().create.membersHint}
          value={members()}
          onValue={setMembers}
          autocapitalize="none"
          spellcheck={false}
          maxlength={2000}
        />
      </Show>
      <Choice
        label={t().create.history}
        value={history()}
        options={[
          ["none", t().create.historyNone],
          ["since-joining", t().create.historySince],
          ["all", t().create.historyAll],
        ]}
        onValue={setHistory}
      />
      <Show when={props.room}>
        <Toggle label={t().create.listed} on={isListed()} onChange={setListed} />
        <Show when={isListed()}>
          <Field
            label={t().create.listedName}
            value={listedName()}
            onValue={setListedName}
            maxlength={NAME_BYTES_MAX}
            placeholder={name()}
          />
        </Show>
      </Show>
      <FailureNote error={action.failure()} />
      <button type="submit" class="button primary wide" disabled={action.busy() || name().trim() === ""}>
        {action.busy() ? t().create.creating : t().create.create}
      </button>
    </form>
  );
}

function Join(props: { done: (id: string) => void; close: () => void }) {
  const [code, setCode] = createSignal("");
  const rooms = createLoad(() => call("rooms"));
  const action = createAction();
  return (
    <div class="stack">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void action.run(async () => {
            await redeem(code());
            props.close();
          });
        }}
      >
        <Field
          label={t().create.link}
          value={code()}
          onValue={setCode}
          autocapitalize="none"
          autocomplete="off"
          spellcheck={false}
          maxlength={2048}
          required
        />
        <button type="submit" class="button primary wide" disabled={action.busy() || code().trim() === ""}>
          {t().create.joinLink}
        </button>
      </form>
      <FailureNote error={action.failure()} />
      <h3>{t().create.rooms}</h3>
      <FailureNote error={rooms.error()} />
      <ul class="people" role="list">
        <For
          each={rooms.value()}
          fallback={<Show when={!rooms.loading() && !rooms.error()}><li class="hint">{t().create.noRooms}</li></Show>}
        >
          {(room) => (
            <li class="person">
              <span class="avatar small hue-3" aria-hidden="true">
                <Icon name="hash" />
              </span>
              <span class="person-name">
                <bdi>{room.name}</bdi>
                <span class="hint"> {t().conversation.members(room.members)}</span>
              </span>
              <button
                type="button"
                class="button small"
                disabled={action.busy()}
                aria-label={`${t().create.joinRoom} ${room.name}`}
                onClick={() => void action.run(async () => props.done((await call("join_listed", { name: room.name })).conversation))}
              >
                {t().create.joinRoom}
              </button>
            </li>
          )}
        </For>
      </ul>
    </div>
  );
}
