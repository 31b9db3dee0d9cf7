#!/usr/bin/env python3
"""Stops mule again and again on slow links and measures what it keeps.

    Tests/Torture/slow_links.py [--link limit,proxy,tbf] [--runs 5] [--seconds 15] [--size-mib 300] [--mule PATH]

Each link uploads one file by the same command, which is stopped after so many seconds, several times:

    limit   --limit-rate 3MB/s, stopped by SIGINT
    proxy   a proxy in user space that passes 1.5 MB/s in all, stopped by SIGKILL
    tbf     a network namespace behind a token bucket of 8 Mbit/s, stopped by SIGKILL (root and iproute2)

A link is good when every run adds to what the store keeps, and all runs together keep at least 60 % of what they sent.
A part that is cut off is lost on S3, so no client can keep all of it.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TREE / "Tests" / "Servers"), str(TREE / "Benchmarks" / "bench")]

import sink
import stage
from failure import Failure
from stage import MEBIBYTE, ROOT

LEAST_KEPT = 0.6
PROXY_RATE = 1.5e6
# Linux allows 15 characters in the name of an interface.
NAMESPACE, OUTSIDE, INSIDE = f"mule-{os.getpid()}", f"mu{os.getpid()}", f"mv{os.getpid()}"
ADDRESSES = ("10.213.77.1", "10.213.77.2")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", default="limit,proxy,tbf")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--size-mib", type=int, default=300)
    parser.add_argument("--mule", type=pathlib.Path, default=ROOT / ".build" / "release" / "mule")
    options = parser.parse_args()
    stage.end_politely()
    try:
        if not options.mule.exists():
            raise Failure(f"{options.mule} does not exist; run `make build` first")
        sink.build()
        bad = [name for name in options.link.split(",") if not measure(name, options)]
    except Failure as error:
        sys.exit(f"slow_links: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if bad:
        sys.exit(f"slow_links: too little was kept on: {', '.join(bad)}")


def measure(name, options):
    link = {"limit": limit, "proxy": proxy, "tbf": tbf}.get(name)
    if link is None:
        raise Failure(f"there is no link {name}")
    size = options.size_mib * MEBIBYTE
    with stage.folder("slow-links", 2 * size) as folder, sink.Sink(False, []) as store, link(store.endpoint) as way:
        before, endpoint, words, number = way
        source = stage.payload(folder / "source.bin", size, 1)
        command = [*before, str(options.mule.resolve()), "upload", "--progress", "none", "--addressing", "path"]
        command += ["--endpoint-url", endpoint, "--ledger", str(folder / "ledger.sqlite"), *words]
        return stop_often([*command, str(source), "bench/slow"], number, name, store, folder, options)


def stop_often(command, number, name, store, folder, options):
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_REGION": "us-east-1",
        "HOME": str(folder), "NO_PROXY": "*",
    }
    print(f"\n{name}: {' '.join(command[-4:])}")
    print(f"{'run':>5} {'sent':>12} {'kept':>12} {'kept in all':>12}  last words")
    sent = kept = 0
    progresses = True
    for run in range(1, options.runs + 1):
        output = folder / f"run-{run}.log"
        with open(output, "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            try:
                process.wait(options.seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                process.wait()
        # What lies in buffers on the way still arrives, as far as the link lets it; the store counts it as sent.
        time.sleep(1)
        seen = store.seen()
        now = seen["openBytes"] + seen["objectBytes"]
        said = output.read_text(errors="replace").strip().splitlines()
        print(f"{run:>5} {mebibytes(seen['bytes'] - sent)} {mebibytes(now - kept)} {mebibytes(now)}"
              f"  {said[-1] if said else ''}", flush=True)
        progresses = progresses and (now > kept or now >= options.size_mib * MEBIBYTE)
        sent, kept = seen["bytes"], now
        if seen["objects"]:
            break
    share = kept / max(sent, 1)
    verdict = progresses and share >= LEAST_KEPT
    print(f"{name}: {share:.0%} of what was sent is kept: {'good' if verdict else 'BAD'}", flush=True)
    return verdict


def mebibytes(count):
    return f"{count / MEBIBYTE:>8.1f} MiB"


# Each link gives: words before the command, the endpoint, words of the command, the signal that stops it.


@contextlib.contextmanager
def limit(endpoint):
    yield [], endpoint, ["--limit-rate", "3MB/s"], signal.SIGINT


@contextlib.contextmanager
def proxy(endpoint):
    with Forwarder(endpoint, "127.0.0.1", PROXY_RATE) as address:
        yield [], address, [], signal.SIGKILL


@contextlib.contextmanager
def tbf(endpoint):
    if os.geteuid() != 0 or not shutil.which("tc"):
        raise Failure("the link tbf needs root and iproute2; choose --link limit,proxy")
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", NAMESPACE)
        run("ip", "addr", "add", f"{ADDRESSES[0]}/24", "dev", OUTSIDE)
        run("ip", "link", "set", OUTSIDE, "up")
        inside = ["ip", "netns", "exec", NAMESPACE]
        run(*inside, "ip", "addr", "add", f"{ADDRESSES[1]}/24", "dev", INSIDE)
        run(*inside, "ip", "link", "set", INSIDE, "up")
        run(*inside, "tc", "qdisc", "add", "dev", INSIDE, "root", "tbf", "rate", "8mbit", "burst", "32kb", "latency", "400ms")
        with Forwarder(endpoint, ADDRESSES[0], None) as address:
            yield inside, address, [], signal.SIGKILL
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False)
        subprocess.run(["ip", "link", "delete", OUTSIDE], check=False, stderr=subprocess.DEVNULL)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")


class Forwarder:
    """Passes connections on to a local port; at `rate` bytes a second in all towards it, or as they come."""

    def __init__(self, endpoint, address, rate):
        self.target = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
        self.rate = rate
        self.lock = threading.Lock()
        self.paid_until = 0.0
        self.listener = socket.create_server((address, 0), backlog=128)
        self.address = f"http://{address}:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self.address

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            for source, target, paced in ((client, server, self.rate), (server, client, None)):
                threading.Thread(target=self.forward, args=(source, target, paced), daemon=True).start()

    def forward(self, source, target, rate):
        with contextlib.suppress(OSError):
            while data := source.recv(16 << 10):
                if rate:
                    self.wait(len(data) / rate)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds):
        with self.lock:
            turn = max(self.paid_until, time.monotonic())
            self.paid_until = turn + seconds
        time.sleep(max(0.0, turn - time.monotonic()))


if __name__ == "__main__":
    main()
