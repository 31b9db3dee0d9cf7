#!/usr/bin/env python3
"""A TCP proxy between mule and a store that counts what passes: an independent witness of the bytes that were sent.

    witness.py --upstream 127.0.0.1:PORT [--listen PORT] [--rate MB/S]

It changes no byte, so signatures hold; it follows the HTTP/1.1 messages of each connection only to know which part a
byte belongs to and when the store has answered. As a program it prints the address it listens on and, when its
standard input ends, what it saw.
"""

import argparse
import contextlib
import json
import socket
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

CHUNK = 256 * 1024


@dataclass
class Request:
    """One request as it passed; the moments are of time.monotonic(), None where it has not come to that."""

    method: str
    path: str
    query: dict
    began: float = field(default_factory=time.monotonic)
    body_bytes: int = 0
    sent: float | None = None
    answered: float | None = None
    status: int | None = None

    @property
    def is_part(self):
        return self.method == "PUT" and "partNumber" in self.query

    @property
    def kind(self):
        """What the request means for an upload; the bare method where it means nothing."""
        if self.is_part:
            return "part"
        if "uploadId" in self.query:
            return {"POST": "complete", "GET": "list parts", "DELETE": "abort"}.get(self.method, self.method)
        if "uploads" in self.query:
            return {"POST": "create", "GET": "list uploads"}.get(self.method, self.method)
        return {"PUT": "put", "HEAD": "head"}.get(self.method, self.method)


class Messages:
    """Cuts one direction of an HTTP/1.1 connection into messages and tells `owner` of heads, body bytes and ends.

    owner.head(lines) answers with the length of the body, "chunked", or None for one that ends with the connection.
    """

    def __init__(self, owner):
        self._owner = owner
        self._head = bytearray()
        self._left = 0  # body bytes to come; None: until the connection ends
        self._chunked = False
        self._take = self._take_head

    def feed(self, data):
        while data:
            data = self._take(data)

    def _take_head(self, data):
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            return b""
        lines = bytes(self._head[:end]).decode("latin-1").lstrip("\r\n").split("\r\n")
        self._head.clear()
        length = self._owner.head(lines)
        self._chunked = length == "chunked"
        if self._chunked:
            self._take = self._take_size
        elif length == 0:
            self._owner.end()
        else:
            self._left, self._take = length, self._take_body
        return data[end + 4 - before :]

    def _take_body(self, data):
        count = len(data) if self._left is None else min(len(data), self._left)
        self._owner.body(count)
        if self._left is not None:
            self._left -= count
            if self._left == 0:
                self._take = self._take_size if self._chunked else self._take_head
                if not self._chunked:
                    self._owner.end()
        return data[count:]

    def _take_size(self, data):
        """A chunk's size line, the empty line after a chunk, or a trailer."""
        line, newline, rest = bytes(data).partition(b"\n")
        self._head += line
        if not newline:
            return b""
        text = bytes(self._head).strip()
        self._head.clear()
        if self._left is None:  # within the trailers, which an empty line ends
            if not text:
                self._left, self._take = 0, self._take_head
                self._owner.end()
        elif text:
            size = int(text.split(b";")[0], 16)
            self._left, self._take = (size, self._take_body) if size else (None, self._take_size)
        return rest


class Connection:
    def __init__(self, witness, client):
        self.witness = witness
        self._client = client
        self._server = None
        self.request = None

    def run(self):
        with self._client:
            try:
                self._server = socket.create_connection(self.witness.upstream)
            except OSError:
                return
            with self._server:
                for end in (self._client, self._server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=self._carry_answers, daemon=True)
                back.start()
                self._carry_requests()
                back.join()
        self.witness.ended(self.request)

    def _carry_requests(self):
        requests = Requests(self)
        messages = Messages(requests)
        buffer = memoryview(bytearray(CHUNK))
        with contextlib.suppress(OSError):
            while count := self._client.recv_into(buffer):
                messages.feed(buffer[:count])
                self.witness.slow_down(count)
                self._server.sendall(buffer[:count])
                if requests.finished:
                    self.witness.tell("sent", requests.finished)
                    requests.finished = None
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)

    def _carry_answers(self):
        answers = Answers(self)
        messages = Messages(answers)
        buffer = memoryview(bytearray(CHUNK))
        listening = True
        with contextlib.suppress(OSError):
            while count := self._server.recv_into(buffer):
                messages.feed(buffer[:count])
                # When mule is gone the store may still answer; that answer counts.
                try:
                    if listening:
                        self._client.sendall(buffer[:count])
                except OSError:
                    listening = False
                if answers.finished:
                    self.witness.tell("delivered", answers.finished)
                    answers.finished = None
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)


class Requests:
    """The requests of one connection, as Messages tells of them."""

    def __init__(self, connection):
        self._connection = connection
        self.finished = None

    def head(self, lines):
        method, target, *_ = lines[0].split(" ")
        address = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        request = Request(method, urllib.parse.unquote(address.path), query)
        self._connection.request = request
        self._connection.witness.began(request)
        return framing(lines, otherwise=0)

    def body(self, count):
        self._connection.witness.passed(self._connection.request, count)

    def end(self):
        self.finished = self._connection.request
        self.finished.sent = time.monotonic()


class Answers:
    """The answers of one connection; HTTP/1.1 without pipelining, so each belongs to the request before it."""

    def __init__(self, connection):
        self._connection = connection
        self._interim = False
        self.finished = None

    def head(self, lines):
        status = int(lines[0].split(" ")[1])
        request = self._connection.request
        self._interim = 100 <= status < 200
        if self._interim:
            return 0
        request.status, request.answered = status, time.monotonic()
        self._connection.witness.answered(request)
        self._connection.witness.tell("answered", request)
        if request.method == "HEAD" or status in (204, 304):
            return 0
        return framing(lines, otherwise=None)

    def body(self, count):
        pass

    def end(self):
        if not self._interim:
            self.finished = self._connection.request


class Witness:
    """Listens on 127.0.0.1 and carries every connection to `upstream`, a pair of host and port.

    watch(event, request) is called on the connection's thread, which holds back the bytes until it returns:
      sent       the whole request has gone to the store
      answered   the head of the store's answer is here and has not gone to mule yet
      delivered  the whole answer has gone to mule
    `rate` limits the bytes per second of all connections together. `connection` carries one connection: it is made
    with the witness and the client's socket, and run on a thread of its own.
    """

    connection = Connection

    def __init__(self, upstream, port=0, rate=None, watch=None):
        self.upstream = upstream
        self.rate = rate
        self.watch = watch
        self.requests = []
        self.part_bytes = 0
        self.most_in_flight = 0
        self._in_flight = set()
        self._connections = 0
        self._lock = threading.Condition()
        self._free_from = 0.0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        # What waits unread in here would be counted only after mule was killed: keep it small.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * CHUNK)
        self.endpoint = "http://127.0.0.1:{}".format(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def settle(self, seconds=20):
        """Waits until every connection has ended, as they do once mule is gone; False when one stays."""
        with self._lock:
            return self._lock.wait_for(lambda: self._connections == 0, seconds)

    def close(self):
        # A thread that waits in accept keeps the port open, closed or not, and must not wake up with another socket.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self._connections += 1
                threading.Thread(target=self.connection(self, client).run, daemon=True).start()

    def began(self, request):
        with self._lock:
            self.requests.append(request)
            if request.is_part:
                self._in_flight.add(id(request))
                self.most_in_flight = max(self.most_in_flight, len(self._in_flight))

    def passed(self, request, count):
        with self._lock:
            request.body_bytes += count
            if request.is_part:
                self.part_bytes += count

    def answered(self, request):
        with self._lock:
            self._in_flight.discard(id(request))

    def ended(self, request):
        with self._lock:
            self._in_flight.discard(id(request))
            self._connections -= 1
            self._lock.notify_all()

    def tell(self, event, request):
        if self.watch:
            self.watch(event, request)

    def slow_down(self, count):
        if not self.rate:
            return
        with self._lock:
            start = max(self._free_from, time.monotonic())
            self._free_from = start + count / self.rate
        time.sleep(max(0.0, start - time.monotonic()))


def framing(lines, otherwise):
    """The length of a message's body, "chunked", or `otherwise` where its head says nothing."""
    fields = dict(line.lower().split(":", 1) for line in lines[1:] if ":" in line)
    if "chunked" in fields.get("transfer-encoding", ""):
        return "chunked"
    return int(fields["content-length"]) if "content-length" in fields else otherwise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT")
    parser.add_argument("--rate", type=float, metavar="MB/S", help="megabytes (10^6) per second, all connections")
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    witness = Witness((host, int(port)), options.listen, options.rate and options.rate * 1e6)
    print(f"ENDPOINT={witness.endpoint}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    seen = {"mostInFlight": witness.most_in_flight, "partBytes": witness.part_bytes, "requests": len(witness.requests)}
    print(json.dumps(seen, sort_keys=True))


if __name__ == "__main__":
    main()
