#!/usr/bin/env python3
"""Kills mule at any moment, resumes it, and holds it to its promise, round after round.

    Tests/Torture/kill_resume.py [--rounds 50] [--size-mib 1024] [--server swift] [--seed N] [--mule PATH]

A round uploads the file to a fresh key through a counting proxy. SIGKILL comes at a random moment of the expected run,
or aimed at one that matters: between a part's answer and its record, around Create, around Complete. Then `mule
resume` and the same `mule upload` take turns until one ends with status 0; in some rounds they are killed too.

A round is good when
  - the object equals the file,
  - no part that the store had acknowledged before a run began was sent again by that run,
  - the proxy saw at most the file's size and, for every kill, the parts in flight,
  - mule status lists nothing, and neither does the store's list of open multipart uploads.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import pathlib
import random
import signal
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Servers"))

import evidence
import stage
from failure import Failure
from moments import AIMED, Moment, Trigger, aimed
from running import Running, listing
from witness import Witness

# Of a hundred rounds so many are aimed; of the resumes so many are killed as well.
AIMED_PERCENT = 50
KILL_AGAIN_PERCENT = 35
MOST_RUNS = 12
# The share of the undisturbed speed that a slow network leaves.
SLOW = 0.6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--server", default="swift", choices=["swift", "localstack", "rclone"])
    parser.add_argument("--seed", type=int, default=None, help="repeats an earlier choice of moments")
    parser.add_argument("--mule", type=pathlib.Path, default=stage.ROOT / ".build" / "release" / "mule")
    parser.add_argument("--part-size-mib", type=int, default=8)
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    stage.end_politely()
    try:
        if not options.mule.exists():
            raise Failure(f"there is no {options.mule}; run `make build` first")
        size = options.size_mib * stage.MEBIBYTE
        # The file, the object, and what a killed upload may leave behind until it is removed.
        with stage.folder("torture", 4 * size) as folder, stage.server(options.server, folder) as (store, bucket):
            broken = Torture(options, folder, store, bucket).run()
    except Failure as error:
        sys.exit(f"torture: {error} (seed {options.seed})")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if broken else 0)


class Torture:
    def __init__(self, options, folder, store, bucket):
        self.options, self.folder, self.store, self.bucket = options, folder, store, bucket
        self.mule = options.mule.resolve()
        self.chance = random.Random(options.seed)
        self.size = options.size_mib * stage.MEBIBYTE
        self.part_size = options.part_size_mib * stage.MEBIBYTE
        self.ledger = folder / "ledger.sqlite"
        self.output = folder / "mule.log"
        self.seconds = 0.0  # of an undisturbed upload
        self.source = stage.payload(folder / "source.bin", self.size, options.seed)

    def run(self):
        print(f"seed {self.options.seed}, {self.options.size_mib} MiB, {self.options.server}, {self.mule}")
        straight = Round(self, "straight", moments=[])
        straight.play()
        if straight.complaints:
            raise Failure("an undisturbed upload breaks the promise: " + "; ".join(straight.complaints))
        self.seconds = straight.seconds
        print(f"undisturbed: {self.seconds:.1f} s\n")
        print(f"{'round':>5} {'first kill':<30} {'runs':>4} {'kills':>5} {'sent twice':>12} {'seconds':>8}")
        broken, twice, kills = [], 0, 0
        for number in range(1, self.options.rounds + 1):
            # Every second round the network, not the store, is the bottleneck: then a kill cuts parts in the middle.
            slow = number % 2 == 0
            moments = self.moments(self.seconds / SLOW if slow else self.seconds)
            rate = self.size / self.seconds * SLOW if slow else None
            turn = Round(self, f"round-{number}", moments, rate)
            turn.play()
            verdict = "; ".join(turn.complaints) or "good"
            print(
                f"{number:>5} {moments[0].name:<30} {turn.runs:>4} {turn.kills:>5}"
                f" {turn.twice / stage.MEBIBYTE:>8.1f} MiB {turn.seconds:>8.1f}  {verdict}",
                flush=True,
            )
            twice, kills = twice + turn.twice, kills + turn.kills
            if turn.complaints:
                broken.append(number)
                self.forget(number)
        print(
            f"\n{self.options.rounds} rounds, {kills} kills, {twice / stage.MEBIBYTE:.1f} MiB sent twice in all,"
            f" {len(broken)} broken promises, seed {self.options.seed}"
        )
        if broken:
            print(f"broken in the rounds {', '.join(map(str, broken))}; repeat with --seed {self.options.seed}")
        return broken

    def forget(self, number):
        """What a broken round left behind must not spoil the next ones."""
        for key, upload_id in self.store.open_uploads(self.bucket):
            self.store.abort(self.bucket, key, upload_id)
        self.ledger = self.folder / f"ledger-after-{number}.sqlite"

    def moments(self, seconds):
        """When this round's runs are killed, one after the other; the run after the last one goes undisturbed."""
        moments = [self.moment(1, seconds, AIMED)]
        # An upload that is carried on takes less time, sends fewer parts, and as a rule is not created again.
        later = AIMED if moments[0].kind == "create" else {name: AIMED[name] for name in AIMED if "create" not in name}
        while len(moments) < MOST_RUNS - 2 and self.chance.randrange(100) < KILL_AGAIN_PERCENT:
            moments.append(self.moment(1 / 2 ** len(moments), seconds, later))
        return moments

    def moment(self, share, seconds, aims):
        """A moment within the first `share` of an upload that takes `seconds`."""
        if self.chance.randrange(100) >= AIMED_PERCENT:
            return Moment("random", after=self.chance.uniform(0, seconds * share))
        return aimed(self.chance, self.chance.choice(sorted(aims)), int(self.size / self.part_size * share))


class Round:
    def __init__(self, torture, name, moments, rate=None):
        self.torture, self.moments, self.rate = torture, moments, rate
        self.key = f"torture/{name}.bin"
        self.runs = self.kills = self.twice = 0
        self.seconds = 0.0
        self.complaints = []
        self._trigger = None

    def play(self):
        address = urllib.parse.urlsplit(self.torture.store.endpoint)
        witness = Witness((address.hostname, address.port), rate=self.rate, watch=self.hear)
        began = time.monotonic()
        starts = []
        try:
            environment = stage.mule_environment(self.torture.store, witness.endpoint, self.torture.ledger)
            moments = [*self.moments, None]
            while moments:
                if self.runs == MOST_RUNS:
                    self.complaints.append(f"not done after {MOST_RUNS} runs")
                    break
                starts.append(time.monotonic())
                moment = moments.pop(0)
                status = self.carry(environment, moment)
                if moment and moment.kind == "create":
                    # A Create still on its way can be known to nobody: let it land before the next run looks.
                    witness.settle()
                if status == 0:
                    break
                if status != -signal.SIGKILL:
                    self.complaints.append(f"run {self.runs} ended with status {status}: {evidence.last_words(self.torture.output)}")
                    break
            if not witness.settle():
                self.complaints.append("a connection outlived mule")
            self.seconds = time.monotonic() - began
            self.judge(witness, starts, environment)
        finally:
            witness.close()
            self.torture.store.remove(self.torture.bucket, self.key)

    def carry(self, environment, moment):
        """One run of mule, killed at the moment, if that comes; its exit status."""
        options = self.torture.options
        resume = [self.torture.mule, "resume", f"--concurrency={options.concurrency}"]
        upload = [self.torture.mule, "upload", f"--concurrency={options.concurrency}"]
        upload += [f"--part-size={options.part_size_mib}MiB", self.torture.source, f"{self.torture.bucket}/{self.key}"]
        # A resume that finds an upload nobody has recorded yet would have nothing to do: end with the upload itself.
        words = resume if self.runs % 2 == 1 and self.is_pending(environment) else upload
        self.runs += 1
        running = Running(words, environment, self.torture.output)
        self._trigger = moment and Trigger(moment, lambda: running.send(signal.SIGKILL))
        try:
            status = running.wait(moment.after if moment else None)
        finally:
            last = running.end()
            self._trigger = None
        self.kills += last == -signal.SIGKILL
        return last if status is None else status

    def is_pending(self, environment):
        return bool(self.status(environment))

    def status(self, environment):
        return listing(self.torture.mule, environment)[0]

    def hear(self, event, request):
        if trigger := self._trigger:
            trigger.hear(event, request)

    def judge(self, witness, starts, environment):
        say = self.complaints.append
        self.twice = witness.part_bytes - self.torture.size
        bound = self.kills * self.torture.options.concurrency * self.torture.part_size
        if self.twice < 0:
            say(f"{-self.twice:,} bytes of the file never passed the proxy")
        if self.twice > bound:
            say(f"{self.twice:,} bytes sent twice, the bound is {bound:,}")
        if again := evidence.sent_again(witness.requests, starts):
            say(f"parts {again} sent again though acknowledged")
        if pending := self.status(environment):
            say(f"mule status lists {pending}")
        if uploads := self.torture.store.open_uploads(self.torture.bucket):
            say(f"open at the store: {uploads}")
        store, bucket = self.torture.store, self.torture.bucket
        if difference := evidence.difference(store, bucket, self.key, self.torture.source):
            say(difference)


if __name__ == "__main__":
    main()
