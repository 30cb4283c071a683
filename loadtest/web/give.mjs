/**
 * A browser that gives: a file to whoever asks, by the page as it is, and as many bytes by a bare data channel of the same browser.
 *
 * One JSON object comes in as the argument: `url` of the relay, `file`, the `group` in which somebody waits for it, and the `name` to register
 * under. Then objects go by lines, of which each of the following answers the one before:
 *
 *     out: {"said": "here"}                           the person is there, to be invited
 *     in:  {"do": "send"}                             out: {"said": "sent"}
 *     in:  {"do": "bare", "bytes": n}                 out: {"said": "offer", "sdp": …}
 *     in:  {"do": "answer", "sdp": …, "way": …}       out: {"said": "given"}
 */
import { createInterface } from "node:readline";
import { CHROMIUM, chromium, PAGE, register } from "../../web/ui/tests/drive.mjs";

const { url, file, group, name } = JSON.parse(process.argv[2]);

/** As `web/ui/src/files/links.ts` sends. */
const SENDING = { message: 64 * 1024, buffered: 1024 * 1024, low: 256 * 1024 };

/** How long a large file may be on its way to a relay. */
const SEND_MS = 1_800_000;

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

const browser = await chromium.launch(CHROMIUM);
const context = await browser.newContext(PAGE);
const page = await context.newPage();
await register(page, url, { name, password: "a password of the load" });

let bare;

const doings = {
  async send() {
    await page.locator(".item", { hasText: group }).click();
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Attach files" }).click();
    await (await chooser).setFiles(file);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.locator(".message .file").waitFor({ timeout: SEND_MS });
    await page.locator(".tray-row").waitFor({ state: "hidden", timeout: SEND_MS });
    return { said: "sent" };
  },

  /** Describes a channel on which so many bytes will go as soon as it is open. */
  async bare({ bytes }) {
    bare = await context.newPage();
    const sdp = await bare.evaluate(
      async ({ bytes, message, buffered, low }) => {
        const peer = new RTCPeerConnection();
        const channel = peer.createDataChannel("bare");
        channel.binaryType = "arraybuffer";
        channel.bufferedAmountLowThreshold = low;
        const piece = crypto.getRandomValues(new Uint8Array(message));
        let left = bytes;
        const flow = () => {
          while (left > 0 && channel.bufferedAmount < buffered) {
            const now = Math.min(message, left);
            channel.send(piece.subarray(0, now));
            left -= now;
          }
        };
        channel.onopen = flow;
        channel.onbufferedamountlow = flow;
        const given = new Promise((resolve) => (channel.onclose = resolve));
        Object.assign(window, { peer, given });
        await peer.setLocalDescription(await peer.createOffer());
        return peer.localDescription.sdp;
      },
      { bytes, ...SENDING },
    );
    return { said: "offer", sdp };
  },

  async answer({ sdp, way }) {
    await bare.evaluate(
      async ({ sdp, way }) => {
        await window.peer.setRemoteDescription({ type: "answer", sdp });
        await window.peer.addIceCandidate({ candidate: way, sdpMLineIndex: 0 });
        await window.given;
        window.peer.close();
      },
      { sdp, way },
    );
    await bare.close();
    return { said: "given" };
  },
};

say({ said: "here" });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  say(await doings[order.do](order));
}
await browser.close();
