"""docs/benchmarks.md, from the runs in a JSON file."""

import re

import scenarios
import tables
from places import GIBIBYTE

HEAD = """# Benchmarks

Written by `Benchmarks/run --markdown`; the words are in `Benchmarks/bench/paper.py`.

"""

METHOD = """## How it is measured

* **The other end.** `Benchmarks/sink` takes uploads as an S3 store does and forgets their bytes. In the clear the kernel
  throws them away without copying; over TLS they must be decrypted. It runs on the same machine and takes its share of the
  same cores; the last column says how much. It checks no signature. It can also be a slow or a bad line: a rate for each
  connection and for all together, a delay before each answer and each new connection (twice that with TLS), a share of PUTs
  that are answered 503 after the body has come (at once where the client asked first) or reset in the middle. Which PUTs
  these are depends on the round alone, not on the client. `real-*` runs against OpenStack Swift with s3api on one disk, as
  the tests use it.
* **Rounds.** Each round runs every client once, in another order each time. Before the first of several comes one that does not
  count; the files are in the page cache. Figures are the median with [least–most]. Compare figures of one table only.
* **What is counted.** CPU: user and system time of the client and all its children, by the kernel. Peak: the larger of the
  highest resident size that the kernel kept for any one process and the sum over the tree of processes every 10 ms.
  *connections*, *requests* and *at once* (requests with a body under way together) as the sink saw them. *received/size*:
  bytes of all bodies over bytes of the files; what is above 1 was sent again, or frames the bytes.
* **Time-out.** A client is stopped after 60 s (100,000 files: 30 s) and judged by what the sink had by then: bytes, or
  whole files.
* **Settings.** Each client runs with its defaults and, as *tuned*, with what its documentation offers for more speed:
  requests at once, part size, and switches that spare requests or digests. The command lines are below. A client's best row
  counts.
* **Ledger.** mule writes down every confirmed part and syncs it to the disk, in every run. No other client here does;
  *killed* shows what for.

"""

PEERS = """## The other clients

"""

AGAIN = """## Again, and elsewhere

    make peers                                   # installs them under .build/bench-peers; none is needed
    make bench                                   # a few minutes: the short list of scenarios, whatever clients are there
    make bench ARGS='--list'                     # scenarios, and the clients that are found
    make bench ARGS='--scenario far,faults --clients mule,s5cmd --rounds 5'
    make bench ARGS='--scenario all --json .build/bench.json --append --markdown'

`--peers FOLDER` or `MULE_BENCH_PEERS` names another folder to look in before the `PATH`. `--json FILE --append` goes on
where FILE ends, `--budget SECONDS` stops in between (status 75: there is more to do). `--markdown` writes this page from
FILE.
"""


def page(facts):
    return "".join([HEAD, _machine(facts), METHOD, *_tables(facts), _integrity(facts), _peers(facts), _commands(facts), AGAIN])


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
            yield f"Other work on the machine took {other:.0%} of it.\n\n"
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
    text = "## What each proves its bytes by\n\n"
    text += "Read by the sink from the requests that were sent; over TLS the line is protected as well. What comes with a request is\n"
    text += "what a store can hold its bytes against. A small file is one request.\n\n"
    return text + tables.markdown([["", "", "in"], *lines]).replace("--:", "---") + "\n\n"


def _peers(facts):
    return PEERS + NOTES


NOTES = """* **mule** takes each part's MD5 too in *real-big*, since this store shows no other checksum of what it has: 54 % of the CPU
  time of its workers there, SHA-256 another 23 % (`perf`).
* **aws-cli 2** is Debian's 2.9.19. With `preferred_transfer_client = crt` that version goes to port 80 or 443 whatever the
  endpoint says, so it cannot be measured here in that way; **aws-crt**, the same library under a few lines of ours, stands
  for it.
* **aws-crt** is told a speed, not a number of connections: *tuned* asks for as many times 0.4 Gbit/s as others get
  connections.
* **aws-crt** frames its bodies (aws-chunked) even with `request_checksum_calculation = when_required`; Debian's Swift does
  not take that, so its rows against the real server say *failed*.
* **obstore** and **aws-crt** are libraries: `Benchmarks/bench/upload_with_*.py` drive them.
* **s5cmd**, **aws-cli** and **s3cmd** sign the payload over plain HTTP whatever they are told, and so does **rclone** for
  the parts of a large file (`--s3-use-unsigned-payload` was tried): they are not in *big-unsigned*.
* **s3cmd** sends one request at a time. It is the only one besides mule that can go on with an upload, when it is told to:
  `--continue-put`.
* **rclone** over plain HTTP runs with the provider `Other`: for `AWS` it wants to send a trailing checksum, which needs
  TLS. *tuned* leaves out the MD5 of the whole file, the look at the finished object and that for the bucket.

"""


def _commands(facts):
    """Of each client and setting the command for a file and for a folder; a scenario over TLS adds the authority alone."""
    shown = {}
    for run in sorted(facts["runs"], key=lambda run: run["identity"][0].startswith("big-tls")):
        _, client, setting = run["identity"]
        kind = "FOLDER" in run.get("shown", "")
        shown.setdefault((client, setting, kind), run.get("shown", ""))
    text = "## The command lines\n\nOf each client and setting one for a file and one for a folder. " + _tunes()
    for client in facts["clients"]:
        lines = [(setting, command) for (name, setting, _), command in shown.items() if name == client and command]
        # Its settings by number are told apart by nothing else.
        lines = [f"    # {setting}\n    {command}\n" for setting, command in lines if not setting.startswith("-j ")]
        if lines:
            text += f"\n{client}\n\n{''.join(lines)}"
    return text + "\n"


def _tunes():
    said = {}
    for scenario in scenarios.ALL:
        for tune in scenario.tunes:
            words = f"{tune.concurrency} requests at once" + (f" and parts of {tune.part_mib} MiB" if scenario.large else "")
            said.setdefault(words, []).append(scenario.name)
    return "*tuned* is " + "; ".join(f"{words} in {', '.join(names)}" for words, names in said.items()) + ".\n"
