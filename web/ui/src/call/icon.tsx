/** Icons of the panel of a call, drawn as those of `ui/icon.tsx` and loaded with it. */

const paths = {
  mic: "M12 4a2.500 2.500 0 0 0-2.500 2.500v5a2.500 2.500 0 0 0 5 0v-5A2.500 2.500 0 0 0 12 4zM6.500 11a5.500 5.500 0 0 0 11 0M12 16.500V20",
  micOff: "M12 4a2.500 2.500 0 0 0-2.500 2.500v5a2.500 2.500 0 0 0 5 0v-5A2.500 2.500 0 0 0 12 4zM6.500 11a5.500 5.500 0 0 0 11 0M12 16.500V20M4 4l16 16",
  camera: "M4 7h10v10H4zM14 11l6-3.500v9L14 13",
  cameraOff: "M4 7h10v10H4zM14 11l6-3.500v9L14 13M3 4l18 16",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4",
  hold: "M9 6v12M15 6v12",
  resume: "M8 5.500v13l11-6.500z",
  gear: "M4 8h9M17 8h3M4 16h3M11 16h9M13 6v4h4V6zM7 14v4h4v-4z",
  hangUp: "M3.500 14.500c4.500-5.500 12.500-5.500 17 0l-2.500 2.500-3-1.500v-2.500c-2-.7-4-.7-6 0v2.500l-3 1.500z",
  larger: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  smaller: "M20 10h-6V4M14 10l6-6M4 14h6v6M10 14l-6 6",
} as const;

export function CallIcon(props: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[props.name]} />
    </svg>
  );
}
