/** The buttons of a call that goes on, and the choice of devices. */
import { createSignal, createUniqueId, For, onCleanup, onMount, Show } from "solid-js";
import { prefs } from "../state/prefs.ts";
import { attempt, remark } from "../ui/overlay.tsx";
import { CallIcon } from "./icon.tsx";
import type { DeviceKind, Local } from "./local.ts";
import { words } from "./words.ts";

export function Controls(props: { local: Local; end: string; onEnd: () => void }) {
  const [choosing, setChoosing] = createSignal(false);
  const mine = () => props.local.mine();
  const picture = (show: () => Promise<void>): void => {
    void show().catch(() => remark(words().pictureDenied, true));
  };
  return (
    <>
      <Show when={choosing()}>
        <Devices local={props.local} />
      </Show>
      <div class="call-buttons" role="group">
        <button
          type="button"
          class="call-button"
          aria-pressed={mine().muted}
          aria-label={mine().muted ? words().unmute : words().mute}
          onClick={() => props.local.mute(!mine().muted)}
        >
          <CallIcon name={mine().muted ? "micOff" : "mic"} />
        </button>
        <button
          type="button"
          class="call-button"
          aria-pressed={mine().camera}
          aria-label={mine().camera ? words().cameraOff : words().cameraOn}
          onClick={() => picture(() => (mine().camera ? props.local.hide() : props.local.show("camera")))}
        >
          <CallIcon name={mine().camera ? "camera" : "cameraOff"} />
        </button>
        <Show when={"getDisplayMedia" in navigator.mediaDevices}>
          <button
            type="button"
            class="call-button"
            aria-pressed={mine().screen}
            aria-label={mine().screen ? words().unshare : words().share}
            onClick={() => picture(() => (mine().screen ? props.local.hide() : props.local.show("screen")))}
          >
            <CallIcon name="screen" />
          </button>
        </Show>
        <button
          type="button"
          class="call-button"
          aria-pressed={mine().held}
          aria-label={mine().held ? words().resume : words().hold}
          onClick={() => props.local.hold(!mine().held)}
        >
          <CallIcon name={mine().held ? "resume" : "hold"} />
        </button>
        <button
          type="button"
          class="call-button"
          aria-expanded={choosing()}
          aria-label={words().devices}
          onClick={() => setChoosing(!choosing())}
        >
          <CallIcon name="gear" />
        </button>
        <button
          type="button"
          class="call-button end"
          aria-label={props.end}
          onClick={() => props.onEnd()}
        >
          <CallIcon name="hangUp" />
        </button>
      </div>
    </>
  );
}

const KINDS = { microphone: "audioinput", camera: "videoinput", speaker: "audiooutput" } as const;

function Devices(props: { local: Local }) {
  const [all, setAll] = createSignal<MediaDeviceInfo[]>([]);
  const look = (): void => void navigator.mediaDevices.enumerateDevices().then(setAll);
  onMount(() => {
    look();
    navigator.mediaDevices.addEventListener("devicechange", look);
  });
  onCleanup(() => navigator.mediaDevices.removeEventListener("devicechange", look));
  const of = (kind: DeviceKind) => all().filter((one) => one.kind === KINDS[kind] && one.deviceId);
  const label: Record<DeviceKind, () => string> = {
    microphone: () => words().microphone,
    camera: () => words().camera,
    speaker: () => words().speaker,
  };
  return (
    <div class="call-devices">
      <For each={Object.keys(KINDS) as DeviceKind[]}>
        {(kind) => {
          const id = createUniqueId();
          return (
            <Show when={of(kind).length > 0 && (kind !== "speaker" || "setSinkId" in HTMLMediaElement.prototype)}>
              <label for={id}>{label[kind]()}</label>
              <select
                id={id}
                value={prefs[kind]}
                onChange={(event) => void attempt(() => props.local.choose(kind, event.currentTarget.value))}
              >
                <option value="">{words().usual}</option>
                <For each={of(kind)}>
                  {(one, place) => (
                    <option value={one.deviceId} selected={prefs[kind] === one.deviceId}>
                      {one.label || words().unnamed(place() + 1)}
                    </option>
                  )}
                </For>
              </select>
            </Show>
          );
        }}
      </For>
    </div>
  );
}
