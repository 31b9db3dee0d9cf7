"""Free TCP ports of 127.0.0.1, so chosen that two starts at the same time never get the same one.

Binding port 0 and closing it again leaves a gap in which anybody may get that port, and Swift's servers listen with
SO_REUSEPORT, so two of them would share a port without a word. A lease therefore holds one abstract Unix socket per
port until the server listens itself; the kernel drops it with the process.
"""

import errno
import random
import socket

from failure import Failure

# Below the kernel's range for outgoing connections (net.ipv4.ip_local_port_range starts at 32768).
CANDIDATES = range(20000, 32768)


class Lease:
    def __init__(self):
        self._holds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hold in self._holds:
            hold.close()

    def any(self):
        choose = random.SystemRandom()
        for _ in range(1000):
            port = choose.choice(CANDIDATES)
            if self._hold(port) and _is_free(port):
                return port
        raise Failure(f"no free port of 127.0.0.1 found between {CANDIDATES.start} and {CANDIDATES.stop - 1}")

    def take(self, port):
        if not self._hold(port) or not _is_free(port):
            raise Failure(f"port {port} of 127.0.0.1 is in use; choose another with --port, or leave the choice to me")
        return port

    def _hold(self, port):
        hold = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            hold.bind(f"\0mule-s3server-{port}")
        except OSError:
            hold.close()
            return False
        self._holds.append(hold)
        return True


def _is_free(port):
    with socket.socket() as probe:
        # Only connections of a server that has just ended are forgiven, not one that listens.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
