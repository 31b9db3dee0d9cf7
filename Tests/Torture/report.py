"""What the torture prints, and what it keeps of a round in which a promise was broken."""

import shutil
import signal
from collections import Counter

import faults
import judging
import scenario
import stage

# The largest file that is kept with a broken round; sources are made again by a replay.
KEPT_BYTES = 4 * stage.MEBIBYTE


class Report:
    def __init__(self, seed):
        self.seed = seed
        self.rounds = self.sent = self.twice = 0
        self.blows, self.faults, self.statuses, self.servers = Counter(), Counter(), Counter(), Counter()
        self.store_failures = 0
        self.broken = []
        self.unjudged = []

    def add(self, play, seconds):
        self.rounds += 1
        twice = judging.sent_twice(play)
        statuses = [status for run in play.runs for status in run.statuses]
        self.sent, self.twice = self.sent + play.proxy.body_bytes, self.twice + twice
        self.blows += play.blows
        self.faults += play.fates.struck
        self.statuses += Counter(statuses)
        self.servers[play.scenario.server] += 1
        self.store_failures += play.proxy.store_failures
        verdict = "BROKEN" if play.complaints else "good"
        print(
            f"{play.number:>4}  {str(play.scenario):<64} {' '.join(map(_name, statuses)):<24}"
            f" {play.fates.struck.total():>3} faults {sum(play.blows.values()):>2} blows"
            f" {twice / stage.MEBIBYTE:>6.1f} MiB again {seconds:>5.1f} s  {verdict}",
            flush=True,
        )
        self._break(play)

    def _break(self, play):
        for complaint in play.complaints:
            print(f"      {complaint}", flush=True)
            self.broken.append((play.number, complaint))
        if play.complaints:
            keep(self.seed, play)

    def leave(self, play, error):
        """A round that could not be played to its end or judged, for a reason that is not mule's."""
        self.unjudged.append(play.number)
        print(f"{play.number:>4}  {play.scenario}  NOT JUDGED: {error}", flush=True)
        self._break(play)

    def close(self, reason_not_to_fill):
        looks, proofs = (self.blows.pop(name, 0) for name in ("looks at mule status", "mule verify"))
        rounds = f"{self.rounds} rounds ({_counts(self.servers)})"
        print(f"\nseed {self.seed}: {rounds}, {looks} looks at mule status, {proofs} runs of mule verify")
        # A change of the source is a blow of its own kind, and counted by how it was made.
        self.blows.pop(scenario.CHANGE, 0)
        met_darkness = self.faults.pop(faults.BLACKOUT, 0)
        for title, counts in (("blows", self.blows), ("faults", self.faults)):
            print(f"\n{title}")
            for name, count in counts.most_common():
                print(f"  {count:>5}  {name}")
        total = self.blows.total() + self.faults.total()
        print(f"\n{total} faults in all. Beside them {met_darkness} connections met a network that was down,")
        print(f"and the stores themselves failed {self.store_failures} requests.")
        if reason_not_to_fill:
            print(f"left out: a full disk under the ledger ({reason_not_to_fill})")
        statuses = ", ".join(f"{_name(status)}: {count}" for status, count in sorted(self.statuses.items()))
        print(f"runs by exit status  {statuses}")
        print(f"bytes sent {self.sent:,}, of them sent again {self.twice:,}")
        if self.unjudged:
            print(f"not judged, because the store or this machine failed: rounds {self.unjudged}")
        print(f"broken promises: {len(self.broken)}")
        for number, complaint in self.broken:
            print(f"  round {number}: {complaint}\n    make torture SEED={self.seed} ROUND={number}")


def keep(seed, play):
    """Leaves what tells how it came to this under .build/torture-broken."""
    shelf = stage.ROOT / ".build" / "torture-broken" / f"seed-{seed}-round-{play.number}"
    shutil.rmtree(shelf, ignore_errors=True)
    shelf.mkdir(parents=True)
    for path in (*play.folder.iterdir(), *play.ledger.parent.iterdir()):
        if path.is_file() and path.stat().st_size <= KEPT_BYTES:
            shutil.copy(path, shelf)
    lines = [f"seed {seed}, round {play.number}: {play.scenario}", *play.complaints, ""]
    for run in play.runs:
        words = " ".join(map(str, run.words))
        lines.append(f"{run.began:.3f} run {run.number}: {words}: {run.statuses}, {dict(run.struck)}")
    lines.append("")
    for request in play.proxy.snapshot():
        part = request.query.get("partNumber", "")
        times = " ".join(f"{moment:.3f}" if moment else "-" for moment in (request.began, request.sent, request.answered))
        upload = request.query.get("uploadId", "")[-6:]
        fault = getattr(request, "fault", None) or ""
        lines.append(f"{times} {request.kind} {part} {upload} {request.body_bytes} {request.status} {fault}")
    (shelf / "journal").write_text("\n".join(lines) + "\n")
    print(f"      kept in {shelf}", flush=True)


def _name(status):
    return signal.Signals(-status).name if status < 0 else str(status)


def _counts(counts):
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
