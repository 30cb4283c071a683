"""A data channel that nobody of this project made: the WebRTC of aiortc. What comes on it is told, and what is ordered is sent.

It is told what to do by lines of JSON, and tells what came of it by lines of JSON; `foreign-link` is at the other end of both. What
travels on the channel is in hex digits.

    told                                                       tells
                                                               {"said": "ready"}
    {"do": "offer", "label": ...}                              {"said": "description", "sdp": ...}
    {"do": "take_offer", "sdp": ...}                           {"said": "description", "sdp": ...}
    {"do": "take_answer", "sdp": ...}                          {"said": "open", "label": ...}
    {"do": "take_candidates", "list": [{"line", "mid",         {"said": "message", "bytes": ...}
        "section"}, ...]}                                      {"said": "failed"}
    {"do": "send", "bytes": ...}                               {"said": "closed"}

Its own candidates are in its descriptions: aiortc gathers them first. It ends with its input.
"""

import asyncio
import json
import sys

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

# A line holds a message of 64 KiB in hex digits.
LINE_MAX = 1 << 20


def tell(said, **more):
    print(json.dumps({"said": said, **more}), flush=True)


class Link:
    def __init__(self):
        # Without servers: by default it would ask one on the Internet.
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = None
        self.peer.on("datachannel", self.came)
        self.peer.on("connectionstatechange", self.state)

    def came(self, channel):
        self.use(channel)
        tell("open", label=channel.label)

    def use(self, channel):
        self.channel = channel
        channel.on("open", lambda: tell("open", label=channel.label))
        channel.on("message", lambda message: tell("message", bytes=message.hex()))
        channel.on("close", lambda: tell("closed"))

    def state(self):
        if self.peer.connectionState == "failed":
            tell("failed")

    async def describe(self, description):
        await self.peer.setLocalDescription(description)
        tell("description", sdp=self.peer.localDescription.sdp)

    async def does(self, order):
        match order["do"]:
            case "offer":
                self.use(self.peer.createDataChannel(order["label"]))
                await self.describe(await self.peer.createOffer())
            case "take_offer":
                await self.peer.setRemoteDescription(RTCSessionDescription(order["sdp"], "offer"))
                await self.describe(await self.peer.createAnswer())
            case "take_answer":
                await self.peer.setRemoteDescription(RTCSessionDescription(order["sdp"], "answer"))
            case "take_candidates":
                for one in order["list"]:
                    if not one["line"]:
                        continue  # The end of them.
                    candidate = candidate_from_sdp(one["line"].removeprefix("candidate:"))
                    candidate.sdpMid, candidate.sdpMLineIndex = one["mid"], one["section"]
                    await self.peer.addIceCandidate(candidate)
            case "send":
                self.channel.send(bytes.fromhex(order["bytes"]))


async def main():
    orders = asyncio.StreamReader(limit=LINE_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    link = Link()
    tell("ready")
    async for line in orders:
        await link.does(json.loads(line))
    await link.peer.close()


asyncio.run(main())
