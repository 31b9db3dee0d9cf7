"""One run of one client, from a new home directory to its costs and what the store received."""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import clients
import machine
from failure import Failure
from places import ROOT, SHELF
from sink import Sink

BUCKET = "bench"
# Seconds between two checks whether the sink has half of the file.
LOOK = 0.002
# Seconds in which the sink reads what a stopped client left in the kernel's buffers.
DRAIN = 30


def gist(said):
    """The message of an error: of a traceback, the last unindented line and what follows it."""
    lines = said.splitlines()
    heads = [number for number, line in enumerate(lines) if line[:1].isalpha()]
    first = heads[-1] if heads and "Traceback" in said else 0
    return " ".join(" ".join(lines[first:]).split())[:300]


class Trial:
    """A client, a setting and a scenario; `run` is one measured run."""

    def __init__(self, scenario, client, setting):
        self.scenario, self.client, self.setting = scenario, client, setting

    @property
    def identity(self):
        return [self.scenario.name, self.client.name, self.setting.name]

    def run(self, number, server=None):
        with tempfile.TemporaryDirectory(dir=SHELF, prefix="home-") as home:
            home = pathlib.Path(home)
            if server:
                return self._against_server(home, number, server)
            words = [*self.scenario.line, *(["--seed", str(number)] if self.scenario.kind == "faults" else [])]
            with Sink(self.scenario.tls, words) as sink:
                job = clients.Job(sink.endpoint, sink.ca, self.scenario.source.path, BUCKET, "object", home)
                if self.scenario.kind == "killed":
                    return self._killed_and_again(job, sink)
                if self.scenario.kind == "interrupted":
                    return self._interrupted(job, sink, self.scenario.stops(number))
                return self._straight(job, sink)

    # Ways to run

    def _straight(self, job, sink):
        record, _ = self._measure(job)
        record["sink"] = sink.seen()
        return self._judged(record, record["sink"])

    def _against_server(self, home, number, server):
        key = "-".join(word.strip("-").replace(" ", "-").replace(",", "") for word in self.identity) + f"-{number}"
        job = clients.Job(server.endpoint, None, self.scenario.source.path, server.bucket, key, home, *server.keys)
        record, _ = self._measure(job)
        record["ok"] = record["status"] == 0 and not record["killed"]
        if self.scenario.large:
            record["ok"] = record["ok"] and server.size(key) == self.scenario.source.size
            server.remove(key)
        return record

    def _killed_and_again(self, job, sink):
        half = self.scenario.source.total // 2

        def when_half(process):
            while process.poll() is None and sink.seen()["bytes"] < half:
                time.sleep(LOOK)
            # To `measure`, which kills the whole tree with SIGKILL.
            process.terminate()

        first, _ = self._measure(job, when_half)
        after_kill = sink.seen()
        record, _ = self._measure(job)
        record["first"] = first
        record["afterKill"] = after_kill
        record["sink"] = sink.seen()
        if not first["killed"]:
            record["ok"], record["why"] = False, "it ended before half of the file had come"
            return record
        return self._judged(record, record["sink"])

    def _interrupted(self, job, sink, moments):
        """Stops the client at each of these moments of its next run, then lets it finish. What the last run does not send was
        kept."""
        stops = []
        for moment in moments:
            sink.limit()

            def at_moment(process):
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    # To `measure`, which kills the whole tree with SIGKILL.
                    process.terminate()

            stopped, _ = self._measure(job, at_moment)
            stops.append(stopped)
            # The kernel still delivers what the dead process has written, and the next run would share the link with that.
            sink.lift()
            end = time.monotonic() + DRAIN
            while sink.seen()["inFlight"] and time.monotonic() < end:
                time.sleep(LOOK)
            if not stopped["killed"]:
                break
        # The limits stay lifted: only the bytes of the last run count, not its time.
        before = sink.seen()
        record, _ = self._measure(job)
        record["stops"] = stops
        record["beforeLast"] = before
        record["sink"] = sink.seen()
        if not stops[-1]["killed"]:
            record["ok"] = False
            record["why"] = stops[-1].get("why", "it ended before it was stopped")
            return record
        return self._judged(record, record["sink"])

    # Steps

    def _measure(self, job, meanwhile=None):
        words, environment = self.client.command(job, self.setting)
        report = job.home / "report.json"
        command = [str(SHELF / "measure"), str(report), str(self.scenario.limit), *words]
        busy = machine.busy_seconds()
        with open(job.home / "output", "w+b") as output:
            process = subprocess.Popen(
                command,
                env={**job.environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=job.home,
            )
            try:
                if meanwhile:
                    meanwhile(process)
                process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if not report.exists():
            raise Failure(f"measure could not run {words[0]}: {said[-500:]}")
        record = json.loads(report.read_text())
        record["busy"] = round(machine.busy_seconds() - busy, 3)
        record["shown"] = self._shown(job, words, environment)
        if record["status"] != 0 and not record["killed"]:
            record["why"] = gist(said) or f"status {record['status']}"
        return record, said

    def _judged(self, record, seen):
        source = self.scenario.source
        whole = seen["objects"] == source.objects and seen["objectBytes"] == source.total
        if self.client.floor and not seen["requests"]:
            whole = True
        record["ok"] = record["status"] == 0 and not record["killed"] and whole
        if not whole and not record["killed"]:
            record.setdefault("why", f"the sink has {seen['objects']} objects with {seen['objectBytes']} bytes")
        return record

    def _shown(self, job, words, environment):
        """The command as a reader would type it, without paths of this machine."""
        names = {str(job.source): "FOLDER" if job.many else "FILE"}
        names |= {job.endpoint: "URL", job.endpoint.partition("//")[2]: "HOST"}
        names |= {str(self.client.program[0]): pathlib.Path(self.client.program[0]).name, str(job.ca): "PEM"}
        names |= {str(job.home): "~", str(ROOT) + "/": ""}
        settings = [f"{name}={value}" for name, value in environment.items()]
        config = job.home / "aws-config"
        if config.exists():
            settings = [word for word in settings if "CONFIG" not in word]
        text = " ".join([*settings, *(word or "''" for word in words)])
        for long, short in names.items():
            text = text.replace(long, short)
        tuned = [line.strip() for line in config.read_text().splitlines()[4:]] if config.exists() else []
        return text + (f"  ({', '.join(tuned)})" if tuned else "")


class Server:
    """A real server from Tests/Servers, with an empty directory."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(dir=SHELF, prefix="server-", ignore_cleanup_errors=True))
        program = ROOT / "Tests" / "Servers" / "s3server"
        started = subprocess.run([program, "start", self.name, folder], stdout=subprocess.PIPE, text=True)
        if started.returncode:
            self._stack.close()
            raise Failure(f"the server {self.name} did not start; `make servers` installs it")
        self._stack.callback(subprocess.run, [program, "stop", self.name, folder])
        facts = dict(word.split("=", 1) for word in started.stdout.split())
        self.endpoint, self.bucket = facts["ENDPOINT"], facts["BUCKET"]
        self.keys = (facts["ACCESS_KEY"], facts["SECRET_KEY"])
        sys.path.insert(0, str(ROOT / "Tests" / "Servers"))
        from s3client import Store

        self._store = Store(self.endpoint, *self.keys)
        return self

    def __exit__(self, *_):
        self._stack.close()

    def size(self, key):
        return self._store.size(self.bucket, key)

    def remove(self, key):
        self._store.remove(self.bucket, key)
