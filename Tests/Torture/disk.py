"""A small disk for the ledger that can be filled and freed: a tmpfs in a mount namespace that nobody else sees."""

import contextlib
import ctypes
import errno
import os
import subprocess

CLONE_NEWNS = 0x00020000
MEBIBYTES = 16


def private_namespace():
    """Moves this process into a mount namespace of its own; why that is not possible, or None when it was done.

    To be called before the process has threads.
    """
    if os.geteuid() != 0:
        return "only root may mount a small file system"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    made = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True)
    return made.stderr.strip() or None if made.returncode != 0 else None


class LedgerDisk:
    """A folder for ledgers; `reason` says why it can't be filled, and is None where it can."""

    def __init__(self, folder, reason):
        self.folder = folder / "ledgers"
        self.folder.mkdir()
        self.reason = reason
        self.is_full = False
        self._ballast = self.folder / "ballast"
        if reason is None:
            options = ["-t", "tmpfs", "-o", f"size={MEBIBYTES}m,mode=700", "torture", self.folder]
            made = subprocess.run(["mount", *options], capture_output=True, text=True)
            if made.returncode != 0:
                self.reason = f"no tmpfs: {made.stderr.strip()}"

    def fill(self):
        """Takes every block that is left."""
        self.is_full = True
        block = bytes(64 * 1024)
        with open(self._ballast, "ab", buffering=0) as ballast:
            while block:
                try:
                    ballast.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    block = block[: len(block) // 2]

    def free(self):
        self._ballast.unlink(missing_ok=True)
        self.is_full = False

    def close(self):
        if self.reason is None:
            with contextlib.suppress(OSError):
                subprocess.run(["umount", "--lazy", self.folder], capture_output=True)
