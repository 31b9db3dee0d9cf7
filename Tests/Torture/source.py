"""The file that is sent, how it changes, and what it held at every moment."""

import os
import pathlib
import shutil
import time

import stage

# Changes of a file, as other programs make them.
CHANGES = ("append", "truncate", "rewrite in place", "replace by rename", "touch")
# Longer than a tick of the clock that file systems stamp their files by: two states never share a time stamp.
TICK_SECONDS = 0.03


class Pool:
    """Pseudo-random bytes from which all files are cut, so that a file is a copy and not a computation."""

    def __init__(self, folder, size, seed):
        self.size = size
        self.path = stage.payload(folder / "pool.bin", size, seed)

    def cut(self, path, offset, size):
        """Writes `size` bytes of the pool from `offset` on into a new file."""
        with open(self.path, "rb") as pool, open(path, "wb") as file:
            while size > 0:
                offset %= self.size
                count = os.copy_file_range(pool.fileno(), file.fileno(), min(size, self.size - offset), offset)
                offset, size = offset + count, size - count


class Source:
    """One round's file. `versions` are copies of what it held, oldest first; only finished states are versions."""

    def __init__(self, pool, folder, name, size, chance):
        self.path = pathlib.Path(folder) / name
        self.versions = []
        self.is_changing = False
        self.changes = 0
        self._pool, self._chance = pool, chance
        pool.cut(self.path, chance.randrange(pool.size), size)
        self._keep()

    @property
    def size(self):
        return self.path.stat().st_size

    @property
    def current(self):
        return self.versions[-1]

    @property
    def largest(self):
        return max(version.stat().st_size for version in self.versions)

    def change(self, how):
        self.is_changing = True
        self.changes += 1
        time.sleep(TICK_SECONDS)
        getattr(self, "_" + how.replace(" ", "_"))()
        time.sleep(TICK_SECONDS)
        self._keep()
        self.is_changing = False

    def _keep(self):
        copy = self.path.with_name(f"{self.path.name}.{len(self.versions)}")
        shutil.copyfile(self.path, copy)
        self.versions.append(copy)

    def _bytes(self, count):
        with open(self._pool.path, "rb") as pool:
            pool.seek(self._chance.randrange(self._pool.size - count))
            return pool.read(count)

    def _append(self):
        with open(self.path, "ab") as file:
            file.write(self._bytes(self._chance.choice([1, 4096, 3 * stage.MEBIBYTE])))

    def _truncate(self):
        size = self.size
        os.truncate(self.path, size - min(size, self._chance.choice([1, 4096, size // 3])))

    def _rewrite_in_place(self):
        size = self.size
        with open(self.path, "r+b", buffering=0) as file:
            for _ in range(8):
                piece = self._bytes(min(size, 64 * 1024))
                file.seek(self._chance.randint(0, size - len(piece)))
                file.write(piece)

    def _replace_by_rename(self):
        fresh = self.path.with_name(self.path.name + ".new")
        self._pool.cut(fresh, self._chance.randrange(self._pool.size), self.size)
        os.replace(fresh, self.path)

    def _touch(self):
        os.utime(self.path)

    def remove(self):
        for path in (self.path, *self.versions):
            path.unlink(missing_ok=True)
