"""A data channel that nobody of this project made: the WebRTC of aiortc. What comes on it is told, and what is ordered is sent.

`foreign-link` is at the other end of orders and of what is told (`end.py`), with these besides. What travels on the channel is in hex digits.

    told                                                       tells
    {"do": "offer", "label": ...}                              {"said": "open", "label": ...}
    {"do": "send", "bytes": ...}                               {"said": "message", "bytes": ...}
                                                               {"said": "closed"}
"""

from end import End, run, tell


class Link(End):
    def __init__(self):
        super().__init__()
        self.channel = None
        self.peer.on("datachannel", self.came)

    def came(self, channel):
        self.use(channel)
        tell("open", label=channel.label)

    def use(self, channel):
        self.channel = channel
        channel.on("open", lambda: tell("open", label=channel.label))
        channel.on("message", lambda message: tell("message", bytes=message.hex()))
        channel.on("close", lambda: tell("closed"))

    def offers(self, order):
        self.use(self.peer.createDataChannel(order["label"]))

    async def does(self, order):
        if order["do"] == "send":
            self.channel.send(bytes.fromhex(order["bytes"]))
        else:
            await super().does(order)


run(Link)
