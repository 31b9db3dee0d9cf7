#!/usr/bin/env python3
"""Lets a real cron daemon run `mule archive` every minute, against a server on this machine, and reads the mail that it sends.

    sudo Tests/Torture/cron.py [--minutes 10] [--server rclone] [--mule PATH]

It needs root and Debian's package cron. Everything else is in a mount namespace of its own: the crontab, cron's pid file, and a
sendmail that keeps what it is given. In the last three minutes one of the job's files can't be read, so that there is something to tell.

It is good when
  - the job ran in every minute, and no two runs overlapped, though some took longer than a minute (--limit-rate),
  - no mail came while nothing was wrong: 11 and -q are silent,
  - a mail came in the end, and names the file and the reason,
  - the store has every file, and the log has a line for each and no escape codes.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Servers"))

import stage
from failure import Failure

SENDMAIL = """#!/bin/sh
exec cat > "$(mktemp {mail}/mail-XXXXXX)"
"""

# A wrapper notes when each run begins and ends, and with which status.
WRAPPER = """#!/bin/sh
echo "begin $(date +%s.%N) $$" >> {folder}/runs
{mule} archive -q --config {folder}/config.json --log-file {folder}/mule.log slow
status=$?
echo "end $(date +%s.%N) $$ $status" >> {folder}/runs
[ $status -eq 11 ] && exit 0
exit $status
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--server", default="rclone", choices=["rclone", "localstack"])
    parser.add_argument("--mule", type=pathlib.Path, default=stage.ROOT / ".build" / "release" / "mule")
    parser.add_argument("--in-namespace", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    stage.end_politely()
    if os.geteuid() != 0 or not shutil.which("cron"):
        sys.exit("cron.py: it takes root and the package cron")
    if not options.in_namespace:
        # What is mounted below ends with this process's namespace; the machine's own cron is not touched.
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv, "--in-namespace"])
    try:
        if not options.mule.exists():
            raise Failure(f"there is no {options.mule}; run `make build` first")
        with stage.folder("cron", 64 * stage.MEBIBYTE) as folder:
            with stage.server(options.server, folder) as (store, bucket):
                complaints = Play(options, folder, store, bucket).run()
    except Failure as error:
        sys.exit(f"cron.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    for complaint in complaints:
        print(f"BROKEN: {complaint[:300]}")
    sys.exit(1 if complaints else 0)


class Play:
    def __init__(self, options, folder, store, bucket):
        self.options, self.folder, self.store, self.bucket = options, folder, store, bucket
        self.source, self.mail = folder / "source", folder / "mail"
        self.complaints = []

    def run(self):
        self._build()
        cron = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            self._watch()
        finally:
            cron.send_signal(signal.SIGTERM)
            cron.wait(10)
        self._judge()
        return self.complaints

    def _build(self):
        for path in (self.source, self.mail, self.folder / "cron.d", self.folder / "crontabs", self.folder / "run"):
            path.mkdir()
        self.folder.chmod(0o755)
        environment = stage.mule_environment(self.store, self.store.endpoint, self.folder / "ledger.sqlite")
        # 70 s of a minute's work now and then: the next run finds the job locked.
        (self.folder / "config.json").write_text(
            '{"jobs": {"slow": {"source": "%s", "destination": "%s/{relpath}", "limitRate": "100KB/s"}}}'
            % (self.source, self.bucket)
        )
        wrapper = self.folder / "run-mule"
        wrapper.write_text(WRAPPER.format(folder=self.folder, mule=self.options.mule.resolve()))
        sendmail = self.folder / "sendmail"
        sendmail.write_text(SENDMAIL.format(mail=self.mail))
        wrapper.chmod(0o755)
        sendmail.chmod(0o755)
        wanted = [name for name in environment if name.startswith(("AWS_", "MULE_", "HOME", "TMPDIR"))]
        lines = [f"{name}={environment[name]}" for name in wanted if environment[name]]
        lines += ["MAILTO=operator", f"* * * * * root {wrapper}"]
        crontab = self.folder / "cron.d" / "mule"
        crontab.write_text("\n".join(lines) + "\n")
        crontab.chmod(0o644)
        empty = self.folder / "crontab"
        empty.write_text("")
        empty.chmod(0o644)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        self._bind(self.folder / "cron.d", "/etc/cron.d")
        self._bind(self.folder / "crontabs", "/var/spool/cron/crontabs")
        self._bind(empty, "/etc/crontab")
        self._bind(self.folder / "run", "/run")
        if not os.path.exists("/usr/sbin/sendmail"):
            # A file to mount on, in a layer that ends with the namespace.
            upper, work = self.folder / "upper", self.folder / "work"
            upper.mkdir()
            work.mkdir()
            subprocess.run(
                ["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/usr/sbin,upperdir={upper},workdir={work}", "/usr/sbin"],
                check=True,
            )
            shutil.copy(sendmail, "/usr/sbin/sendmail")
        else:
            self._bind(sendmail, "/usr/sbin/sendmail")

    def _bind(self, what, where):
        subprocess.run(["mount", "--bind", str(what), str(where)], check=True)

    def _watch(self):
        end = time.monotonic() + 60 * self.options.minutes
        number = 0
        while time.monotonic() < end:
            left = end - time.monotonic()
            if left > 180:
                # Every third file takes more than a minute; none of them is under way when there is something to tell.
                size = 7_000_000 if number % 3 == 1 and left > 270 else 1000
                (self.source / f"file-{number}").write_bytes(os.urandom(size))
                self.quiet_mail = self._mails()
            elif not (self.source / "pipe").exists():
                self.quiet_mail = self._mails()
                os.mkfifo(self.source / "pipe")
            number += 1
            time.sleep(min(45, max(0.1, end - time.monotonic())))

    def _mails(self):
        return sorted(path.read_text(errors="replace") for path in self.mail.iterdir())

    def _runs(self):
        """Begin, end and status of each run that has ended, by its shell."""
        begun, runs = {}, []
        for line in (self.folder / "runs").read_text().splitlines():
            words = line.split()
            if words[0] == "begin":
                begun[words[2]] = float(words[1])
            else:
                runs.append((begun.pop(words[2]), float(words[1]), int(words[3])))
        return sorted(runs)

    def _judge(self):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self._running():
            time.sleep(1)
        runs = self._runs()
        statuses = [status for _, _, status in runs]
        worked = [run for run in runs if run[2] != 11]
        overlaps = sum(1 for one, next in zip(worked, worked[1:]) if next[0] < one[1] - 0.05)
        mails = self._mails()
        print(f"{len(runs)} runs, statuses {statuses}, longest {max(end - begin for begin, end, _ in runs):.0f} s, {overlaps} overlaps")
        print(f"{len(self.quiet_mail)} mails while all was well, {len(mails)} in the end")
        if len(runs) < self.options.minutes - 1:
            self.complaints.append("cron did not run the job in every minute")
        if overlaps:
            self.complaints.append(f"{overlaps} runs that sent overlapped: {runs}")
        if 11 not in statuses and self.options.minutes > 4:
            self.complaints.append("no run met another: the play proves nothing")
        if self.quiet_mail:
            self.complaints.append(f"mail while all was well: {self.quiet_mail[0]}")
        if not mails:
            self.complaints.append("no mail about the file that can't be read")
        for mail in mails:
            body = mail.split("\n\n", 1)[-1]
            if "pipe" not in body or "is a named pipe and is not sent" not in body:
                self.complaints.append(f"a mail that does not help: {body}")
        if mails:
            print("the mail:\n" + "\n".join("    " + line for line in mails[0].strip().splitlines()))
        log = (self.folder / "mule.log").read_bytes()
        for line in log.splitlines():
            if not re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error) [^\x00-\x1f\x7f]+", line):
                self.complaints.append(f"in the log: {line!r}")
        for path in self.source.iterdir():
            if path.name == "pipe":
                continue
            content = self.store.read(self.bucket, path.name, 0, path.stat().st_size)
            if content != path.read_bytes():
                self.complaints.append(f"the object of {path.name} is not the file")
            if path.name.encode() not in log:
                self.complaints.append(f"the log does not name {path.name}")

    def _running(self):
        lines = (self.folder / "runs").read_text().splitlines()
        return sum(1 if line.startswith("begin") else -1 for line in lines) > 0


if __name__ == "__main__":
    main()
