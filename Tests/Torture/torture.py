#!/usr/bin/env python3
"""Everything that can go wrong, on purpose: uploads through a proxy that injects faults, under blows, against real stores.

    Tests/Torture/torture.py [--seed N] [--minutes 10] [--round K [--times T]] [--servers swift,localstack] [--mule PATH]

Rounds follow each other until the time is over. In each one a file, small or large, or a stream goes to a fresh key; what
happens to it is decided by seed and round alone, so --round K plays one again. The network and the store fail in the ways
of faults.py; mule is killed, stopped, signalled, started twice, its disk filled, its source changed (scenario.py). Moments
that hang on the machine's speed differ from play to play, so a replay may need --times.

Judged are (judging.py)
  - exit 0: the object equals the file byte for byte, as it was at one moment of that run,
  - every other exit status: documented, and explained by what was done to the run,
  - the ledger: whole, and at the end it knows of no pending upload and the store has none,
  - parts at the store: mule status knows of each upload that holds some, and never claims more than was acknowledged,
  - bytes: no part is sent by a run that began after the store had acknowledged it, and in all no more than the file and,
    for each fault and blow, what was in flight,
  - what is printed: JSON where asked for, no secret.

What was broken is printed with the words that replay it, and kept under .build/torture-broken; exit 1.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import contextlib
import itertools
import pathlib
import random
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Servers"))

import disk
import stage
from evidence import PatientStore
from failure import Failure
from report import Report
from rounds import Round
from scenario import LARGEST, Scenario
from source import Pool

SERVERS = ("swift", "localstack", "rclone")
# The pool, a round's file, its versions, and the object with what a broken upload leaves.
FREE_BYTES = 10 * LARGEST


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--round", type=int, default=None, help="play this round only")
    parser.add_argument("--times", type=int, default=1, help="how often to play it")
    parser.add_argument("--servers", default="swift,localstack", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--mule", type=pathlib.Path, default=stage.ROOT / ".build" / "release" / "mule")
    options = parser.parse_args()
    options.servers = options.servers.split(",")
    if unknown := set(options.servers) - set(SERVERS):
        parser.error(f"there is no server {', '.join(unknown)}")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    stage.end_politely()
    try:
        if not options.mule.exists():
            raise Failure(f"there is no {options.mule}; run `make build` first")
        report = torture(options, disk.private_namespace())
    except Failure as error:
        sys.exit(f"torture: {error} (seed {options.seed})")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if report.broken or report.unjudged else 0)


def torture(options, reason_not_to_fill):
    report = Report(options.seed)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(stage.folder("torture", FREE_BYTES))
        small_disk = disk.LedgerDisk(folder, reason_not_to_fill)
        stack.callback(small_disk.close)
        pool = Pool(folder, LARGEST, options.seed)
        # A replay starts only what it needs; every server is a choice of the seed all the same.
        plans = list(_scenarios(options, small_disk.reason is None)) if options.round is not None else None
        needed = sorted({plan.server for _, plan in plans}) if plans else options.servers
        table = {}
        for name in needed:
            store, bucket = stack.enter_context(stage.server(name, folder))
            table[name] = PatientStore(**vars(store)), bucket
        print(f"seed {options.seed}, {', '.join(needed)}, {options.mule}", flush=True)
        began = time.monotonic()
        for number, plan in plans or _scenarios(options, small_disk.reason is None):
            if options.round is None and time.monotonic() - began > options.minutes * 60:
                break
            started = time.monotonic()
            play = Round(number, plan, table, pool, small_disk, folder, options.mule.resolve())
            try:
                play.play()
                report.add(play, time.monotonic() - started)
            except (Failure, OSError) as error:
                report.leave(play, error)
            finally:
                play.clear_up()
        report.close(small_disk.reason)
    return report


def _scenarios(options, can_fill):
    numbers = [options.round] * options.times if options.round is not None else itertools.count(1)
    for number in numbers:
        yield number, Scenario(options.seed, number, options.servers, can_fill)


if __name__ == "__main__":
    main()
