"""The scenarios: which bytes, over which link, by which clients."""

from dataclasses import dataclass

from places import GIBIBYTE
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
    # How to measure and show it: stream, files, start, faults, killed, or real.
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

    @property
    def large(self):
        return self.source.count is None


FOUR = Source(4 * GIBIBYTE)
ONE = Source(GIBIBYTE)
SMALL = Source(64 << 10, 2000)
TINY = Source(4 << 10, 100_000)

LOCAL = (Tune(8, 16),)
FAR = ("--connection-mbits", "100", "--latency-ms", "50")
FAULTS = ("--failing", "0.05", "--resetting", "0.02")

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
    Scenario("bottleneck", "1 GiB, 100 Mbit/s per connection and 400 Mbit/s for all, 50 ms round trip", ONE,
             line=(*FAR, "--total-mbits", "400"), only_mule=True, fixed=(1, 2, 4, 8, 16, 32), warms=False, rounds=1),
    Scenario("faults", "1 GiB over plain HTTP, 5 % of the requests answered 503, 2 % cut off", ONE, kind="faults", line=FAULTS,
             tunes=(Tune(8, 8),), warms=False),
    Scenario("killed", "1 GiB over plain HTTP, SIGKILL halfway, then the same command again", ONE, kind="killed", warms=False),
    Scenario("real-big", "1 GiB to OpenStack Swift over plain HTTP", ONE, kind="real", tunes=(Tune(8, 16),)),
    Scenario("real-many", "500 files of 64 KiB to OpenStack Swift over plain HTTP", Source(64 << 10, 500), kind="real",
             tunes=(Tune(32, 8),)),
]
NAMED = {scenario.name: scenario for scenario in ALL}
# What `make bench` runs by default: a few minutes.
SHORT = ["big-tls", "big-http", "many", "one", "far", "killed"]
