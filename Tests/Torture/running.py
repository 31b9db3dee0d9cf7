"""One process of mule that can be struck at any moment, from any thread."""

import contextlib
import os
import signal
import subprocess
import threading


class Running:
    """Starts mule; its standard output and error go to the files `output` and `errors` (one file, if that is left out).

    With `source` standard input is that file; without, there is none.
    """

    def __init__(self, words, environment, output, errors=None, source=None):
        self._lock = threading.Lock()
        with contextlib.ExitStack() as files:
            stdout = files.enter_context(open(output, "wb"))
            stderr = files.enter_context(open(errors, "wb")) if errors else subprocess.STDOUT
            stdin = files.enter_context(open(source, "rb")) if source else subprocess.DEVNULL
            self._process = subprocess.Popen(
                [str(word) for word in words],
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._descriptor = os.pidfd_open(self._process.pid)

    @property
    def is_alive(self):
        return self._process.poll() is None

    def send(self, number):
        """Sends a signal; nothing happens when the process has ended."""
        with self._lock:
            if self._descriptor is None:
                return
            # The descriptor, unlike the id, never comes to mean another process.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def wait(self, seconds=None):
        """The exit status, negative for a signal; None when the process still runs after that time."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self):
        """Kills the process if it still runs, and waits for it."""
        self.send(signal.SIGKILL)
        status = self._process.wait()
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        return status


def listing(mule, environment, errors=subprocess.DEVNULL):
    """What `mule status --json` prints, and its exit status."""
    command = [str(mule), "status", "--json"]
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    return result.stdout.strip(), result.returncode
