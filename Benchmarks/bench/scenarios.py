"""The scenarios: which bytes, over which link, by which clients."""

import random
from dataclasses import dataclass, replace

from places import GIBIBYTE, MEBIBYTE
from sources import Source


@dataclass(frozen=True)
class Tune:
    """Settings that differ from a client's defaults, if it has them."""

    concurrency: int
    part_mib: int


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    source: Source
    # How to measure and show it: stream, files, start, faults, killed, interrupted, or real.
    kind: str = "stream"
    tls: bool = False
    line: tuple = ()  # arguments for the sink
    tunes: tuple = ()
    unsigned: bool = False  # only clients that can send unsigned payloads
    floors: tuple = ()
    only_mule: bool = False
    fixed: tuple = ()  # numbers of concurrent requests for mule
    warms: bool = True  # a first round that does not count
    rounds: int | None = None  # if fewer are enough, because the link is the limit, not the CPU
    limit: float = 60  # seconds after which a client is stopped and its delivered bytes count
    mbits: int | None = None  # the link's speed for all connections, if the moments of the stops depend on it

    @property
    def large(self):
        return self.source.count is None

    def stops(self, number):
        """Seconds after which each run before the last is stopped in that round: random, and the same for every client."""
        if self.kind != "interrupted":
            return []
        transfer = self.source.total * 8 / (self.mbits * 1e6)
        chance = random.Random(f"{self.name} {number}")
        return [transfer * chance.uniform(*STOP_BETWEEN) for _ in range(STOPS)]

    def longest(self, number):
        """Maximum seconds of a run, without the time to start it."""
        return self.limit + sum(self.stops(number))

    def tiny(self):
        """The same with few bytes, once: shows that it runs, and measures nothing."""
        count = self.source.count and min(self.source.count, TINY_COUNT)
        source = Source(min(self.source.size, TINY_SIZE), count)
        return replace(self, title=f"{self.title} (with --tiny only {source.describe()})", source=source, warms=False, rounds=1)


FOUR = Source(4 * GIBIBYTE)
ONE = Source(GIBIBYTE)
QUARTER = Source(256 * MEBIBYTE)
SIXTY_FOUR = Source(64 * MEBIBYTE)
SMALL = Source(64 << 10, 2000)
TINY = Source(4 << 10, 100_000)
FEW_TINY = Source(4 << 10, 2000)

LOCAL = (Tune(8, 16),)
FAR = ("--connection-mbits", "100", "--latency-ms", "50")
DISTANT = ("--latency-ms", "50")
SLOW = ("--connection-mbits", "20", "--latency-ms", "100")
FAULTS = ("--failing", "0.05", "--resetting", "0.02")

# Stops of one client in one round, and when each comes, as a share of the time in which the link transfers the file. All
# together are shorter than that, so that no client has finished before the last one.
STOPS = 3
STOP_BETWEEN = (0.05, 0.3)

# Sizes of a run that only shows that a scenario works.
TINY_SIZE = 24 * MEBIBYTE
TINY_COUNT = 20


def interrupted(mbits, source, size):
    title = f"{size} over a link of {mbits} Mbit/s, {STOPS} times SIGKILL at random moments, then the same command to the end"
    line = ("--total-mbits", str(mbits), "--latency-ms", "50")
    return Scenario(f"interrupted-{mbits}", title, source, kind="interrupted", line=line, mbits=mbits, warms=False)


ALL = [
    Scenario("big-tls", "4 GiB over TLS", FOUR, tls=True, tunes=LOCAL, floors=("curl",)),
    Scenario("big-http", "4 GiB over plain HTTP", FOUR, tunes=LOCAL, floors=("curl", "sha256")),
    Scenario("big-unsigned", "4 GiB over plain HTTP, payload not signed", FOUR, tunes=LOCAL, unsigned=True, floors=("curl",)),
    Scenario("many", "2,000 files of 64 KiB over plain HTTP", SMALL, kind="files", tunes=(Tune(32, 8),)),
    Scenario("tiny", "100,000 files of 4 KiB over plain HTTP", TINY, kind="files", tunes=(Tune(32, 8),), warms=False,
             limit=30),
    Scenario("one", "One file of 1 KiB over plain HTTP", Source(1024), kind="start"),
    Scenario("far", "1 GiB, 100 Mbit/s per connection, 50 ms round trip", ONE, line=FAR, tunes=(Tune(64, 8),),
             warms=False, rounds=1),
    Scenario("slow", "64 MiB, 20 Mbit/s per connection, 100 ms round trip", SIXTY_FOUR, line=SLOW, tunes=(Tune(16, 5),),
             warms=False),
    Scenario("many-far", "2,000 files of 4 KiB over plain HTTP, 50 ms round trip", FEW_TINY, kind="files", line=DISTANT,
             tunes=(Tune(256, 8),), warms=False),
    Scenario("many-far-tls", "2,000 files of 4 KiB over TLS, 50 ms round trip", FEW_TINY, kind="files", line=DISTANT, tls=True,
             tunes=(Tune(256, 8),), warms=False),
    Scenario("bottleneck", "1 GiB, 100 Mbit/s per connection and 400 Mbit/s for all, 50 ms round trip", ONE,
             line=(*FAR, "--total-mbits", "400"), only_mule=True, fixed=(1, 2, 4, 8, 16, 32), warms=False, rounds=1),
    Scenario("faults", "1 GiB over plain HTTP, 5 % of the requests answered 503, 2 % cut off", ONE, kind="faults", line=FAULTS,
             tunes=(Tune(8, 8),), warms=False),
    Scenario("killed", "1 GiB over plain HTTP, SIGKILL halfway, then the same command again", ONE, kind="killed", warms=False),
    interrupted(4, SIXTY_FOUR, "64 MiB"),
    interrupted(20, QUARTER, "256 MiB"),
    interrupted(100, ONE, "1 GiB"),
    Scenario("real-big", "1 GiB to OpenStack Swift over plain HTTP", ONE, kind="real", tunes=(Tune(8, 16),)),
    Scenario("real-many", "2,000 files of 4 KiB to OpenStack Swift over plain HTTP", FEW_TINY, kind="real", tunes=(Tune(32, 8),)),
]
NAMED = {scenario.name: scenario for scenario in ALL}
# What `make bench` runs by default: a few minutes.
SHORT = ["big-tls", "big-http", "many", "one", "far", "killed"]
