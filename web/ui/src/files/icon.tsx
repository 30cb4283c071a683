/** Icons of files, drawn as those of `ui/icon.tsx` and loaded with them. */

const paths = {
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9v.01",
  video: "M4 5h16v14H4zM10 9.500v5l4.500-2.500z",
  audio: "M9 17.500V6l10-2v11.500M9 17.500a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0zM19 15.500a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0z",
  text: "M6 3.500h8l4 4V20.500H6zM14 3.500v4h4M9 12h6M9 15.500h6",
  pdf: "M6 3.500h8l4 4V20.500H6zM14 3.500v4h4M9 16.500c2-1 3.500-4 3.500-6.500M9 13.500c2 .5 4 1.500 6 3",
  archive: "M6 3.500h12V20.500H6zM12 3.500v2M12 7.500v2M12 11.500v1M10.500 13.500h3v3h-3z",
  program: "M4 5h16v14H4zM7.500 9.500l3 2.500-3 2.500M12.500 15h4",
  other: "M6 3.500h8l4 4V20.500H6zM14 3.500v4h4",
  save: "M12 4v11M7 10.500l5 5 5-5M5 19.500h14",
  pause: "M9 6v12M15 6v12",
  resume: "M8 5.500v13l11-6.500z",
  out: "M5 12h14",
  in: "M12 5v14M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
} as const;

export function FileIcon(props: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[props.name]} />
    </svg>
  );
}
