"""The processes of one server: each in a session of its own, recorded so that stop finds exactly these again.

A record is the process id with the start time of the process, so an id that the kernel gave away again is never
mistaken for ours. The child writes it before it becomes the server: a start that is killed at any moment leaves no
process without a record. Worker processes are found by their session and by a mark in their environment.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from dataclasses import dataclass

from failure import Failure

MARK = "MULE_S3SERVER"
POLITE_SECONDS = 8
FORCED_SECONDS = 10


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # clock ticks after boot


class Daemons:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._records = self.folder / "run"
        self._logs = self.folder / "log"

    def spawn(self, name, command, **environment):
        """Starts `command` with an environment of its own; its output goes to log/NAME."""
        for folder in (self._records, self._logs, self.folder / "home", self.folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        record = self._records / name

        def note_down():
            record.write_text("{0.pid} {0.started}\n".format(_stat(os.getpid())[0]))

        # What the caller has in its environment (AWS_*, proxies, LOCALSTACK_*) must not reach the server.
        clean = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            MARK: str(self.folder),
        }
        with open(self._logs / name, "ab") as log:
            subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env={**clean, **{key: str(value) for key, value in environment.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=note_down,
            )

    def check(self):
        """Fails, with the end of its log, when a process of this server has ended."""
        for name, process in self._recorded().items():
            if not _is_alive(process):
                log = self._logs / name
                last = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else []
                raise Failure("\n    ".join([f"{name} ended; the last lines of {log}:"] + last))

    def living(self):
        recorded = set(self._recorded().values())
        sessions = {process.pid for process in recorded}
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                process, session, state = _stat(int(entry))
                if state in "ZX":
                    continue
                if process in recorded or (session in sessions and self._is_marked(process)):
                    found.append(process)
        return found

    def stop(self):
        """Ends all of them: politely first, then by force. Safe to call when nothing runs."""
        if not self._records.is_dir():
            return
        for number, seconds in ((signal.SIGTERM, POLITE_SECONDS), (signal.SIGKILL, FORCED_SECONDS)):
            for process in self.living():
                _send(process, number)
            deadline = time.monotonic() + seconds
            while self.living() and time.monotonic() < deadline:
                time.sleep(0.05)
        if left := self.living():
            raise Failure(f"processes {[process.pid for process in left]} of {self.folder} do not end")
        for record in self._records.iterdir():
            record.unlink()

    def _recorded(self):
        records = {}
        if self._records.is_dir():
            for path in self._records.iterdir():
                # A record cut short belongs to a child that was killed before it became the server.
                with contextlib.suppress(OSError, ValueError):
                    pid, started = path.read_text().split()
                    records[path.name] = Process(int(pid), int(started))
        return records

    def _is_marked(self, process):
        with open(f"/proc/{process.pid}/environ", "rb") as environment:
            return f"{MARK}={self.folder}".encode() in environment.read().split(b"\0")


def _stat(pid):
    """Process, session and state, from proc(5) stat; the name in parentheses may hold blanks."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return Process(pid, int(fields[19])), int(fields[3]), fields[0].decode()


def _is_alive(process):
    with contextlib.suppress(OSError):
        current, _, state = _stat(process.pid)
        return current == process and state not in "ZX"
    return False


def _send(process, number):
    with contextlib.suppress(ProcessLookupError):
        # The descriptor pins the process: between the look at its start time and the signal the id cannot change hands.
        descriptor = os.pidfd_open(process.pid)
        try:
            if _is_alive(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
