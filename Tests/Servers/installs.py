"""Installs what a server needs: Debian packages, and Python packages in a virtual environment of the project's own."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

from failure import Failure

HERE = pathlib.Path(__file__).resolve().parent

# The environments of all servers; MULE_TEST_SERVERS lets several clones share one set.
SHELF = pathlib.Path(os.environ.get("MULE_TEST_SERVERS") or HERE.parents[1] / ".build" / "servers")

# Runs as root. Debian starts a daemon as soon as it is unpacked; invoke-rc.d asks policy-rc.d first, and 101 is "no".
# One such script runs at a time; a policy left behind by a killed one is known by its mark and replaced.
APT = r"""
set -eu
exec 9>/run/lock/mule-tests-apt
flock 9
policy=/usr/sbin/policy-rc.d mark='laid by the tests of mule'
if [ ! -e "$policy" ] || grep -qs "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\n# %s; remove me\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
get() { apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install -y -qq --no-install-recommends "$@" 9>&-; }
get "$@" && exit 0
echo 's3server: apt-get could not install at once; reading the package lists again' >&2
tries=0
# The wait above does not cover the lock of the package lists.
until apt-get update -qq 9>&-; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || exit 1
    sleep 5
done
get "$@"
"""


def say(text):
    print(f"s3server: {text}", file=sys.stderr, flush=True)


def debian(packages):
    """Installs the packages that are missing, through sudo unless root."""
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise Failure(f"this server comes as Debian packages ({' '.join(packages)}), and here is no apt-get")
    missing = [package for package in packages if not _has_package(package)]
    if not missing:
        return
    say(f"installing the Debian packages {' '.join(missing)}")
    command = ["sh", "-c", APT, "apt", *missing]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise Failure(f"needs the Debian packages {' '.join(missing)}; install them as root: there is no sudo here")
        command = ["sudo", *command]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    still = [package for package in missing if not _has_package(package)]
    if result.returncode != 0 or still:
        raise Failure(f"apt-get could not install {' '.join(still or missing)}; its messages are above")


def _has_package(package):
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout == "installed"


def environment(name, requirements, constraints=None):
    """The Python of a virtual environment that holds `requirements`; made when missing, unfinished or outdated."""
    SHELF.mkdir(parents=True, exist_ok=True)
    folder = SHELF / name
    python = folder / "bin" / "python"
    wanted = "\n".join([sys.version, str(folder), *requirements, constraints.read_text() if constraints else ""])
    with open(SHELF / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = folder / "finished"
        if finished.exists() and finished.read_text() == wanted and python.exists():
            return python
        say(f"installing {requirements[0]} into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        # pip holds the lock too: when this process is killed, the next one waits for the orphan before it clears up.
        held = {"stdin": subprocess.DEVNULL, "stdout": sys.stderr, "pass_fds": [lock.fileno()]}
        _make(folder, held)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        pins = ["--constraint", constraints] if constraints else []
        if subprocess.run([*pip, *pins, *requirements], **held).returncode != 0:
            raise Failure(f"pip could not install {requirements[0]}; its messages are above")
        finished.write_text(wanted)
    return python


def _make(folder, held):
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL).returncode != 0:
        debian(["python3-venv"])
    if subprocess.run([sys.executable, "-m", "venv", folder], **held).returncode != 0:
        raise Failure(f"{sys.executable} -m venv {folder} failed; its messages are above")
