/** Line icons on a 24 grid, drawn with the colour of the text around them. They are decoration: buttons have labels. */

const paths = {
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM20 20l-4-4",
  more: "M12 5.5v.01M12 12v.01M12 18.5v.01",
  send: "M5 12h13M12 5l7 7-7 7",
  smile: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8.5 14.5c1 1.4 2.2 2 3.5 2s2.5-.6 3.5-2M9 9.5v.01M15 9.5v.01",
  close: "M6 6l12 12M18 6L6 18",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10zM12 13.5V20",
  reply: "M9 7l-5 5 5 5M4 12h9a6 6 0 0 1 6 6v1",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  checks: "M2.5 12.5l4.5 4.5 9-9.5M11.5 16l1 1 9-9.5",
  clock: "M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 8v4.5l3 1.5",
  down: "M6 9.5l6 6 6-6",
  info: "M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 11v5M12 8v.01",
  gear: "M12 9a3 3 0 1 0 0 6a3 3 0 0 0 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  shield: "M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM9 12l2.2 2.2L15.2 10",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1.2 1.2M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1.2-1.2",
  people: "M9 5.5a3.3 3.3 0 1 0 0 6.6a3.3 3.3 0 0 0 0-6.6zM3 19.5c.4-3.4 2.8-5.2 6-5.2s5.6 1.8 6 5.2M16 6a3 3 0 0 1 0 5.8M17.5 14.6c2 .6 3.2 2.3 3.5 4.9",
  person: "M12 4.5a3.8 3.8 0 1 0 0 7.6a3.8 3.8 0 0 0 0-7.6zM5 20c.5-3.7 3.2-5.6 7-5.6s6.5 1.9 7 5.6",
  hash: "M9.5 4L7.5 20M16.5 4l-2 16M4.5 9h15.5M4 15h15.5",
  bell: "M6 17h12c-1.2-1.4-1.5-3-1.5-6a4.5 4.5 0 0 0-9 0c0 3-.3 4.6-1.5 6zM10.5 19.8c.9.8 2.1.8 3 0",
  timer: "M12 6.5a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM12 10v4M9.5 3.5h5",
  out: "M14 4h5v16h-5M4 12h10M10.5 8l3.5 4-3.5 4",
  warn: "M12 4.5l8.5 15h-17zM12 10v4.5M12 17v.01",
  eye: "M3 12c2.4-4 5.4-6 9-6s6.6 2 9 6c-2.4 4-5.4 6-9 6s-6.6-2-9-6zM12 9.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 0 0 0-5z",
  chart: "M4 20h16M7 16v-4M12 16V6M17 16v-7",
  cloudOff: "M4 4l16 16M8 8.5A5 5 0 0 0 7 18h10M18.8 16.6A3.5 3.5 0 0 0 17 11a5 5 0 0 0-6.4-4.3",
  phone: "M6.5 4h3l1.500 4-2 1.500a10 10 0 0 0 5 5l1.500-2 4 1.500v3a2 2 0 0 1-2.200 2A15.500 15.500 0 0 1 4.500 6.200 2 2 0 0 1 6.500 4z",
  camera: "M4 7h10v10H4zM14 11l6-3.500v9L14 13",
  clip: "M19 11l-7.500 7.500a4.500 4.500 0 0 1-6.400-6.400L13 4.200a3 3 0 0 1 4.300 4.300l-7.700 7.700a1.500 1.500 0 0 1-2.200-2.200L14 7.500",
  refresh: "M19 12a7 7 0 1 1-2-4.9M19 4v4h-4",
} as const;

export type IconName = keyof typeof paths;

export function Icon(props: { name: IconName; class?: string }) {
  return (
    <svg class={`icon icon-${props.name} ${props.class ?? ""}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[props.name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
      <rect class="logo-ground" width="64" height="64" rx="17" />
      <path
        class="logo-bubble"
        d="M32 13c-11.500 0-20.700 7.700-20.700 17.500 0 5.500 3 10.400 7.600 13.600l-1.400 6.900 8.300-4c2 .5 4.100.7 6.200.7 11.500 0 20.700-7.600 20.700-17.200S43.500 13 32 13z"
      />
      <path class="logo-voice" d="M23.200 28.200v4.500M29.100 24.500v12M35 27v7M40.900 29.500v2" />
    </svg>
  );
}
