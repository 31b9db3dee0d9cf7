"""The proxy between mule and the store that injects faults: a witness that does more than look.

It carries one request at a time from each connection, as HTTP/1.1 without pipelining has them, and passes every answer
of the store whole, so that "the request was processed and the answer lost" is exactly that.
"""

import contextlib
import select
import socket
import struct
import threading
import time
import urllib.parse

import faults
from witness import CHUNK, Request, Witness, framing

# How long a store may take to answer. It must end: what mule has given up is waited for after each run.
STORE_SECONDS = 120
SPACES = 4


class Ended(Exception):
    """There is nothing more to do on this connection."""


class FaultProxy(Witness):
    """A Witness whose connections meet the fates of `fates`, a faults.Fates."""

    def __init__(self, upstream, fates, **options):
        self.fates = fates
        # Answers of the store itself that were no success, and connections that it broke.
        self.store_failures = 0
        self.body_bytes = 0
        self._down_until = 0.0
        super().__init__(upstream, **options)

    @property
    def is_down(self):
        return time.monotonic() < self._down_until

    def go_down(self, seconds):
        """From now on for so long no connection lives."""
        self._down_until = time.monotonic() + seconds

    def passed(self, request, count):
        super().passed(request, count)
        if request.kind in faults.BODIES:
            with self._lock:
                self.body_bytes += count

    def store_failed(self):
        with self._lock:
            self.store_failures += 1

    def snapshot(self):
        """The requests so far, in the order of their beginning."""
        with self._lock:
            return list(self.requests)


class Stream:
    """A socket that is read by heads and bodies."""

    def __init__(self, link):
        self.link = link
        self._rest = b""

    @property
    def has_rest(self):
        return bool(self._rest)

    @property
    def is_quiet(self):
        """Whether nothing waits to be read, as it is between two exchanges on a connection that is in order."""
        return not self._rest and not select.select([self.link], [], [], 0)[0]

    def head(self):
        """The next message's head with its empty line; None at the end of the connection."""
        while b"\r\n\r\n" not in self._rest:
            data = self.link.recv(CHUNK)
            if not data:
                return None
            self._rest += data
        head, mark, self._rest = self._rest.partition(b"\r\n\r\n")
        return head + mark

    def some(self, limit):
        """At least one and at most `limit` bytes; none at the end of the connection."""
        if self._rest:
            data, self._rest = self._rest[:limit], self._rest[limit:]
            return data
        return self.link.recv(min(limit, CHUNK))

    def line(self):
        while b"\n" not in self._rest:
            data = self.link.recv(CHUNK)
            if not data:
                raise Ended
            self._rest += data
        line, mark, self._rest = self._rest.partition(b"\n")
        return line + mark

    def exactly(self, count):
        pieces = []
        while count > 0:
            data = self.some(count)
            if not data:
                raise Ended
            pieces.append(data)
            count -= len(data)
        return b"".join(pieces)


class Answer:
    """A whole answer: `raw` as it came, `document` without the marks of chunks."""

    def __init__(self, head, body_as_sent, document):
        self.head, self.raw, self.document = head, head + body_as_sent, document
        self.lines = head.decode("latin-1").split("\r\n")
        self.status = int(self.lines[0].split(" ")[1])
        self.closes = any(line.lower().replace(" ", "") == "connection:close" for line in self.lines)

    @classmethod
    def read(cls, stream, head, method):
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        length = 0 if method == "HEAD" or status in (204, 304) else framing(lines, otherwise=None)
        if length == "chunked":
            return cls(head, *_chunked(stream))
        if length is not None:
            body = stream.exactly(length)
            return cls(head, body, body)
        pieces = []
        while data := stream.some(CHUNK):
            pieces.append(data)
        body = b"".join(pieces)
        answer = cls(head, body, body)
        answer.closes = True
        return answer

    def truncated(self, share):
        """The same answer with less of its document, and nothing in its head that shows it."""
        document = self.document[: int(len(self.document) * share)]
        fields = [line for line in self.lines if not line.lower().startswith(("content-length:", "transfer-encoding:"))]
        head = "\r\n".join([line for line in fields if line] + [f"Content-Length: {len(document)}", "", ""])
        return head.encode("latin-1") + document

    def after_white_space(self):
        """Head, spaces and the document, as S3 answers a Complete that takes its time."""
        fields = [line for line in self.lines if not line.lower().startswith(("content-length:", "transfer-encoding:"))]
        head = "\r\n".join([line for line in fields if line] + ["Transfer-Encoding: chunked", "", ""])
        return head.encode("latin-1"), self.document


def _chunked(stream):
    raw, document = [], []
    while True:
        line = stream.line()
        raw.append(line)
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        data = stream.exactly(size)
        document.append(data)
        raw += [data, stream.line()]
    while True:  # trailers, and the empty line
        raw.append(line := stream.line())
        if not line.strip():
            return b"".join(raw), b"".join(document)


def _error(status, code, method, retry_after=None, close=False):
    """An answer of the proxy's own."""
    reason = {200: "OK", 400: "Bad Request", 417: "Expectation Failed", 429: "Too Many Requests"}.get(status, "Error")
    body, kind = b"<html><body><h1>Bad Gateway</h1></body></html>", "text/html"
    if code:
        text = f"<Error><Code>{code}</Code><Message>torture</Message><RequestId>0</RequestId></Error>"
        body, kind = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), "application/xml"
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    if retry_after:
        lines.append(f"Retry-After: {retry_after}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)


class FaultyConnection:
    """One connection of mule's, and the connection to the store behind it."""

    def __init__(self, proxy, client):
        self.request = None
        self._proxy, self._link = proxy, client
        self._client = Stream(client)
        self._server = None

    def run(self):
        try:
            self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy.is_down or self._proxy.fates.refuses_connection():
                self._proxy.fates.came_to_pass(faults.BLACKOUT if self._proxy.is_down else faults.REFUSED)
                self._reset()
                return
            while self._exchange():
                pass
        except (OSError, Ended):
            pass
        finally:
            self._drop_server()
            self._link.close()
            self._proxy.ended(self.request)

    # One exchange

    def _exchange(self):
        """Carries one request and its answer; False when the connection is to be closed."""
        head = self._client.head()
        if head is None:
            return False
        lines = head.decode("latin-1").split("\r\n")
        method, target, *_ = lines[0].split(" ")
        address = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        request = Request(method, urllib.parse.unquote(address.path), query)
        request.fault = None
        self.request = request
        self._proxy.began(request)
        expects = any(line.lower().replace(" ", "") == "expect:100-continue" for line in lines)
        length = framing(lines, otherwise=0)
        if length == "chunked":
            raise AssertionError("mule sends no chunked bodies")
        if self._proxy.is_down:
            return self._struck(faults.BLACKOUT) and self._reset()
        fault = self._proxy.fates.of(request, expects)
        if fault and fault.name == faults.BIT_FLIPPED and length == 0:
            fault = None
        if fault and fault.place == faults.HEAD:
            self._struck(fault.name)
            time.sleep(fault.seconds)
            if fault.name == faults.REQUEST_LOST:
                return self._reset() if fault.early else False
        if fault and fault.place == faults.INSTEAD:
            return self._answer_instead(fault, request, length, expects)
        if not self._forward(head, request, length, expects, fault):
            return False
        return self._answer(request, fault)

    def _forward(self, head, request, length, expects, fault):
        """The request goes to the store; False when the connection ends on the way."""
        self._connect()
        self._server.link.sendall(head)
        if self._carry_body(request, length, expects, fault):
            request.sent = time.monotonic()
            self._proxy.tell("sent", request)
            return True
        return False

    def _carry_body(self, request, length, expects, fault):
        strikes = fault if fault and fault.place == faults.BODY else None
        at = int(length * strikes.share) if strikes else None
        done = 0
        while done < length:
            # The client may wait for leave to send, and the store may refuse before it has read everything.
            if not self._client.has_rest:
                ready, _, _ = select.select([self._link, self._server.link], [], [], STORE_SECONDS)
                if not ready:
                    raise Ended
                if self._server.link in ready:
                    if self._server_speaks():
                        continue
                    return True
            data = self._client.some(length - done)
            if not data:
                raise Ended
            if self._proxy.is_down:
                return self._struck(faults.BLACKOUT, request) and self._reset()
            if strikes and done <= at < done + len(data):
                if strikes.name == faults.BODY_CUT:
                    data = data[: at - done]
                elif strikes.name == faults.BIT_FLIPPED:
                    damaged = bytearray(data)
                    damaged[at - done] ^= 1 << int(strikes.share * 8e6) % 8
                    data = bytes(damaged)
                elif strikes.name == faults.BODY_STALLED:
                    time.sleep(strikes.seconds)
                if strikes.name != faults.BODY_THROTTLED:
                    self._struck(strikes.name, request)
            if strikes and strikes.name == faults.BODY_THROTTLED:
                if done == 0:
                    self._struck(strikes.name, request)
                time.sleep(strikes.seconds * len(data) / length)
            done += len(data)
            self._proxy.passed(request, len(data))
            self._proxy.slow_down(len(data))
            self._server.link.sendall(data)
            if strikes and strikes.name == faults.BODY_CUT and done >= at and request.fault:
                return self._reset() if strikes.early else False
        return True

    def _server_speaks(self):
        """Passes an interim answer on; False when the final answer begins instead."""
        head = self._server.head()
        if head is None:
            self._proxy.store_failed()
            raise Ended
        if head.split(b" ", 2)[1].startswith(b"1"):
            self._link.sendall(head)
            return True
        self._early = head
        return False

    def _answer(self, request, fault):
        answer = self._read_answer(request)
        request.status, request.answered = answer.status, time.monotonic()
        if answer.status >= 500:
            self._proxy.store_failed()
        self._proxy.answered(request)
        self._proxy.tell("answered", request)
        if self._proxy.is_down:
            return self._struck(faults.BLACKOUT, request) and self._reset()
        stays = self._deliver(answer, request, fault if fault and fault.place == faults.ANSWER else None)
        self._proxy.tell("delivered", request)
        if fault and fault.place == faults.AFTER:
            self._struck(fault.name)
            return False
        return stays and not answer.closes and not self._refused_early

    def _deliver(self, answer, request, fault):
        send = self._link.sendall
        name = fault and fault.name
        if fault:
            self._struck(name, request)
        if name == faults.ANSWER_LOST:
            raise Ended
        if name == faults.ANSWER_CUT:
            send(answer.raw[: int(len(answer.raw) * fault.share)])
            raise Ended
        if name == faults.ANSWER_TRUNCATED:
            send(answer.truncated(fault.share))
        elif name in (faults.ANSWER_REPLACED, faults.SUCCESS_REPLACED):
            send(_error(fault.status, fault.code, request.method))
        elif name == faults.ANSWER_STALLED:
            half = int(len(answer.raw) * fault.share)
            send(answer.raw[:half])
            time.sleep(fault.seconds)
            send(answer.raw[half:])
        elif name == faults.ANSWER_LATE:
            self._send_late(*answer.after_white_space(), fault.seconds)
        else:
            time.sleep(fault.seconds if fault else 0)
            send(answer.raw)
        return True

    def _read_answer(self, request):
        head, self._early, self._refused_early = self._early, None, self._early is not None
        try:
            while head is None:
                head = self._server.head()
                # Swift ends some answers that have no body as if they had one.
                if head is None or not head.startswith(b"HTTP/"):
                    raise Ended
                if head.split(b" ", 2)[1].startswith(b"1"):
                    with contextlib.suppress(OSError):
                        self._link.sendall(head)
                    head = None
            answer = Answer.read(self._server, head, request.method)
        except (OSError, Ended):
            self._proxy.store_failed()
            raise Ended from None
        if answer.closes or self._refused_early:
            self._drop_server()
        return answer

    def _answer_instead(self, fault, request, length, expects):
        """The store never hears of the request."""
        early = fault.early or fault.name == faults.EXPECTATION_REFUSED
        if not early:
            if expects:
                self._link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while length > 0:
                data = self._client.some(length)
                if not data:
                    raise Ended
                self._proxy.passed(request, len(data))
                self._proxy.slow_down(len(data))
                length -= len(data)
        self._struck(fault.name, request)
        answer = _error(fault.status, fault.code, request.method, fault.retry_after, close=early)
        if fault.name == faults.ERROR_IN_SUCCESS:
            head, _, document = answer.partition(b"\r\n\r\n")
            lines = [line for line in head.decode().split("\r\n") if not line.startswith("Content-Length")]
            head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode()
            self._send_late(head, document, fault.seconds)
        else:
            self._link.sendall(answer)
        return not early

    def _send_late(self, head, document, seconds):
        self._link.sendall(head)
        for _ in range(SPACES):
            self._link.sendall(b"1\r\n \r\n")
            time.sleep(seconds / SPACES)
        self._link.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(document), document))

    # The two ends

    def _struck(self, name, request=None):
        self._proxy.fates.came_to_pass(name, request)
        if self.request is not None:
            self.request.fault = name
        return True

    def _reset(self):
        """Closes with a reset instead of an orderly end; False, as an exchange that ends its connection."""
        with contextlib.suppress(OSError):
            self._link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _connect(self):
        self._early, self._refused_early = None, False
        if self._server is not None and self._server.is_quiet:
            return
        self._drop_server()
        try:
            link = socket.create_connection(self._proxy.upstream, timeout=STORE_SECONDS)
        except OSError:
            self._proxy.store_failed()
            raise
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = Stream(link)

    def _drop_server(self):
        if self._server is not None:
            self._server.link.close()
            self._server = None


FaultProxy.connection = FaultyConnection
