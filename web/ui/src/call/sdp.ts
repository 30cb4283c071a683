/**
 * A description without remarks about codecs that it does not offer. Firefox (153) leaves them in (`rtcp-fb`) when it was told which codecs to
 * offer, and Chromium takes no such description.
 */
export function withoutStrays(sdp: string): string {
  let offered = new Set<string>();
  const lines = sdp.split("\r\n").filter((line) => {
    // m=video 9 UDP/TLS/RTP/SAVPF 120 124 (RFC 8866, section 5.14)
    if (line.startsWith("m=")) offered = new Set(line.split(" ").slice(3));
    const [, about] = /^a=rtcp-fb:(\d+) /.exec(line) ?? [];
    return about === undefined || offered.has(about);
  });
  return lines.join("\r\n");
}
