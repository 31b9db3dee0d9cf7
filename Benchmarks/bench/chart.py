"""The picture at the head of docs/benchmarks.md: an SVG drawn from the tables of that page, so it shows no other figure."""

import re
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Panel:
    """One table's column as bars."""

    scenario: str
    column: str
    title: str
    less_is_better: bool


@dataclass(frozen=True)
class Chart:
    """What the page's table says."""

    subject: str
    bars: list  # client, value, and the value as the table writes it; the best client first
    busy: bool


PANELS = [
    Panel("big-tls", "CPU s/GiB", "CPU seconds per GiB", True),
    Panel("big-http", "CPU s/GiB", "CPU seconds per GiB", True),
    Panel("many", "files/s", "Files per second", False),
    Panel("many-far", "files/s", "Files per second", False),
]
OURS = "mule"

# Percent of the machine that other processes took, from which on the picture says so.
BUSY = 20

WIDTH, MARGIN, GAP = 880, 24, 32
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) // 2
HEAD, ROW, BAR = 52, 22, 13  # heights: a panel's titles, a row, its bar
LABELS, VALUES = 112, 52  # widths: the clients' names, and the room for a figure after the longest bar
FOOT = 26
BETWEEN = 22  # between two rows of panels

# The picture has a background of its own: a page may be dark on a system that is light.
STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
    .title { font-size: 15px; font-weight: 600 }
    .muted { font-size: 12px; fill: #59636e }
    .ours { font-weight: 600 }
    .name { text-anchor: end }
    .ground { fill: #ffffff; stroke: #d1d9e0 }
    rect.peer { fill: #8c959f }
    rect.ours { fill: #0969da }
    rect.floor { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .muted { fill: #9198a1 }
      .ground { fill: #0d1117; stroke: #3d444d }
      rect.peer { fill: #7d8590 }
      rect.ours { fill: #4493f8 }
      rect.floor { stroke: #7d8590 }
    }
"""


def svg(page):
    """The picture for the text of that page; None if it has none of the tables."""
    floors = _floors(page)
    panels = [(panel, chart) for panel in PANELS if (chart := _chart(page, panel))]
    if not panels:
        return None
    drawn, said, top = [], [], MARGIN
    for start in range(0, len(panels), 2):
        pair = panels[start:start + 2]
        for place, (panel, chart) in enumerate(pair):
            left = MARGIN + place * (PANEL_WIDTH + GAP)
            drawn += _panel(panel, chart, floors, left, top)
            figures = ", ".join(f"{client} {text}" for client, _, text in chart.bars)
            said.append(f"{panel.title}, {chart.subject}{', on a busy machine' if chart.busy else ''}: {figures}.")
        top += HEAD + ROW * max(len(chart.bars) for _, chart in pair) + BETWEEN
    foot = "Each client with its best setting."
    foot += " Dashed: a floor to compare with, not a checked upload." if floors else ""
    foot += " * Measured on a busy machine." if any(chart.busy for _, chart in panels) else ""
    drawn.append(_text(MARGIN, top + 8, foot, "muted"))
    height = top + FOOT
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' role="img" aria-labelledby="title desc">',
        '  <title id="title">CPU time and files per second of mule and other uploaders</title>',
        f'  <desc id="desc">{escape(" ".join(said))}</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        *drawn,
        "</svg>",
        "",
    ])


def _panel(panel, chart, floors, left, top):
    better = "less is better" if panel.less_is_better else "more is better"
    yield _text(left, top + 12, f"{panel.title}, {better}" + (" *" if chart.busy else ""), "title")
    yield _text(left, top + 32, chart.subject, "muted")
    most = max(value for _, value, _ in chart.bars)
    for number, (client, value, text) in enumerate(chart.bars):
        middle = top + HEAD + ROW * number + ROW / 2
        kind = "ours" if client == OURS else "floor" if client in floors else "peer"
        width = max(1, (PANEL_WIDTH - LABELS - VALUES) * value / most)
        yield _text(left + LABELS - 8, middle + 4.5, client, f"name {kind}")
        yield f'  <rect class="{kind}" x="{left + LABELS}" y="{middle - BAR / 2:g}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        yield _text(round(left + LABELS + width + 6, 1), middle + 4.5, text, kind)


def _text(x, y, words, kind):
    return f'  <text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _chart(page, panel):
    """Each client's best figure in the panel's table; None without the table."""
    found = re.search(rf"^### {re.escape(panel.scenario)}: (.+)\n\n((?:\|.*\n)+)", page, re.M)
    if not found:
        return None
    head, _, *lines = [_cells(line) for line in found[2].splitlines()]
    if panel.column not in head:
        return None
    place = head.index(panel.column)
    # The page says after the table if other processes took much of the machine.
    others = re.match(r"\nOther processes took (\d+)%", page[found.end():])
    busy = others is not None and int(others[1]) >= BUSY
    choose = min if panel.less_is_better else max
    best = {}
    for line in lines:
        # A client that failed or was stopped has no rate of the whole.
        figure = re.match(r"\d+(?:\.\d+)?", line[place])
        if not figure or line[1].startswith("stopped"):
            continue
        client = line[0].partition(", ")[0]
        bar = (client, float(figure[0]), figure[0])
        best[client] = choose(best.get(client, bar), bar, key=lambda bar: bar[1])
    bars = sorted(best.values(), key=lambda bar: bar[1], reverse=not panel.less_is_better)
    return Chart(found[1], bars, busy) if bars else None


def _floors(page):
    """The clients whose note in the page's first table says that they are a floor."""
    lines = [_cells(line) for line in page.splitlines() if line.startswith("|")]
    return {line[0] for line in lines if len(line) == 3 and line[2].startswith("a floor")}


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
