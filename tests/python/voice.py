"""A voice that nobody of this project made: the WebRTC of aiortc. It says a tone, and tells of the tone that it hears. With a picture it shows
a colour too, and tells of the colour that it sees.

`foreign-voice` is at the other end of orders and of what is told (`end.py`), with these besides.

    told                                                       tells
    {"do": "offer", "picture": false}                          {"said": "connected", "fingerprint": "sha-256 AB:CD..."}
                                                               {"said": "heard", "hertz": 660.0}, once a second
                                                               {"said": "seen", "colour": [20, 180, 40]}, about as often
"""

import asyncio
import fractions
import itertools
import math
import time
from array import array

from aiortc import AudioStreamTrack, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import certificate_digest
from av import AudioFrame, AudioResampler, VideoFrame
from end import End, run, tell

RATE = 48_000
TONE_HZ = 440
PACKET = RATE // 50
# Of 32,767. What is quieter is silence, or what an encoder makes of it.
LOUD = 1_000
COLOUR = (40, 60, 200)


class Tone(AudioStreamTrack):
    """A tone, in packets of 20 ms."""

    def __init__(self):
        super().__init__()
        self.at = 0
        self.begin = time.monotonic()

    async def recv(self):
        # Each packet when its time has come, whatever the one before took.
        await asyncio.sleep(self.begin + self.at / RATE - time.monotonic())
        step = 2 * math.pi * TONE_HZ / RATE
        samples = array("h", (round(12_000 * math.sin(step * (self.at + n))) for n in range(PACKET)))
        frame = AudioFrame(format="s16", layout="mono", samples=PACKET)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate = RATE
        frame.time_base = fractions.Fraction(1, RATE)
        frame.pts = self.at
        self.at += PACKET
        return frame


class Colour(VideoStreamTrack):
    """One colour, as often as aiortc shows pictures."""

    def __init__(self):
        super().__init__()
        width, height = 320, 240
        self.frame = VideoFrame(width, height, "rgb24")
        self.frame.planes[0].update(bytes(COLOUR) * (width * height))
        self.frame = self.frame.reformat(format="yuv420p")

    async def recv(self):
        self.frame.pts, self.frame.time_base = await self.next_timestamp()
        return self.frame


def hertz(samples):
    """The median length of the waves, as a frequency; 0 where there are none."""
    waves, below, last = [], False, None
    for at, level in enumerate(samples):
        if level < -LOUD:
            below = True
        elif below and level > LOUD:
            if last is not None:
                waves.append(at - last)
            below, last = False, at
    return RATE / sorted(waves)[len(waves) // 2] if waves else 0.0


async def listen(track):
    """Tells of each second that came."""
    mono = AudioResampler(format="s16", layout="mono", rate=RATE)
    heard = array("h")
    try:
        while True:
            for frame in mono.resample(await track.recv()):
                heard.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
            if len(heard) >= RATE:
                tell("heard", hertz=round(hertz(heard), 1))
                heard = array("h")
    except MediaStreamError:
        pass  # The call is over.


async def look(track):
    """Tells of the middle of each fifteenth picture that came."""
    try:
        for count in itertools.count(1):
            picture = await track.recv()
            if count % 15:
                continue
            picture = picture.reformat(format="rgb24")
            plane = picture.planes[0]
            middle = picture.height // 2 * plane.line_size + picture.width // 2 * 3
            tell("seen", colour=list(bytes(plane)[middle : middle + 3]))
    except MediaStreamError:
        pass  # The call is over.


class Voice(End):
    def __init__(self):
        super().__init__()
        self.listening = None
        self.looking = None
        self.peer.on("track", self.track)

    def track(self, track):
        if track.kind == "audio":
            self.listening = asyncio.ensure_future(listen(track))
        else:
            self.looking = asyncio.ensure_future(look(track))

    def state(self):
        if self.peer.connectionState == "connected":
            # The certificate that was shown, not the one that was promised: the core compares the two.
            shown = self.peer.getSenders()[0].transport._ssl.get_peer_certificate(as_cryptography=True)
            tell("connected", fingerprint=f"sha-256 {certificate_digest(shown, 'sha-256')}")
        else:
            super().state()

    def offers(self, order):
        self.speaks(order["picture"])

    def answers(self):
        self.speaks(any(one.kind == "video" for one in self.peer.getTransceivers()))

    def speaks(self, with_picture):
        self.peer.addTrack(Tone())
        if with_picture:
            self.peer.addTrack(Colour())


run(Voice)
