"""The sink as a process: built from Benchmarks/sink, queried through its standard input, ends with this process."""

import json
import pathlib
import subprocess

from failure import Failure
from places import BENCHMARKS, SHELF


def build():
    """Compiles the sink and `measure` if their sources are newer."""
    SHELF.mkdir(parents=True, exist_ok=True)
    _compile(SHELF / "sink", sorted((BENCHMARKS / "sink").glob("*.c")), ["-pthread", "-lssl", "-lcrypto"])
    _compile(SHELF / "measure", [BENCHMARKS / "measure.c"], [])


def _compile(program, sources, libraries):
    newest = max(path.stat().st_mtime for source in sources for path in source.parent.glob("*.[ch]"))
    if program.exists() and program.stat().st_mtime > newest:
        return
    command = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", program, *sources, *libraries]
    if subprocess.run(command).returncode:
        raise Failure(f"{sources[0].parent} did not compile")


def certificates():
    """An authority, which clients are configured to trust, and its certificate for 127.0.0.1 with key. Some clients refuse
    a self-signed server."""
    authority, pem, key = (SHELF / name for name in ("authority.pem", "sink.pem", "sink.key"))
    # They may have expired.
    if subprocess.run(["openssl", "verify", "-CAfile", authority, pem], capture_output=True).returncode == 0:
        return authority, pem, key
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30".split()
    root = ["-subj", "/CN=authority", "-keyout", SHELF / "authority.key", "-out", authority]
    leaf = ["-subj", "/CN=sink", "-addext", "basicConstraints=critical,CA:FALSE"]
    leaf += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    leaf += ["-CA", authority, "-CAkey", SHELF / "authority.key", "-keyout", key, "-out", pem]
    for words in (root, leaf):
        if subprocess.run(["openssl", *new, *words], capture_output=True).returncode:
            raise Failure("openssl could not make a certificate; version 3 is needed")
    return authority, pem, key


class Sink:
    """One sink for one run of a client: its counts start at 0, and clients share no connections."""

    def __init__(self, tls, words):
        self.ca: pathlib.Path | None = None
        command = [str(SHELF / "sink"), *words]
        if tls:
            self.ca, pem, key = certificates()
            command += ["--tls", str(pem), str(key)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline().split()
        if line[:1] != ["listening"]:
            raise Failure("the sink did not start")
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{line[1]}"

    def seen(self):
        return self._ask("")

    def lift(self):
        """Lifts the limits of the link's speed."""
        return self._ask("lift")

    def limit(self):
        """Restores them."""
        return self._ask("limit")

    def _ask(self, word):
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Failure("the sink has ended")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
