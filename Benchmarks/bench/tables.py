"""Turns runs into rows: medians with minimum and maximum, for a terminal or for Markdown."""

import statistics

import integrity
from places import GIBIBYTE, MEBIBYTE


def spread(values, digits):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def middle(values, digits):
    return f"{statistics.median(values):.{digits}f}"


class Row:
    """All counted runs of one client with one setting in one scenario."""

    def __init__(self, scenario, client, setting, runs):
        self.scenario, self.client, self.setting = scenario, client, setting
        self.all = runs
        good = [run for run in runs if run["ok"]]
        # What the last of several runs did not send is not known before its end.
        stopped = [run for run in runs if run["killed"] and run.get("sink") and "stops" not in run]
        self.stopped = not good and bool(stopped)
        self.runs = good or stopped
        self.why = "" if self.runs else next((run.get("why", "") for run in runs if run.get("why")), "it did not finish")

    @property
    def name(self):
        return self.client if self.setting == "defaults" else f"{self.client}, {self.setting}"

    def values(self, name):
        return [run[name] for run in self.runs]

    def seen(self, name):
        return [run["sink"][name] for run in self.runs if run.get("sink")]

    def per_second(self):
        """The rate: of the whole source, or of what a stopped client has delivered."""
        total = self.scenario.source.objects if not self.scenario.large else self.scenario.source.total / GIBIBYTE
        if not self.stopped:
            return [total / run["wall"] for run in self.runs]
        if self.scenario.large:
            return [run["sink"]["bytes"] / GIBIBYTE / run["wall"] for run in self.runs]
        return [run["sink"]["objects"] / run["wall"] for run in self.runs]

    def done(self):
        """How much each run delivered, in GiB or files."""
        return [rate * run["wall"] for rate, run in zip(self.per_second(), self.runs)]

    def wall(self):
        return f"stopped at {self.scenario.limit:.0f}" if self.stopped else spread(self.values("wall"), 2)

    def cpu_for_each(self, digits, scale=1.0):
        shares = [scale * run["cpu"] / done for run, done in zip(self.runs, self.done()) if done]
        return spread(shares, digits) if shares else "–"

    def peak(self):
        return spread([value / MEBIBYTE for value in self.values("memory")], 0)

    def count(self, name):
        values = self.seen(name)
        return middle(values, 0) if values and any(values) else "–"

    def received(self):
        """Bytes received, divided by the size of the source."""
        total = self.scenario.source.total
        values = [run["sink"]["bytes"] / total for run in self.runs if run.get("sink")]
        return "–" if self.stopped or not values or not any(values) else middle(values, 3)

    def last_run(self):
        """Bytes that the run after the last stop sent."""
        return [run["sink"]["bytes"] - run["beforeLast"]["bytes"] for run in self.runs]

    def kept(self):
        """Bytes that this run did not need to send; framing makes more than the file of some clients."""
        return [max(0, self.scenario.source.total - sent) for sent in self.last_run()]

    def kept_share(self):
        arrived = [run["beforeLast"]["bytes"] for run in self.runs]
        shares = [100 * kept / bytes for kept, bytes in zip(self.kept(), arrived) if bytes]
        return spread(shares, 0) if shares else "–"

    def sink_cpu(self, digits, scale=1.0):
        shares = [scale * run["sink"]["cpu"] / done for run, done in zip(self.runs, self.done()) if run.get("sink") and done]
        return middle(shares, digits) if shares and any(self.seen("requests")) else "–"


# The heading and the value of each column.
STREAM = [
    ("wall s", lambda row: row.wall()),
    ("GiB/s", lambda row: f"{statistics.median(row.per_second()):.3g}"),
    ("CPU s/GiB", lambda row: row.cpu_for_each(2)),
    ("peak MiB", lambda row: row.peak()),
    ("connections", lambda row: row.count("connections")),
    ("at once", lambda row: row.count("mostInFlight")),
    ("requests", lambda row: row.count("requests")),
    ("received/size", lambda row: row.received()),
    ("sink CPU s/GiB", lambda row: row.sink_cpu(2)),
]
FILES = [
    ("wall s", lambda row: row.wall()),
    ("files/s", lambda row: middle(row.per_second(), 0)),
    ("CPU ms/file", lambda row: row.cpu_for_each(3, 1000)),
    ("peak MiB", lambda row: row.peak()),
    ("connections", lambda row: row.count("connections")),
    ("at once", lambda row: row.count("mostInFlight")),
    ("requests", lambda row: row.count("requests")),
    ("received/size", lambda row: row.received()),
    ("sink CPU ms/file", lambda row: row.sink_cpu(3, 1000)),
]
START = [
    ("wall ms", lambda row: spread([1000 * value for value in row.values("wall")], 1)),
    ("CPU ms", lambda row: spread([1000 * value for value in row.values("cpu")], 1)),
    ("peak MiB", lambda row: row.peak()),
    ("connections", lambda row: row.count("connections")),
    ("requests", lambda row: row.count("requests")),
]
FAULTS = [
    ("wall s", lambda row: row.wall()),
    ("503 / cut off", lambda row: f"{row.count('failures')} / {row.count('resets')}"),
    ("received/size", lambda row: row.received()),
    ("sent again MiB", lambda row: spread([(value - row.scenario.source.total) / MEBIBYTE for value in row.seen("bytes")], 0)),
    ("CPU s/GiB", lambda row: row.cpu_for_each(2)),
    ("requests", lambda row: row.count("requests")),
    ("connections", lambda row: row.count("connections")),
]
KILLED = [
    ("arrived at the kill MiB", lambda row: spread([run["afterKill"]["bytes"] / MEBIBYTE for run in row.runs], 0)),
    ("sent by the second run MiB", lambda row: spread(
        [(run["sink"]["bytes"] - run["afterKill"]["bytes"]) / MEBIBYTE for run in row.runs], 0)),
    ("received/size", lambda row: row.received()),
    ("second run s", lambda row: spread(row.values("wall"), 2)),
    ("uploads left open", lambda row: middle(row.seen("openUploads"), 0)),
    ("MiB left in them", lambda row: middle([value / MEBIBYTE for value in row.seen("openBytes")], 0)),
]
INTERRUPTED = [
    ("arrived before the last run MiB", lambda row: spread([run["beforeLast"]["bytes"] / MEBIBYTE for run in row.runs], 1)),
    ("sent by the last run MiB", lambda row: spread([value / MEBIBYTE for value in row.last_run()], 1)),
    ("kept MiB", lambda row: spread([value / MEBIBYTE for value in row.kept()], 1)),
    ("kept %", lambda row: row.kept_share()),
    ("received/size", lambda row: row.received()),
    ("uploads left open", lambda row: middle(row.seen("openUploads"), 0)),
    ("MiB left in them", lambda row: middle([value / MEBIBYTE for value in row.seen("openBytes")], 0)),
]
REAL_STREAM = STREAM[:4]
REAL_FILES = FILES[:4]


def columns(scenario):
    by_kind = {"stream": STREAM, "files": FILES, "start": START, "faults": FAULTS, "killed": KILLED,
               "interrupted": INTERRUPTED}
    if scenario.kind == "real":
        return REAL_STREAM if scenario.large else REAL_FILES
    return by_kind[scenario.kind]


def rows(scenario, facts):
    groups = {}
    for run in facts["runs"]:
        if run["identity"][0] == scenario.name and run["counts"]:
            groups.setdefault(tuple(run["identity"][1:]), []).append(run)
    order = {name: place for place, name in enumerate(facts["clients"])}

    def place(group):
        client, setting = group
        return order[client], setting != "defaults", len(setting), setting

    return [Row(scenario, *group, groups[group]) for group in sorted(groups, key=place)]


def cells(scenario, some_rows):
    """The table as lists of text, headings first."""
    table = [["", *(head for head, _ in columns(scenario)), "rounds"]]
    for row in some_rows:
        good = sum(run["ok"] for run in row.all)
        rounds = str(len(row.all)) if good in (0, len(row.all)) else f"{good} of {len(row.all)}"
        if row.runs:
            table.append([row.name, *(show(row) for _, show in columns(scenario)), rounds])
        else:
            table.append([row.name, "failed", *[""] * (len(columns(scenario)) - 1), rounds])
    return table


def plain(table):
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = []
    for line in table:
        first, *rest = (text.rjust(width) for text, width in zip(line, widths))
        lines.append("  ".join([line[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(lines)


def markdown(table):
    head, *body = table
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(line) + " |" for line in body])


def failures(some_rows):
    lines = []
    for row in some_rows:
        bad = [run for run in row.all if not run["ok"] and not run["killed"]]
        if bad:
            lines.append(f"{row.name}: {len(bad)} of {len(row.all)} runs failed: {bad[0].get('why', '')}")
    return lines


def proofs(some_rows):
    """Names and checksums of the rows whose requests the sink parsed; a client without differences between settings once."""
    settings = {}
    for row in some_rows:
        if any(row.seen("bodies")) and not row.stopped:
            settings.setdefault((row.client, integrity.words(row.runs[-1]["sink"])), []).append(row)
    counts = [client for client, _ in settings]
    return [
        (client if counts.count(client) == 1 else " and ".join(row.name for row in some), words)
        for (client, words), some in settings.items()
    ]


def others(facts, scenario, cores):
    """The share of CPU time used by neither the client nor the sink, over all counted runs; None with a real server."""
    runs = [run for run in facts["runs"] if run["identity"][0] == scenario.name and run["counts"] and run.get("sink")]
    runs = [run for run in runs if "first" not in run and "stops" not in run]
    wall = sum(run["wall"] for run in runs)
    if not wall:
        return None
    return max(0.0, sum(run["busy"] - run["cpu"] - run["sink"]["cpu"] for run in runs)) / (wall * cores)
