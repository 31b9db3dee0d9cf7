"""The files to upload: random bytes, created once and kept; read before a round, so that no disk is measured."""

import os
import shutil
from dataclasses import dataclass

from failure import Failure
from places import MEBIBYTE, SHELF


@dataclass(frozen=True)
class Source:
    """One file (count is None), or a directory with so many files of the same size."""

    size: int  # bytes of each file
    count: int | None = None

    @property
    def total(self):
        return self.size * (self.count or 1)

    @property
    def objects(self):
        return self.count or 1

    @property
    def path(self):
        name = f"file-{self.size}" if self.count is None else f"{self.count}-of-{self.size}"
        return SHELF / "sources" / name

    def describe(self):
        size = next(
            f"{self.size // unit:,} {name}"
            for unit, name in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")]
            if self.size % unit == 0 and self.size >= unit
        )
        return f"one file of {size}" if self.count is None else f"{self.count:,} files of {size}"

    def prepare(self):
        if not self.path.exists():
            self._make()
        for path in sorted(self.path.iterdir()) if self.count else [self.path]:
            with open(path, "rb", buffering=0) as file:
                while file.read(8 * MEBIBYTE):
                    pass

    def _make(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A small file needs a block and an inode.
        if shutil.disk_usage(SHELF).free < 2 * self.total + 4096 * self.objects:
            raise Failure(f"{SHELF} has no room for {self.describe()}")
        unfinished = self.path.with_suffix(".making")
        shutil.rmtree(unfinished, ignore_errors=True)
        if self.count is None:
            with open(unfinished, "wb") as file:
                for start in range(0, self.size, MEBIBYTE):
                    file.write(os.urandom(min(MEBIBYTE, self.size - start)))
        else:
            unfinished.mkdir()
            for number in range(self.count):
                (unfinished / f"{number:06}.bin").write_bytes(os.urandom(self.size))
        unfinished.rename(self.path)
