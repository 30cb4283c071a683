"""One end of a connection of aiortc, whatever runs on it. It is told what to do by lines of JSON, and tells what came of it by lines of JSON.

    told                                                       tells
                                                               {"said": "ready"}
    {"do": "offer", ...}                                       {"said": "description", "sdp": ...}
    {"do": "take_offer", "sdp": ...}                           {"said": "description", "sdp": ...}
    {"do": "take_answer", "sdp": ...}                          {"said": "failed"}
    {"do": "take_candidates", "list": [{"line", "mid",
        "section"}, ...]}

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


class End:
    def __init__(self):
        # Without servers: by default it would ask one on the Internet.
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.on("connectionstatechange", self.state)

    def state(self):
        if self.peer.connectionState == "failed":
            tell("failed")

    def offers(self, order):
        """Before its offer: what is to run on the connection."""

    def answers(self):
        """Before its answer, with the offer taken: the same."""

    async def describe(self, description):
        await self.peer.setLocalDescription(description)
        tell("description", sdp=self.peer.localDescription.sdp)

    async def does(self, order):
        match order["do"]:
            case "offer":
                self.offers(order)
                await self.describe(await self.peer.createOffer())
            case "take_offer":
                await self.peer.setRemoteDescription(RTCSessionDescription(order["sdp"], "offer"))
                self.answers()
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

    async def works(self):
        orders = asyncio.StreamReader(limit=LINE_MAX)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        tell("ready")
        async for line in orders:
            await self.does(json.loads(line))
        await self.peer.close()


def run(kind):
    """Makes an end of this kind, which works until its input ends."""

    async def main():
        await kind().works()

    asyncio.run(main())
