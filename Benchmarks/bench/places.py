"""Paths: the tree, and what is kept under .build between runs of the benchmark."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "Benchmarks"
# On a disk, as for a real ledger; /tmp may be memory.
SHELF = ROOT / ".build" / "bench"
PEERS = ROOT / ".build" / "bench-peers"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"
MULE = ROOT / ".build" / "release" / "mule"

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
