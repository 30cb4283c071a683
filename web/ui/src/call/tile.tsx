/** The tile of a device in a group's call: its picture or the face of its account, and how it stands with it. */
import { createEffect, onCleanup, onMount, Show } from "solid-js";
import type { GroupPerson, Id } from "../engine/api.ts";
import { conversation, nameOf } from "../state/app.ts";
import { Avatar } from "../ui/avatar.tsx";
import type { GroupSession } from "./group-session.ts";
import { groupWords } from "./group-words.ts";
import { CallIcon } from "./icon.tsx";
import { qualityText, wayText } from "./quality.ts";
import { words } from "./words.ts";

export function Tile(props: { person: GroupPerson; session: GroupSession; within: Id }) {
  const { local, links, traffic } = props.session;
  const name = (): string => nameOf(props.person.account, conversation(props.within));
  /** What this device shows is known here first. */
  const media = () => (props.person.own ? local.mine() : props.person);
  const connection = () => links().get(props.person.device)?.connection;
  const quality = () => connection()?.quality();
  const isLocked = (): boolean => traffic().get(props.person.device)?.isLocked ?? false;
  const arrives = (): boolean => props.person.own || (props.person.link !== "connecting" && !!connection() && !isLocked());
  const seen = (): boolean => (media().camera || media().screen) && !media().held && arrives();
  const note = (): string => {
    const { own, link, tampered } = props.person;
    if (tampered) return groupWords().tampered;
    if (media().held) return groupWords().held;
    if (own) return "";
    if (link !== "connected") return groupWords().links[link ?? "connecting"];
    if (isLocked()) return groupWords().locked;
    const known = quality();
    return known ? wayText(known) : "";
  };
  return (
    <li class="tile" classList={{ seen: seen(), screen: media().screen, tampered: props.person.tampered }}>
      <Show
        when={props.person.own}
        fallback={
          <Show when={connection()} keyed>
            {(it) => <Picture stream={it.remote} label={words().theirPicture(name())} seen={seen()} session={props.session} />}
          </Show>
        }
      >
        <Show when={local.picture()} keyed>
          {(picture) => <Picture stream={picture} label={words().ownPicture} seen={seen()} mirrored={media().camera} />}
        </Show>
      </Show>
      <Show when={!seen()}>
        <Avatar id={props.person.account} name={name()} size="large" />
      </Show>
      <span class="tile-about">
        <Show when={media().muted}>
          <span class="tile-muted" role="img" aria-label={groupWords().muted}>
            <CallIcon name="micOff" />
          </span>
        </Show>
        <bdi class="tile-name">{props.person.own ? groupWords().you : name()}</bdi>
        <span class="tile-note" title={qualityText(quality())}>
          {note()}
        </span>
      </span>
    </li>
  );
}

/** Plays; with a session it is somebody else's, whose sound is heard also where there is no picture to show. */
function Picture(props: { stream: MediaStream; label: string; seen: boolean; mirrored?: boolean; session?: GroupSession }) {
  let video!: HTMLVideoElement;
  onMount(() => {
    const { session, stream } = props;
    if (session) onCleanup(session.local.playedBy(video));
    video.srcObject = stream;
    void video.play().catch(() => undefined);
  });
  createEffect(() => {
    video.muted = props.session ? props.session.local.mine().held : true;
  });
  return (
    <video ref={video} class="tile-picture" classList={{ mirrored: !!props.mirrored }} hidden={!props.seen} autoplay playsinline aria-label={props.label}>
      <track kind="captions" />
    </video>
  );
}
