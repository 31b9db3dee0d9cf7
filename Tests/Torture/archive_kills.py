#!/usr/bin/env python3
"""Kills `mule archive` while it archives and moves a tree of odd files, and looks after each kill what became of them.

    Tests/Torture/archive_kills.py [--files 20000] [--kills 100] [--server localstack] [--seed N] [--mule PATH]

The tree has names with newlines, with bytes that are not UTF-8, with leading dashes and of 255 bytes; empty, sparse and
hard-linked files, files of several parts; and what can't be archived: links, one of them a loop, a FIFO, a file that may not
be read. A run is killed with SIGKILL at a random moment and started again, until nothing is left to do.

It is good when, after every kill,
  - each file is in its place or in the one it is moved to, in one of the two, with all its bytes,
  - a file was moved only after the store had answered 200 to the request that made its object, or to one for its facts,
and in the end
  - each object equals its file, and each file was moved, once,
  - no file was sent again after its move, and in all no more were sent twice than were in flight at the kills,
  - what can't be archived is where it was, and the status says so: 3,
  - one more run sends nothing.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Servers"))

import evidence
import stage
from failure import Failure
from running import Running
from witness import Witness

# Files are read by this user where the play is root's, who could read everything.
NOBODY = 65534
CONCURRENCY = 8
PATIENCE = 1800


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--server", default="localstack", choices=["localstack"])
    parser.add_argument("--seed", type=int, default=None, help="repeats an earlier choice of moments")
    parser.add_argument("--mule", type=pathlib.Path, default=stage.ROOT / ".build" / "release" / "mule")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    stage.end_politely()
    try:
        if not options.mule.exists():
            raise Failure(f"there is no {options.mule}; run `make build` first")
        with stage.folder("archive-kills", 512 * stage.MEBIBYTE) as folder:
            with stage.server(options.server, folder) as (store, bucket):
                complaints = Play(options, folder, store, bucket).run()
    except Failure as error:
        sys.exit(f"archive_kills: {error} (seed {options.seed})")
    except KeyboardInterrupt:
        sys.exit(130)
    for complaint in complaints[:20]:
        print(f"BROKEN: {complaint[:300]}")
    sys.exit(1 if complaints else 0)


class Tree:
    """The files to archive, by their paths below the root, with the digest of each; and what is none."""

    def __init__(self, root, count, chance):
        self.root, self.chance = os.fsencode(root), chance
        self.files, self.oddities = {}, set()
        os.makedirs(self.root)
        self._odd_names()
        self._odd_kinds()
        for number in range(count - len(self.files)):
            self._write(b"d%03d/file-%05d" % (number % 200, number), chance.randbytes(chance.randrange(0, 4096)))

    def _odd_names(self):
        for name in (b"new\nline", b"\xff\xfe not UTF-8", b"-dash", b"--after", b"%FF", b"a b+c&d=e", b"n" * 255,
                     "ü".encode() * 127, b".hidden", b"odd/ ", b"odd/a?b#c", b"odd/\x01", b"{date}"):
            self._write(name, b"odd " + name)

    def _odd_kinds(self):
        self._write(b"kinds/empty", b"")
        self._write(b"kinds/parts-1", self.chance.randbytes(21_000_000))
        self._write(b"kinds/parts-2", self.chance.randbytes(30_000_001))
        path = self._path(b"kinds/sparse")
        with open(path, "wb") as file:
            file.truncate(12_000_000)
            file.seek(6_000_000)
            file.write(b"island")
        self.files[b"kinds/sparse"] = digest(path)
        self._write(b"kinds/one", b"two names")
        os.link(self._path(b"kinds/one"), self._path(b"kinds/another"))
        self.files[b"kinds/another"] = self.files[b"kinds/one"]
        os.symlink(b".", self._path(b"kinds/loop"))
        os.symlink(b"one", self._path(b"kinds/link"))
        os.symlink(b"nowhere", self._path(b"kinds/dangling"))
        os.mkfifo(self._path(b"kinds/fifo"))
        self._write(b"kinds/unreadable", b"secret")
        os.chmod(self._path(b"kinds/unreadable"), 0)
        del self.files[b"kinds/unreadable"]
        self.oddities = {b"kinds/" + name for name in (b"loop", b"link", b"dangling", b"fifo", b"unreadable")}

    def _path(self, name):
        return self.root + b"/" + name

    def _write(self, name, content):
        path = self._path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        self.files[name] = hashlib.sha256(content).digest()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def listed(root):
    """All that is below a directory and is none itself, by its path below."""
    found = set()
    for directory, directories, names in os.walk(root):
        links = [name for name in directories if os.path.islink(os.path.join(directory, name))]
        for name in names + links:
            found.add(os.path.relpath(os.path.join(directory, name), root))
    return found


class Play:
    def __init__(self, options, folder, store, bucket):
        self.options, self.folder, self.store, self.bucket = options, folder, store, bucket
        self.chance = random.Random(options.seed)
        self.source, self.done = folder / "source", folder / "done"
        self.ledger = folder / "state" / "ledger.sqlite"
        self.complaints = []
        self.kills = self.runs = 0

    def run(self):
        print(f"seed {self.options.seed}, {self.options.files} files, {self.options.kills} kills, {self.options.mule}")
        tree = Tree(self.source, self.options.files, self.chance)
        self.tree = tree
        for path in (self.done, self.ledger.parent):
            path.mkdir()
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.source, self.done, self.ledger.parent], check=True)
        address = urllib.parse.urlsplit(self.store.endpoint)
        witness = Witness((address.hostname, address.port))
        try:
            began = time.monotonic()
            self.environment = stage.mule_environment(self.store, witness.endpoint, self.ledger)
            self.environment["HOME"] = str(self.ledger.parent)
            status = self._carry_all(witness)
            if status != 3:
                self.complaints.append(f"the last run ended with {status}: {evidence.last_words(self.log)}")
            witness.settle()
            sent = len(sendings(witness))
            self._judge(witness)
            again = time.monotonic()
            if (status := self._archive(None)) != 3:
                self.complaints.append(f"one more run ended with {status}")
            more = time.monotonic() - again
            if len(sendings(witness)) != sent:
                self.complaints.append("one more run sent something")
            # The log of the last run alone.
            print(
                f"{self.runs} runs, {self.kills} kills, {sent} sendings of {len(tree.files)} files,"
                f" {time.monotonic() - began:.0f} s; one more run: {more:.2f} s"
            )
        finally:
            witness.close()
        return self.complaints

    @property
    def log(self):
        return self.folder / "mule.log"

    def _carry_all(self, witness):
        """Runs until one comes to its end undisturbed; kills are spread over what is left to do."""
        pace = None
        while True:
            kill = self.kills < self.options.kills
            before = len(listed(os.fsencode(self.source)))
            began = time.monotonic()
            # Some right at the beginning, most in the middle of things.
            moment = None
            if kill:
                share = 1.6 * before / max(1, self.options.kills - self.kills)
                moment = self.chance.choice([self.chance.uniform(0, 0.3), self.chance.uniform(0, max(0.3, share * (pace or 0.004)))])
            status = self._archive(moment)
            if status != -signal.SIGKILL:
                if not kill or before == len(self.tree.oddities):
                    return status
                # It ended before it could be killed.
                self.kills += 1
                continue
            self.kills += 1
            done = before - len(listed(os.fsencode(self.source)))
            if done > 50:
                pace = (time.monotonic() - began) / done
            self._look(witness)
            if self.complaints:
                return status

    def _archive(self, moment):
        words = [
            self.options.mule.resolve(), "archive", "-q", f"--concurrency={CONCURRENCY}", "--source", self.source,
            "--to", f"{self.bucket}/{{relpath}}", "--after", f"move:{self.done}",
        ]
        if os.geteuid() == 0:
            words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words]
        self.runs += 1
        running = Running(words, self.environment, self.log)
        status = running.wait(moment if moment is not None else PATIENCE)
        if status is None and moment is None:
            self.complaints.append("a run hangs")
        if status is None:
            running.send(signal.SIGKILL)
        last = running.end()
        return last if status is None else status

    def _look(self, witness):
        """What must be true at any moment."""
        source, done = listed(os.fsencode(self.source)), listed(os.fsencode(self.done))
        unfinished = {name for name in done if os.path.basename(name).startswith(b".mule-")}
        done -= unfinished
        for name in self.tree.files:
            if (name in source) == (name in done):
                self.complaints.append(f"{name!r} is {'in both places' if name in source else 'lost'}")
        confirmed = {path for kind, path, status in answers(witness) if status == 200 and kind in ("put", "complete", "head")}
        for name in done & set(self.tree.files):
            if self._path(name) not in confirmed:
                self.complaints.append(f"{name!r} was moved before the store had confirmed it")
        if foreign := done - set(self.tree.files):
            self.complaints.append(f"nobody knows {sorted(foreign)[:3]}")

    def _path(self, name):
        return b"/" + self.bucket.encode() + b"/" + key(name)

    def _judge(self, witness):
        self._look(witness)
        source, done = listed(os.fsencode(self.source)), listed(os.fsencode(self.done))
        if source != self.tree.oddities:
            self.complaints.append(f"left behind: {sorted(source - self.tree.oddities)[:3]}; gone: {sorted(self.tree.oddities - source)[:3]}")
        if done != set(self.tree.files):
            self.complaints.append(f"not moved, or moved twice: {sorted(done ^ set(self.tree.files))[:5]}")
        for name, wanted in self.tree.files.items():
            path = os.fsencode(self.done) + b"/" + name
            if os.path.exists(path) and digest(path) != wanted:
                self.complaints.append(f"{name!r} has changed on its way")
            size = os.path.getsize(path) if os.path.exists(path) else 0
            content = self.store.read(self.bucket, key(name).decode(), 0, size) if size else b""
            if hashlib.sha256(content).digest() != wanted:
                self.complaints.append(f"the object of {name!r} is not the file")
        sent = len(sendings(witness))
        parts = 3 + 4
        most = len(self.tree.files) + parts + self.kills * CONCURRENCY * 2
        if sent > most:
            self.complaints.append(f"{sent} bodies were sent for {len(self.tree.files)} files; {most} are the bound")
        if uploads := self.store.open_uploads(self.bucket):
            self.complaints.append(f"open at the store: {uploads}")


def key(name):
    """As mule makes keys of names: bytes that are not UTF-8 become %XX."""
    return b"".join(
        bytes([ord(letter)]) if ord(letter) < 128 else letter.encode() if not 0xDC80 <= ord(letter) <= 0xDCFF
        else b"%%%02X" % (ord(letter) - 0xDC00)
        for letter in name.decode("utf-8", "surrogateescape")
    )


def answers(witness):
    return [
        (request.kind, request.path.encode(), request.status)
        for request in list(witness.requests)
    ]


def sendings(witness):
    return [request for request in list(witness.requests) if request.kind in ("put", "part")]


if __name__ == "__main__":
    main()
