"""Runs the case classes of autobahntestsuite (Python 2) under Python 3, against an echo server.

usage: autobahn_cases.py CASE-FOLDER ECHO-EXECUTABLE [PREFIX…]     such as 6.4 for the cases 6.4.*

A case gets a protocol object `p` to send with and to be called back by; here that is `Peer`, a raw socket. Texts stand
for bytes as in Python 2: one character of Latin-1 a byte. Exits with 1 when a case ends in anything but OK, NON-STRICT
or INFORMATIONAL. The server speaks text only: for a case that sends a binary message, being closed with 1003 is what is
expected instead.
"""

import binascii
import heapq
import itertools
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
# Compression (12.*, 13.*) is not offered by this server; 9.9.1 is not among the suite's own.
LEFT_OUT = re.compile(r"^(12|13|9\.9)\.")
HARD_LIMIT_SECONDS = 120


class WebSocketProtocol:
    """The names that cases use of autobahn's class."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    MESSAGE_TYPE_TEXT, MESSAGE_TYPE_BINARY = 1, 2
    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_GOING_AWAY = 1001
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007


class Utf8Validator:
    """Says of prefixes of a text whether they are valid."""

    def reset(self):
        pass

    def validate(self, text):
        try:
            to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            return False, False
        return True, True


def to_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Peer(WebSocketProtocol):
    """One connection of one case: what a case calls, and the loop that calls it back."""

    def __init__(self, port):
        self.state = self.STATE_CONNECTING
        self.factory = types.SimpleNamespace(isServer=False)
        self.case = None
        self.connectionWasOpen = False
        self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.localCloseCode = self.localCloseReason = None
        self.remoteCloseCode = self.remoteCloseReason = None
        self.autoFragmentSize = 0
        self.createWirelog = True
        self.txFrameStats = {}
        self.sentBinary = False
        self.trafficStats = None
        self._timers, self._order = [], itertools.count()
        self._out, self._chops = bytearray(), []
        self._in, self._message, self._message_opcode = bytearray(), bytearray(), 0
        self._close_sent = False
        self._opcode = 1
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._handshake(port)

    def _handshake(self, port):
        request = (
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % port
        )
        self._socket.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(4096)
        head, _, rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in head or b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" not in head:
            raise RuntimeError("no upgrade: %r" % head)
        self._in += rest
        self._socket.setblocking(False)
        self.state = self.STATE_OPEN

    # What cases send

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = to_bytes(payload)
        if payload_len is not None and payload:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        elif payload_len is not None:
            raise ValueError("a payload length without a payload")
        if opcode == 2:
            self.sentBinary = True
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        frame = self._header(opcode, len(payload), fin, rsv) + self._masked(payload)
        self._write(frame, chopsize)

    @staticmethod
    def _header(opcode, length, fin=True, rsv=0):
        first = (0x80 if fin else 0) | (rsv % 8) << 4 | opcode % 128
        if length < 126:
            return struct.pack("!BB", first, 0x80 | length)
        if length < 65536:
            return struct.pack("!BBH", first, 0x80 | 126, length)
        return struct.pack("!BBQ", first, 0x80 | 127, length)

    _KEY = b"\x37\xfa\x21\x3d"

    def _masked(self, payload, offset=0):
        key = self._KEY[offset % 4 :] + self._KEY[: offset % 4]
        pad = (key * (len(payload) // 4 + 1))[: len(payload)]
        mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
        return key * (offset == 0) + mixed.to_bytes(len(payload), "big")

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False):
        payload = to_bytes(payload)
        size = fragmentSize or self.autoFragmentSize or max(1, len(payload))
        parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for number, part in enumerate(parts):
            opcode = (2 if isBinary else 1) if number == 0 else 0
            self.sendFrame(opcode, part, fin=number == len(parts) - 1)

    def beginMessage(self, opcode=1):
        self._opcode = opcode
        self.sentBinary = self.sentBinary or opcode == 2

    def beginMessageFrame(self, length):
        self._write(self._header(self._opcode, length, fin=False) + self._KEY)
        self._opcode, self._offset = 0, 0

    def sendMessageFrameData(self, payload, sync=False):
        payload = to_bytes(payload)
        masked = self._masked(payload, self._offset)
        self._write(masked if self._offset else masked[4:])
        self._offset += len(payload)

    def endMessage(self):
        self._write(self._header(0, 0) + self._KEY)

    def sendClose(self, code=None, reason=None):
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, reasonUtf8=reason)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        if self._close_sent:
            return
        payload = struct.pack("!H", code) if code is not None else b""
        if reasonUtf8 is not None:
            payload += to_bytes(reasonUtf8)
        self._close_sent = True
        self.closedByMe = not isReply
        self.localCloseCode = code
        self.localCloseReason = None if reasonUtf8 is None else to_bytes(reasonUtf8).decode("latin-1")
        self.state = self.STATE_CLOSING
        self._write(self._header(8, len(payload)) + self._masked(payload))
        # As long as the suite waits for the answer.
        self._later(10, self._give_up)

    def enableWirelog(self, enable):
        self.createWirelog = enable

    # When cases want to be called

    def continueLater(self, delay, function, tag=None):
        self._later(delay, function)

    def killAfter(self, delay):
        self._later(delay, self._fail)

    def closeAfter(self, delay):
        self._later(delay, lambda: self.sendClose())

    def _later(self, delay, function):
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), function))

    def _fail(self):
        self.failedByMe = True
        self.closedByMe = True
        self._give_up()

    def _give_up(self):
        self.droppedByMe = True
        self.state = self.STATE_CLOSED

    # The loop

    def run(self, case):
        self.case = case
        self.connectionWasOpen = True
        case.onOpen()
        end = time.monotonic() + HARD_LIMIT_SECONDS
        self._parse()
        while self.state != self.STATE_CLOSED and time.monotonic() < end:
            self._turn()
        self.state = self.STATE_CLOSED
        self._socket.close()
        case.onConnectionLost(self.failedByMe)

    def _turn(self):
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, function = heapq.heappop(self._timers)
            function()
            if self.state == self.STATE_CLOSED:
                return
        wait = max(0.0, self._timers[0][0] - now) if self._timers else 1.0
        readable, writable, _ = select.select([self._socket], [self._socket] if self._out else [], [], wait)
        try:
            if writable:
                self._flush()
            if readable:
                data = self._socket.recv(1 << 20)
                if not data:
                    self.wasClean = self._close_sent and self.remoteCloseCode is not False and self._close_received
                    self.state = self.STATE_CLOSED
                    return
                self._in += data
                self._parse()
        except (ConnectionResetError, BrokenPipeError):
            self.state = self.STATE_CLOSED

    def _write(self, data, chopsize=None):
        if self.state == self.STATE_CLOSED:
            return
        if chopsize:
            self._chops.append((len(self._out) + len(data), chopsize))
        self._out += data
        try:
            self._flush()
        except (ConnectionResetError, BrokenPipeError):
            pass  # the end is read

    def _flush(self):
        while self._out:
            size = self._chops[0][1] if self._chops else 1 << 20
            try:
                sent = self._socket.send(self._out[:size])
            except BlockingIOError:
                return
            del self._out[:sent]
            self._chops = [(end - sent, size) for end, size in self._chops if end > sent]

    _close_received = False

    def _parse(self):
        while self.state != self.STATE_CLOSED:
            data = self._in
            if len(data) < 2:
                return
            opcode, final, length, at = data[0] & 15, data[0] & 0x80, data[1] & 0x7F, 2
            if data[0] & 0x70 or data[1] & 0x80:
                raise RuntimeError("a server frame with reserved bits or a mask: %r" % bytes(data[:2]))
            if length >= 126:
                size = 2 if length == 126 else 8
                if len(data) < 2 + size:
                    return
                length, at = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
            if len(data) < at + length:
                return
            payload = bytes(data[at : at + length])
            del self._in[: at + length]
            self._take(opcode, bool(final), payload)

    def _take(self, opcode, final, payload):
        text = payload.decode("latin-1")
        if opcode == 8:
            self._close_received = True
            self.remoteCloseCode = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None
            self.remoteCloseReason = text[2:]
            self.case.onClose(True, self.remoteCloseCode, self.remoteCloseReason)
            if not self._close_sent:
                self.sendCloseFrame(self.remoteCloseCode, isReply=True)
        elif opcode == 9:
            self.case.onPing(text)
            if self.state == self.STATE_OPEN:
                self._write(self._header(10, len(payload)) + self._masked(payload))
        elif opcode == 10:
            self.case.onPong(text)
        else:
            if opcode:
                self._message_opcode = opcode
            self._message += payload
            if final:
                message, self._message = bytes(self._message).decode("latin-1"), bytearray()
                if self.state == self.STATE_OPEN or self._close_sent:
                    self.case.onMessage(message, self._message_opcode == 2)


def load_cases(folder):
    """The case classes by number, as `1.1.1`."""
    stub = types.ModuleType("autobahn.websocket.protocol")
    stub.WebSocketProtocol = WebSocketProtocol
    for name in ("autobahn", "autobahn.websocket"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["autobahn.websocket.protocol"] = stub
    validator = types.ModuleType("autobahn.websocket.utf8validator")
    validator.Utf8Validator = Utf8Validator
    sys.modules["autobahn.websocket.utf8validator"] = validator

    hexadecimal = types.ModuleType("binascii")
    hexadecimal.b2a_hex = lambda data: binascii.b2a_hex(to_bytes(data)).decode()
    hexadecimal.a2b_hex = lambda data: binascii.a2b_hex(data).decode("latin-1")

    modules = {}

    def load(name):
        if name in modules:
            return modules[name]
        with open(os.path.join(folder, name + ".py"), encoding="latin-1") as file:
            source = file.read()
        # Python 2: texts are bytes, print is a statement, division of integers is whole.
        source = re.sub(r'\.encode\("utf-?8"\)', '.encode("utf-8").decode("latin-1")', source)
        source = re.sub(r"^(\s*)print .*$", r"\1pass", source, flags=re.M)
        source = re.sub(r"(len\(self\.payload\)) / ", r"\1 // ", source)
        source = re.sub(r"\(object, Case, ?\)", "(Case,)", source)
        source = re.sub(r"\.next\(\)", ".__next__()", source)
        source = re.sub(r"^import binascii.*$", "", source, flags=re.M)
        imports = re.findall(r"^from ((?:case)\w*) import .*$", source, flags=re.M)
        source = re.sub(r"^from (?:case)\w* import .*$", "", source, flags=re.M)
        module = types.ModuleType(name)
        modules[name] = module
        space = module.__dict__
        space.update(xrange=range, unichr=chr, binascii=hexadecimal)
        for other in imports:
            space.update({k: v for k, v in load(other).__dict__.items() if not k.startswith("__")})
        exec(compile(source, name, "exec"), space)
        return module

    found = {}
    for file in sorted(os.listdir(folder)):
        name, extension = os.path.splitext(file)
        if extension != ".py" or not re.match(r"case\d", name) or LEFT_OUT.match(re.sub("^case", "", name).replace("_", ".") + "."):
            continue
        space = load(name).__dict__
        for value in list(space.values()):
            for one in value if isinstance(value, list) else [value]:
                number = isinstance(one, type) and re.fullmatch(r"Case(\d+(?:_\d+)+)", one.__name__)
                if number:
                    found[number.group(1).replace("_", ".")] = one
    base = load("case").Case
    base.compare = lambda self, one, other: one == other
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def run_case(port, number, kind):
    """How a case ended, and why."""
    try:
        peer = Peer(port)
        case = kind(peer)
        peer.run(case)
    except Exception as error:  # a defect of this program or a broken server: either way it is to be seen
        return number, "BROKEN", "BROKEN", "%s: %s" % (type(error).__name__, error)
    passed = case.behavior in GOOD and case.behaviorClose in GOOD
    if peer.sentBinary and not passed:
        refused = peer.remoteCloseCode == 1003 and not any(kind == "message" for kind, *_ in case.received)
        return number, "OK" if refused else "FAILED", "OK", "binary is refused with 1003, got %s" % peer.remoteCloseCode
    return number, case.behavior, case.behaviorClose, "%s; %s" % (case.result, case.resultClose)


def main():
    folder, echo, prefixes = sys.argv[1], sys.argv[2], sys.argv[3:]
    cases = load_cases(folder)
    if prefixes:
        cases = {n: c for n, c in cases.items() if any((n + ".").startswith(p.rstrip(".") + ".") for p in prefixes)}
    server = subprocess.Popen([echo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda item: run_case(port, *item), cases.items()))
    finally:
        server.stdin.close()
        server.wait(10)
    tally = {}
    bad = 0
    for number, behaviour, closing, why in results:
        tally[behaviour] = tally.get(behaviour, 0) + 1
        if behaviour not in GOOD or closing not in GOOD:
            bad += 1
            print("%-8s %s, close: %s (%s)" % (number, behaviour, closing, why))
    print("%d cases: %s" % (len(results), ", ".join("%d %s" % (n, k) for k, n in sorted(tally.items()))))
    if not results:
        print("no case was found")
    sys.exit(1 if bad or not results else 0)


main()
