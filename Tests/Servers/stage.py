"""What a play with a real store needs: a server that ends with the script, a payload, mule's environment."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

from failure import Failure
from s3client import Store

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MEBIBYTE = 1024 * 1024


@contextlib.contextmanager
def folder(name, free_bytes):
    """An empty folder under .build that is gone afterwards, on a file system with room for `free_bytes`."""
    shelf = ROOT / ".build"
    shelf.mkdir(exist_ok=True)
    free = shutil.disk_usage(shelf).free
    if free < free_bytes:
        raise Failure(f"{shelf} has {free // MEBIBYTE} MiB free; this needs {free_bytes // MEBIBYTE} MiB")
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=shelf))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def server(name, path):
    """A server of Tests/Servers/s3server that runs while the block does. Yields the store and the bucket's name."""
    script = str(HERE / "s3server")
    try:
        # In a session of its own, so that a Ctrl-C meant for the play cannot cut the start in two.
        start = subprocess.run(
            [script, "start", name, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if start.returncode != 0:
            raise Failure(f"the server {name} did not start; the reason is above")
        facts = dict(word.split("=", 1) for word in start.stdout.split())
        yield Store(facts["ENDPOINT"], facts["ACCESS_KEY"], facts["SECRET_KEY"], facts["REGION"]), facts["BUCKET"]
    finally:
        with deaf():
            subprocess.run([script, "stop", name, path], stdin=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def deaf():
    """Clearing up is not interrupted by a second Ctrl-C."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def end_politely():
    """Turns SIGTERM and SIGHUP into an exit that clears up, as Ctrl-C is one already."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def payload(path, size, seed):
    """Writes `size` bytes that no compression shortens, the same for the same seed."""
    source = random.Random(seed)
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(source.randbytes(min(size, MEBIBYTE)))
    return path


def mule_environment(store, endpoint, ledger):
    """mule's settings: the store's keys, but `endpoint` to send to. None of the caller's own AWS or mule settings."""
    unwanted = ("AWS_", "MULE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)}
    return {
        **clean,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_REGION": store.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": endpoint,
        "MULE_LEDGER": str(ledger),
        "XDG_CONFIG_HOME": str(ledger.parent / "config"),
    }
