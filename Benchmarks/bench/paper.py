"""docs/benchmarks.md, from the runs in a JSON file."""

import re

import scenarios
import tables
from places import GIBIBYTE

HEAD = """# Benchmarks

![CPU time and files per second of mule and other uploaders; the figures are in the tables below](benchmarks.svg)

Written by `Benchmarks/run --markdown`; the text is in `Benchmarks/bench/paper.py`. The picture shows figures of the tables
below (`Benchmarks/bench/chart.py`). `Benchmarks/README.md` says how to add a client or a scenario.

"""

METHOD = """## Method

* **The server.** `Benchmarks/sink` accepts uploads like an S3 store and discards their bytes: over plain HTTP in the kernel
  without copying; over TLS it must decrypt them. It runs on the same machine and uses a share of the
  same cores, shown in the last column. It checks no signature. It can also simulate a slow or faulty link: a rate for each
  connection and for all together, a delay before each answer and each new connection (twice that with TLS), a share of PUTs
  answered with 503 after the body has arrived (at once if the client asked first) or reset in the middle. The round alone
  determines which PUTs, not the client. `real-*` runs against OpenStack Swift with s3api on one disk, as in
  the tests.
* **Rounds.** Each round runs every client once, in a different order each time. If there are several, one extra round comes first and
  is not counted; the files are in the page cache. Figures are the median with [least–most]. Compare only figures of the same table.
* **Measured values.** CPU: user and system time of the client and all its children, from the kernel. Peak: the larger of the
  highest resident size of any one process, from the kernel, and the sum over the process tree, taken every 10 ms.
  *connections*, *requests* and *at once* (concurrent requests with a body) as seen by the sink. *received/size*:
  bytes of all bodies divided by bytes of the files; anything above 1 was sent again, or is framing.
* **Time-out.** A client is stopped after 60 s (100,000 files: 30 s) and judged by what the sink had by then: bytes, or
  complete files.
* **Settings.** Each client runs with its defaults and, as *tuned*, with what its documentation offers for more speed:
  concurrent requests, part size, and switches that save requests or digests. The command lines are below. A client's best row
  counts.
* **Ledger.** mule records every confirmed part and syncs it to disk, in every run. No other client here does;
  *killed* shows the benefit.

"""

STOPS = """* **Stops.** `interrupted-*` starts each client three times and stops it with SIGKILL at random moments, the same ones for
  all clients. Then the same command runs to its end, over a link without limit. *kept* is what this last run did not send:
  the size of the file minus the bytes of its bodies. The percentage compares that with all that had arrived before,
  including what the kernel delivered after the process was killed. A client that cannot resume keeps 0.

"""

PEERS = """## The other clients

"""

AGAIN = """## Running it yourself

    make peers                                   # installs other clients under .build/bench-peers; none is needed
    make bench                                   # a few minutes: the short list of scenarios, all installed clients
    make bench ARGS='--list'                     # scenarios, and the clients found
    make bench ARGS='--scenario far,faults --clients mule,s5cmd --rounds 5'
    make bench ARGS='--scenario all --json .build/bench.json --append --markdown'

`--peers FOLDER` or `MULE_BENCH_PEERS` names another folder to search before the `PATH`. `--json FILE --append` continues
FILE, `--budget SECONDS` stops before the end (status 75: there is more to do). `--markdown` writes this page and its
picture from FILE, `--picture` draws only the picture, from this page. `--tiny` shows that scenarios run, and measures nothing.
"""


def page(facts):
    return "".join([HEAD, _machine(facts), _method(facts), *_tables(facts), _integrity(facts), _peers(facts), _commands(facts), AGAIN])


def _method(facts):
    return METHOD.removesuffix("\n") + STOPS if any("stops" in run for run in facts["runs"]) else METHOD


def _machine(facts):
    about = facts["machine"]
    instructions = ", ".join(about["instructions"]) or "none of SHA-NI, VAES, AVX2"
    text = f"## The machine\n\n{about['cpu']} ({about['family']}; {instructions}), {about['cores']} cores, "
    text += f"{about['memory'] / GIBIBYTE:.0f} GiB of memory, Linux {about['kernel']}, {about['system']}. All on loopback.\n\n"
    used = {run["identity"][1] for run in facts["runs"]}
    lines = [[name, client["version"], client["note"]] for name, client in facts["clients"].items() if name in used]
    return text + tables.markdown([["", "version", ""], *lines]).replace("--:", "---") + "\n\n"


def _tables(facts):
    yield "## Results\n\n"
    for scenario in scenarios.ALL:
        some_rows = tables.rows(scenario, facts)
        if not some_rows:
            continue
        yield f"### {scenario.name}: {scenario.title}\n\n{tables.markdown(tables.cells(scenario, some_rows))}\n\n"
        other = tables.others(facts, scenario, facts["machine"]["cores"])
        if other is not None and other >= 0.03:
            yield f"Other processes took {other:.0%} of the machine.\n\n"
        for line in tables.failures(some_rows):
            yield f"* {_tidy(line)}\n"
        if tables.failures(some_rows):
            yield "\n"


def _tidy(text):
    text = re.sub(r"(/[\w.+-]+){3,}/", "…/", text)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")[:300]


def _integrity(facts):
    said = {}
    for scenario in scenarios.ALL:
        if scenario.kind in ("stream", "files") and not scenario.line:
            for name, words in tables.proofs(tables.rows(scenario, facts)):
                said.setdefault((name, words), []).append(scenario.name)
    lines = [[name, words, ", ".join(where)] for (name, words), where in said.items()]
    text = "## Integrity checks of each client\n\n"
    text += "From the requests that the sink received; TLS also protects the connection. A store can compare the bytes with the values\n"
    text += "in each request. A small file is one request.\n\n"
    return text + tables.markdown([["", "", "in"], *lines]).replace("--:", "---") + "\n\n"


def _peers(facts):
    return PEERS + NOTES


NOTES = """* **mule** asks the store in *real-big* whether it compares signed bodies, which Swift does; docs/decisions.md describes how.
  Before, it computed each part's MD5, which was 54 % of the CPU time of its workers (`perf`), and took 3.76 CPU s/GiB where
  obstore took 1.63. Each round is the first upload to a store of which the ledger knows nothing; the next one takes 0.03
  s/GiB less. In *real-many* the store is the limit: a later run of two rounds took 6.7 and 7.0 s, with 64 requests 6.3 and
  6.4, and s5cmd 6.3 and 6.8. `real-*` ran with a later build than the other scenarios. It also leaves HMAC to OpenSSL:
  in *many*, five interleaved rounds had 6,168 files/s with the later build and 6,352 with the earlier one.
* **aws-cli 2** is Debian's 2.9.19. With `preferred_transfer_client = crt` that version connects to port 80 or 443 regardless of
  the endpoint, so it cannot be measured here that way; **aws-crt**, the same library with a few lines of ours, replaces
  it.
* **aws-crt** takes a speed, not a number of connections: *tuned* sets 0.4 Gbit/s for each connection that others
  get.
* **aws-crt** frames its bodies (aws-chunked) even with `request_checksum_calculation = when_required`; Debian's Swift does
  not accept that, so its rows against the real server say *failed*.
* **obstore** and **aws-crt** are libraries: `Benchmarks/bench/upload_with_*.py` drive them.
* **s5cmd**, **aws-cli** and **s3cmd** always sign the payload over plain HTTP, and so does **rclone** for
  the parts of a large file (`--s3-use-unsigned-payload` was tried): they are not in *big-unsigned*.
* **s3cmd** sends one request at a time. It is the only one besides mule that can resume an upload, with
  `--continue-put`.
* **rclone** over plain HTTP runs with the provider `Other`: for `AWS` it sends a trailing checksum, which needs
  TLS. *tuned* leaves out the MD5 of the whole file, the check of the finished object and that of the bucket.

"""


def _commands(facts):
    """The command of each client and setting for a file and for a folder; scenarios over TLS only add the authority."""
    shown = {}
    for run in sorted(facts["runs"], key=lambda run: run["identity"][0].startswith("big-tls")):
        _, client, setting = run["identity"]
        kind = "FOLDER" in run.get("shown", "")
        shown.setdefault((client, setting, kind), run.get("shown", ""))
    text = "## The command lines\n\nFor each client and setting one for a file and one for a folder. " + _tunes()
    for client in facts["clients"]:
        lines = [(setting, command) for (name, setting, _), command in shown.items() if name == client and command]
        # Settings with a number of requests differ only in that number.
        lines = [f"    # {setting}\n    {command}\n" for setting, command in lines if not setting.startswith("-j ")]
        if lines:
            text += f"\n{client}\n\n{''.join(lines)}"
    return text + "\n"


def _tunes():
    said = {}
    for scenario in scenarios.ALL:
        for tune in scenario.tunes:
            words = f"{tune.concurrency} concurrent requests" + (f" and parts of {tune.part_mib} MiB" if scenario.large else "")
            said.setdefault(words, []).append(scenario.name)
    return "*tuned* is " + "; ".join(f"{words} in {', '.join(names)}" for words, names in said.items()) + ".\n"
