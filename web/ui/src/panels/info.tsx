/** A conversation's details, its members, and what can be done about them. */
import { createMemo, createSignal, For, Show } from "solid-js";
import type { Member, Role } from "../engine/api.ts";
import { openInvite, openSafety } from "../dialogs/open.ts";
import { t } from "../i18n/index.ts";
import { span } from "../i18n/time.ts";
import { call, isMember, me, nameOf, peer, reread, titleOf, type Conversation } from "../state/app.ts";
import { go, to } from "../state/route.ts";
import { fold } from "../main/filter.ts";
import { faceOf, kindIcon } from "../main/list-item.tsx";
import { Avatar } from "../ui/avatar.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Field } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { openMenu, type Item } from "../ui/menu.tsx";
import { attempt, confirmed, remark } from "../ui/overlay.tsx";
import { listed } from "../chat/notice.ts";
import { askLeave, askRename, askTimer, usernames } from "./actions.tsx";

/** With more members than this a search field helps. */
const FIND_FROM = 10;
/** Rows drawn at once; a search narrows them down. */
const SHOWN_MAX = 200;
const RANK: Record<string, number> = { owner: 0, moderator: 1, member: 2 };

export function Info(props: { one: Conversation }) {
  const one = () => props.one;
  const direct = () => one().kind === "direct";
  const mine = () => one().people.find((person) => person.account === me())?.role ?? null;
  const [find, setFind] = createSignal("");
  const people = createMemo(() =>
    one()
      .people.filter((person) => !find() || fold(person.username).includes(fold(find())))
      .toSorted(
        (a, b) =>
          (RANK[a.role ?? "member"] ?? 2) - (RANK[b.role ?? "member"] ?? 2) || a.username.localeCompare(b.username),
      ),
  );
  const historyText = (): string =>
    ({ none: t().create.historyNone, "since-joining": t().create.historySince, all: t().create.historyAll })[
      one().history
    ];
  return (
    <>
      <div class="info-face">
        <Avatar id={faceOf(one())} name={titleOf(one())} icon={kindIcon(one())} size="large" />
        <h2>
          <bdi>{titleOf(one())}</bdi>
        </h2>
        <p class="hint">{t().conversation.kind[one().kind]}</p>
      </div>
      <div class="info-actions">
        <Show when={isMember(one())}>
          <Show when={direct() ? peer(one()) : undefined}>
            {(other) => (
              <button type="button" class="row-button" onClick={() => openSafety(other().account)}>
                <Icon name="shield" />
                <span>{t().info.verify}</span>
                <Show when={other().verified}>
                  <span class="badge">{t().conversation.verified}</span>
                </Show>
              </button>
            )}
          </Show>
          <Show when={!direct()}>
            <button type="button" class="row-button" onClick={() => openInvite(one().conversation)}>
              <Icon name="link" />
              <span>{t().info.invite}</span>
            </button>
            <button type="button" class="row-button" onClick={() => askRename(one())}>
              <Icon name="edit" />
              <span>{t().info.rename}</span>
            </button>
          </Show>
          <button type="button" class="row-button" onClick={() => askTimer(one())}>
            <Icon name="timer" />
            <span>{t().info.timer}</span>
            <span class="row-value">{one().timer ? span(one().timer ?? 0) : t().info.timerOff}</span>
          </button>
        </Show>
        <a class="row-button" href={to.panel(one().conversation, "pins")}>
          <Icon name="pin" />
          <span>{t().conversation.pins}</span>
          <span class="row-value">{one().pins.length || ""}</span>
        </a>
        <a class="row-button" href={to.panel(one().conversation, "search")}>
          <Icon name="search" />
          <span>{t().conversation.search}</span>
        </a>
      </div>
      <Show when={!direct()}>
        <section class="info-section" aria-labelledby="members-title">
          <h2 id="members-title">
            {t().info.members} <span class="count">{one().members}</span>
          </h2>
          <Show when={isMember(one())}>
            <Add one={one()} />
          </Show>
          <Show when={one().people.length > FIND_FROM}>
            <Field label={t().info.find} type="search" value={find()} onValue={setFind} maxlength={32} />
          </Show>
          <ul class="people" role="list">
            <For each={people().slice(0, SHOWN_MAX)}>
              {(person) => <Person person={person} one={one()} mine={mine()} />}
            </For>
          </ul>
        </section>
      </Show>
      <section class="info-section facts">
        <Show when={!direct()}>
          <p>
            <span class="hint">{t().info.history}</span> {historyText()}
          </p>
        </Show>
        <p>
          <span class="hint">{t().info.suite}</span> {t().conversation.encrypted}
          <Show when={one().suite}> · {one().suite}</Show>
        </p>
      </section>
      <Show when={!direct() && isMember(one())}>
        <div class="info-actions">
          <button type="button" class="row-button danger" onClick={() => void askLeave(one())}>
            <Icon name="out" />
            <span>{t().info.leave}</span>
          </button>
        </div>
      </Show>
    </>
  );
}

function Person(props: { person: Member; one: Conversation; mine: Role | null }) {
  const self = () => props.person.account === me();
  const here = () => props.one.present.includes(props.person.account);
  function menu(button: Element): void {
    const { person, one, mine } = props;
    const words = t().info;
    const items: Item[] = [];
    if (!self()) {
      items.push({
        label: words.write,
        icon: "person",
        run: () =>
          void attempt(async () =>
            go(to.conversation((await call("open_direct", { username: person.username })).conversation)),
          ),
      });
      items.push({ label: words.verify, icon: "shield", run: () => openSafety(person.account) });
    }
    const target = { conversation: one.conversation, account: person.account };
    if (mine === "owner")
      for (const role of ["member", "moderator", "owner"] as const)
        if (role !== person.role)
          items.push({
            label: words.makeRole[role],
            icon: "people",
            run: () =>
              void attempt(async () => {
                await call("set_role", { ...target, role });
                await reread(one.conversation);
              }),
          });
    if (!self() && (mine === "owner" || mine === "moderator"))
      items.push({
        label: words.remove,
        icon: "trash",
        danger: true,
        run: () =>
          void confirmed(words.removeSure(person.username), words.remove).then((yes) => {
            if (yes) void attempt(() => call("remove_member", target));
          }),
      });
    if (items.length > 0) openMenu(words.actions(person.username), items, button);
  }
  return (
    <li class="person">
      <Avatar id={props.person.account} name={props.person.username} here={here()} size="small" />
      <span class="person-name">
        <bdi>{props.person.username || nameOf(props.person.account)}</bdi>
        <Show when={self()}>
          <span class="hint"> ({t().common.you})</span>
        </Show>
        <Show when={props.person.verified}>
          <span class="item-verified" role="img" aria-label={t().conversation.verified}>
            <Icon name="shield" />
          </span>
        </Show>
        <Show when={here()}>
          <span class="visually-hidden">{t().conversation.online}</span>
        </Show>
      </span>
      <Show when={props.person.role && props.person.role !== "member"}>
        <span class="badge">{t().info.roles[props.person.role ?? "member"]}</span>
      </Show>
      <Show when={!self() || props.mine === "owner"}>
        <button
          type="button"
          class="icon-button"
          aria-label={t().info.actions(props.person.username)}
          aria-haspopup="menu"
          onClick={(event) => menu(event.currentTarget)}
        >
          <Icon name="more" />
        </button>
      </Show>
    </li>
  );
}

function Add(props: { one: Conversation }) {
  const [text, setText] = createSignal("");
  const action = createAction();
  return (
    <form
      class="inline-form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(async () => {
          const done = await call("add_members", { conversation: props.one.conversation, usernames: usernames(text()) });
          setText("");
          if (done.without_device.length > 0)
            remark(t().info.withoutDevice(listed(done.without_device.map((id) => nameOf(id)))), true);
        });
      }}
    >
      <Field label={t().info.add} hint={t().info.addHint} value={text()} onValue={setText} autocapitalize="none" spellcheck={false} maxlength={2000} />
      <FailureNote error={action.failure()} />
      <button type="submit" class="button small" disabled={usernames(text()).length === 0 || action.busy()}>
        {t().info.add}
      </button>
    </form>
  );
}
