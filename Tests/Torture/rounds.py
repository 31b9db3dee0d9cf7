"""Plays one round: runs of mule with blows and faults, until the object is there or the upload is given up."""

import contextlib
import json
import shutil
import signal
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

import evidence
import faults
import judging
import scenario as plans
import stage
from failure import Failure
from moments import Moment, Trigger
from proxy import STORE_SECONDS, FaultProxy
from running import Running, listing
from scenario import Leg
from source import Source

# A run that neither ends nor gives up hangs. Nothing shorter would do on a machine that is busy with other things.
HANG_SECONDS = 900
# After the blows the upload has so many runs to come to its end, the later of them without faults.
LAST_RUNS = 8
FAULTY_LAST_RUNS = 3


@dataclass
class Run:
    """One run of mule, or of two at once, and all that was done to it."""

    number: int
    words: list
    began: float
    first_version: int
    is_calm: bool
    restarts: bool
    body_bytes_before: int
    faults_before: int
    pending_before: bool
    patience: float
    status: int | None = None
    twin_status: int | None = None
    struck: Counter = field(default_factory=Counter)
    looks: int = 0

    @property
    def statuses(self):
        return [status for status in (self.status, self.twin_status) if status is not None]


class Round:
    def __init__(self, number, scenario, table, pool, disk, folder, mule):
        """`table` gives the store and the bucket of each server's name."""
        self.number, self.scenario, self.disk, self.mule = number, scenario, disk, mule
        self.store, self.bucket = table[scenario.server]
        self.key = f"torture/{number}.bin"
        self.destination = f"{self.bucket}/{self.key}"
        self.runs = []
        self.blows = Counter()
        self.complaints = []
        self.aborted = False
        self.expired = 0
        self.folder = folder / f"round-{number}"
        self.folder.mkdir()
        self.ledger = disk.folder / f"round-{number}" / "ledger.sqlite"
        self.ledger.parent.mkdir()
        self.source = Source(pool, self.folder, "source.bin", scenario.size, scenario.chance)
        stall = plans.SHORT_PATIENCE + 2 if scenario.patience == plans.SHORT_PATIENCE else None
        self.fates = faults.Fates(scenario.name, scenario.fault_rate, stall, scenario.may_flip)
        address = urllib.parse.urlsplit(self.store.endpoint)
        rate = max(scenario.size, stage.MEBIBYTE) / scenario.seconds
        self.proxy = FaultProxy((address.hostname, address.port), self.fates, rate=rate, watch=self._hear)
        self.environment = stage.mule_environment(self.store, self.proxy.endpoint, self.ledger)
        self.environment["TMPDIR"] = str(self.folder)
        self._triggers = []
        self._timers = []
        self._lock = threading.Lock()
        self._running = self._twin = None

    def say(self, complaint):
        self.complaints.append(complaint)

    # The course of a round

    def play(self):
        try:
            for index, leg in enumerate(self.scenario.legs):
                if index and self._is_done and not leg.change_before:
                    continue
                self._play(leg)
            if self.scenario.aborts and not self._is_done:
                self._abort()
                self.aborted = True
            else:
                self._finish()
                if self.scenario.is_stream:
                    self._abort()
                elif self.scenario.repeats and self._is_done:
                    self._play(Leg([]), patience=plans.LONG_PATIENCE)
                    judging.judge_repetition(self, self.runs[-1])
            judging.judge_end(self)
            if self.scenario.verifies and self._is_done and self.source.size:
                self._verify(0)
                before = self.source.path.read_bytes()
                self._change(self.scenario.chance.choice(["append", "truncate", "rewrite in place"]))
                # A change of a file of one byte may leave it as it was.
                self._verify(0 if self.source.path.read_bytes() == before else 6)
        finally:
            self.proxy.close()

    @property
    def _is_done(self):
        return bool(self.runs) and self.runs[-1].status == 0

    def _finish(self):
        for attempt in range(LAST_RUNS):
            if self._is_done and not self._changed_since:
                return
            if attempt == FAULTY_LAST_RUNS:
                self.fates.calm()
            leg = Leg([], prefers_resume=self.scenario.ends_by_resume and attempt % 2 == 0)
            self._play(leg, patience=plans.LONG_PATIENCE)
        if not self._is_done:
            self.say(f"not done after {len(self.runs)} runs, the last {LAST_RUNS - FAULTY_LAST_RUNS} without faults")

    @property
    def _changed_since(self):
        """Whether the file has become another one after the last run saw it."""
        return len(self.source.versions) - 1 > self.runs[-1].first_version

    def _play(self, leg, patience=None):
        if leg.change_before and self.source.size:
            self._change(leg.change_before)
        if leg.has_expired:
            self._let_expire()
            self.blows[plans.EXPIRY] += 1
        run = self._begin(leg, patience or self.scenario.patience)
        try:
            run.status = self._wait(run, leg)
        finally:
            self._calm_down(run)
        judging.judge_run(self, run)

    # One run

    def _begin(self, leg, patience):
        pending = bool(self.pending())
        refused = bool(self.runs) and 3 in self.runs[-1].statuses
        restarts = not self.scenario.is_stream and (refused or leg.restarts)
        resumes = pending and leg.prefers_resume and not restarts and not self.scenario.is_stream
        return Run(
            number=len(self.runs) + 1,
            words=self._words("resume" if resumes else "upload", patience, restarts),
            began=time.monotonic(),
            first_version=len(self.source.versions) - 1,
            is_calm=self.fates.is_calm,
            restarts=restarts,
            body_bytes_before=self.proxy.body_bytes,
            faults_before=self.fates.struck.total() + self.proxy.store_failures,
            pending_before=pending,
            patience=patience,
        )

    def _words(self, command, patience, restarts):
        scenario = self.scenario
        words = [self.mule, command, f"--stall-limit={patience:.0f}s", "--verbose"]
        if scenario.says_json:
            words.append("--json")
        if scenario.concurrency:
            words.append(f"--concurrency={scenario.concurrency}")
        if command == "resume":
            return words
        words += [f"--part-size={scenario.part_mib}MiB", f"--checksum={scenario.checksum}"]
        words.append(f"--multipart-threshold={plans.THRESHOLD // stage.MEBIBYTE}MiB")
        if scenario.shape == plans.FILE:
            words[-1] = f"--multipart-threshold={scenario.part_mib}MiB"
        if scenario.keeps_existing:
            words.append("--no-overwrite")
        if restarts:
            words.append("--restart")
        return [*words, "-" if scenario.is_stream else self.source.path, self.destination]

    def _wait(self, run, leg):
        self.runs.append(run)
        triggers = [Trigger(strike.moment, self._blow(run, strike)) for strike in leg.strikes]
        self._triggers = triggers
        self._running = self._start(run, "")
        times = [(trigger.moment.after, trigger.pull) for trigger in triggers if trigger.moment.after is not None]
        times += [(look, lambda: judging.look_at_status(self, run)) for look in leg.looks]
        for after, act in sorted(times, key=lambda pair: pair[0]):
            status = self._running.wait(max(0.0, run.began + after - time.monotonic()))
            if status is not None:
                return status
            act()
        status = self._running.wait(HANG_SECONDS)
        if status is None:
            self.say(f"run {run.number} still runs after {HANG_SECONDS} s")
        return status

    def _start(self, run, mark):
        source = self.source.path if self.scenario.is_stream else None
        output, errors = (self.folder / f"run-{run.number}{mark}.{end}" for end in ("out", "err"))
        # A second mule with --restart would give up what the first one has done, and rightly so.
        words = [word for word in run.words if not (mark and word == "--restart")]
        return Running(words, self.environment, output, errors, source)

    def _calm_down(self, run):
        """Takes back what was done to the run, and waits until nothing of it is under way."""
        for trigger in self._triggers:
            trigger.disarm()
        self._triggers = []
        with self._lock:
            timers, self._timers = self._timers, []
        for timer, undo in timers:
            timer.cancel()
            undo()
        run.status = self._running.end() if run.status is None else run.status
        self._running.end()
        if self._twin:
            run.twin_status = self._twin.wait(HANG_SECONDS)
            if run.twin_status is None:
                self.say(f"the second mule of run {run.number} still runs after {HANG_SECONDS} s")
            self._twin.end()
            self._twin = None
        if not self.proxy.settle(3 * STORE_SECONDS):
            self.say(f"a connection outlived run {run.number}")

    # Blows

    def _hear(self, event, request):
        for trigger in self._triggers:
            trigger.hear(event, request)

    def _blow(self, run, strike):
        def act():
            if not self._running.is_alive:
                return
            run.struck[strike.what] += 1
            self.blows[strike.what] += 1
            if strike.what in plans.SIGNALS:
                self._running.send(signal.Signals[strike.what])
            elif strike.what == plans.STOP:
                self._running.send(signal.SIGSTOP)
                self._later(strike.seconds, lambda: self._running.send(signal.SIGCONT))
            elif strike.what == plans.DISK:
                self.disk.fill()
                self._later(strike.seconds, self.disk.free)
            elif strike.what == plans.BLACKOUT:
                self.proxy.go_down(strike.seconds)
            elif strike.what == plans.CHANGE:
                if self.source.size:
                    self._change(strike.change)
            elif strike.what == plans.EXPIRY:
                self._let_expire()
            elif strike.what == plans.TWIN and not self._twin:
                self._twin = self._start(run, "-twin")

        return act

    def _change(self, how):
        with self._lock:
            self.source.change(how)
        self.blows[f"source: {how}"] += 1

    def _let_expire(self):
        """The store gives up what holds parts, but not the empty sibling that a lost answer has left."""
        for upload_id in self.open_uploads():
            if upload_id in {request.query.get("uploadId") for request in self.acknowledged()}:
                self.store.abort(self.bucket, self.key, upload_id)
                self.expired += 1

    def _later(self, seconds, undo):
        timer = threading.Timer(seconds, undo)
        timer.daemon = True
        with self._lock:
            self._timers.append((timer, undo))
        timer.start()

    # Proving, and giving up

    def _verify(self, expected):
        """mule verify says 0 of the file that was sent, and 6 of any other, whatever the network does."""
        output = self.folder / f"verify-{expected}.out"
        words = [self.mule, "verify", "--verbose", self.source.path, self.destination]
        running = Running(words, self.environment, output)
        status = running.wait(HANG_SECONDS)
        running.end()
        self.blows["mule verify"] += 1
        if status != expected:
            self.say(f"mule verify ended with {status}, not {expected}: {evidence.last_words(output)}")

    def _abort(self):
        """mule abort, killed at first in some rounds, until it says that all is removed."""
        chance = self.scenario.chance
        for attempt in range(LAST_RUNS):
            if attempt == FAULTY_LAST_RUNS:
                self.fates.calm()
            output = self.folder / f"abort-{attempt}.out"
            running = Running([self.mule, "abort", "--all", "--verbose"], self.environment, output)
            moment = Moment("abort", kind="abort", event=chance.choice(["sent", "answered", "delivered"]))
            if attempt == 0 and chance.random() < 0.5 and not self.fates.is_calm:
                self._triggers = [Trigger(moment, lambda: running.send(signal.SIGKILL))]
            status = running.wait(HANG_SECONDS)
            killed = status == -signal.SIGKILL
            self.blows["SIGKILL of mule abort"] += killed
            running.end()
            self._triggers = []
            if not self.proxy.settle(3 * STORE_SECONDS):
                self.say("a connection outlived mule abort")
            if status == 0:
                return
            if not killed and (status != 75 or self.fates.is_calm):
                self.say(f"mule abort ended with {status}: {evidence.last_words(output)}")
        self.say("mule abort did not come to an end")

    # What is known

    @property
    def is_active(self):
        return any(running and running.is_alive for running in (self._running, self._twin))

    def pending(self):
        """The uploads that mule status lists."""
        text, status = listing(self.mule, self.environment)
        if status != 0:
            self.say(f"mule status ended with {status}")
        return [json.loads(line) for line in text.splitlines()]

    def acknowledged(self):
        """The requests by which the store took a part."""
        return [request for request in self.proxy.snapshot() if request.is_part and request.status == 200]

    def open_uploads(self):
        """The uploads of this round's key that are open at the store."""
        return [upload for key, upload in self.store.open_uploads(self.bucket) if key == self.key]

    def clear_up(self):
        """What this round left must not weigh on the next ones."""
        if self.disk.is_full:
            self.disk.free()
        with contextlib.suppress(Failure, OSError):
            for upload_id in self.open_uploads():
                self.store.abort(self.bucket, self.key, upload_id)
            self.store.remove(self.bucket, self.key)
        shutil.rmtree(self.ledger.parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

