"""What a round is: everything that seed and round number decide before it begins."""

import random
from dataclasses import dataclass, field

import stage
from moments import AIMED, SELDOM, Moment, aimed
from source import CHANGES

# What may be done to a run, with weights.
KILL, TERMINATE, INTERRUPT, HANG_UP = "SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"
STOP = "SIGSTOP, SIGCONT later"
DISK = "disk of the ledger full"
CHANGE = "source changed"
TWIN = "two mules at once"
BLACKOUT = "network down"
EXPIRY = "upload expired at the store"
STRIKES = {
    KILL: 8,
    TERMINATE: 2,
    INTERRUPT: 2,
    HANG_UP: 1,
    STOP: 4,
    DISK: 3,
    CHANGE: 3,
    TWIN: 2,
    BLACKOUT: 2,
    EXPIRY: 1,
}
SIGNALS = (KILL, TERMINATE, INTERRUPT, HANG_UP)

FILE, SMALL, EMPTY, STREAM = "parts", "one request", "empty", "stream"
SHAPES = {FILE: 15, SMALL: 3, EMPTY: 1, STREAM: 3}

# mule sends what is not larger than this in one request.
THRESHOLD = 16 * stage.MEBIBYTE
LARGEST = 200 * stage.MEBIBYTE
SHORT_PATIENCE = 6.0
LONG_PATIENCE = 90.0


@dataclass
class Strike:
    """One blow against a run. `seconds`: how long it lasts, where it does; `change`: how the source changes."""

    what: str
    moment: Moment
    seconds: float = 0.0
    change: str = ""


@dataclass
class Leg:
    """One run: what is done to it, and what is done before it."""

    strikes: list
    change_before: str = ""
    # Looks at mule status, in seconds after the start.
    looks: list = field(default_factory=list)
    prefers_resume: bool = False
    restarts: bool = False
    # Whether the store has given the upload up meanwhile, as a lifecycle rule does.
    has_expired: bool = False


class Scenario:
    def __init__(self, seed, number, servers, can_fill):
        self.name = f"{seed}/{number}"
        chance = self.chance = random.Random(self.name)
        self.server = chance.choice(servers)
        self.shape = chance.choices(list(SHAPES), SHAPES.values())[0]
        self.part_mib = chance.choice([5, 5, 6, 8, 8, 16])
        self.concurrency = chance.choice([1, 2, 3, 4, 6, 8, 12, 16, None])
        self.size = self._size()
        self.checksum = chance.choice(["auto"] * 6 + ["crc64nvme", "crc32c", "crc32", "sha256", "md5", "none"])
        self.patience = SHORT_PATIENCE if chance.random() < 0.25 else LONG_PATIENCE
        # Of an upload that nothing disturbs; slow enough that blows fall into it.
        self.seconds = chance.uniform(0.5, 3.5)
        self.fault_rate = chance.choice([0.05, 0.15, 0.25, 0.35, 0.45, 0.55])
        self.legs = [self._leg(index, can_fill) for index in range(chance.choice([0, 1, 1, 2, 2, 3, 4]))]
        self.aborts = bool(self.legs) and chance.random() < 0.12
        self.repeats = chance.random() < 0.25
        self.verifies = chance.random() < 0.3
        self.ends_by_resume = chance.random() < 0.3
        self.says_json = chance.random() < 0.5
        # Refusing is right where an earlier version was completed, or a stream whose run did not live to hear of it.
        self.keeps_existing = not self._changes and not self.is_stream and chance.random() < 0.1

    @property
    def is_stream(self):
        return self.shape == STREAM

    @property
    def parts(self):
        return max(1, -(-self.size // (self.part_mib * stage.MEBIBYTE)))

    @property
    def in_flight(self):
        """The most bytes that one mule has under way."""
        return (self.concurrency or 16) * self.unit

    @property
    def unit(self):
        """The most bytes of one request."""
        return max(self.part_mib * stage.MEBIBYTE, THRESHOLD if self.shape != FILE else 0)

    @property
    def may_flip(self):
        """Whether the store has anything to notice damage by: only Swift looks at the signed payload."""
        return self.server == "swift" or self.checksum != "none"

    @property
    def _changes(self):
        return any(leg.change_before or any(strike.change for strike in leg.strikes) for leg in self.legs)

    def __str__(self):
        size = f"{self.size / stage.MEBIBYTE:.1f} MiB" if self.size else "0 B"
        where = f"{self.server}, {self.shape}, {size}, part {self.part_mib} MiB, -j {self.concurrency or 'auto'}"
        return f"{where}, {self.checksum}"

    def _size(self):
        chance, mebibyte = self.chance, stage.MEBIBYTE
        if self.shape == EMPTY:
            return 0
        if self.shape == SMALL:
            return chance.choice([1, chance.randint(1, 4096), chance.randint(1, 5 * mebibyte)])
        if self.shape == STREAM:
            return chance.choice([0, chance.randint(1, 4 * mebibyte), chance.randint(6 * mebibyte, 70 * mebibyte)])
        smallest = self.part_mib * mebibyte + 1
        size = chance.choice([chance.randint(20 * mebibyte, 90 * mebibyte)] * 8 + [LARGEST])
        if chance.random() < 0.2:  # the edge of a cut
            return max(smallest, size // smallest * (smallest - 1) + chance.choice([-1, 0, 1]))
        return max(smallest, size)

    def _leg(self, index, can_fill):
        """The run with this index."""
        chance = self.chance
        strikes = [self._strike(index, can_fill) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        before = chance.choice(CHANGES) if not self.is_stream and chance.random() < 0.08 else ""
        looks = [chance.uniform(0, self.seconds) for _ in range(chance.choice([0, 0, 1, 2]))]
        return Leg(
            strikes,
            before,
            sorted(looks),
            prefers_resume=chance.random() < 0.4,
            restarts=chance.random() < 0.05,
            has_expired=index > 0 and chance.random() < 0.08,
        )

    def _strike(self, index, can_fill):
        chance = self.chance
        weights = {what: weight for what, weight in STRIKES.items() if self._may_meet(what, can_fill)}
        what = chance.choices(list(weights), weights.values())[0]
        strike = Strike(what, self._moment(index))
        if what == STOP:
            strike.seconds = chance.choice([0.2, 0.5, 1.0, 2.0])
            if self.patience == SHORT_PATIENCE and chance.random() < 0.3:
                strike.seconds = SHORT_PATIENCE + 1
        elif what == DISK:
            strike.seconds = chance.choice([0.3, 1.0, 60.0])
        elif what == BLACKOUT:
            strike.seconds = chance.choice([0.2, 0.5, 1.0, 2.0])
            if self.patience == SHORT_PATIENCE and chance.random() < 0.4:
                strike.seconds = SHORT_PATIENCE + 3
        elif what == CHANGE:
            strike.change = chance.choice(CHANGES)
        elif what == EXPIRY:
            # While a part is under way, which keeps Complete back: no store is asked to do both at once.
            strike.moment = aimed(chance, "part answered, not heard", self.parts // (index + 1))
        return strike

    def _may_meet(self, what, can_fill):
        if what == DISK:
            return can_fill
        if what == EXPIRY:
            return self.shape == FILE
        # A stream has no file that could change, and no upload that a second run could find.
        return not (self.is_stream and what in (CHANGE, TWIN))

    def _moment(self, index):
        """A moment of the run with this index; an upload that is carried on has fewer parts to send."""
        chance = self.chance
        if self.shape in (SMALL, EMPTY):
            names = [name for name, (kind, _) in SELDOM.items() if kind == "put"]
        elif index == 0:
            names = list(AIMED)
        else:
            names = [name for name in (*AIMED, *SELDOM) if not name.startswith(("create", "put"))]
        if chance.random() < 0.65:
            return aimed(chance, chance.choice(names), self.parts // (index + 1))
        return Moment("random", after=chance.uniform(0, self.seconds / (index + 1)))
