#!/usr/bin/env python3
"""Runs commands and draws a terminal that shows them: an SVG that plays once, in any browser and without scripts.

    record.py OUT.svg COMMAND...     each is run by bash in the current folder; what it prints is shown as it is

Lines appear in the order in which they were printed; how long a command took is not shown, for it depends on the machine.
Exits as the first command that fails.
"""

import html
import subprocess
import sys

COLUMNS, LINE, CHARACTER, MARGIN = 100, 19, 8.42, 16
TYPING, PRINTING, PAUSE = 0.035, 0.09, 0.7  # seconds


def clipped(line):
    return line if len(line) <= COLUMNS else line[:COLUMNS - 1] + "…"


def main():
    output, commands = sys.argv[1], sys.argv[2:]
    lines, clock = [], 0.4  # (class, text, when it appears)
    for command in commands:
        lines.append(("prompt", clipped("$ " + command), clock))
        clock += TYPING * len(command) + PAUSE
        ended = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
        for line in ended.stdout.rstrip("\n").split("\n"):
            # Bars overwrite themselves: the last state is what stays.
            lines.append(("said", clipped(line.rsplit("\r", 1)[-1]), clock))
            clock += PRINTING
        if ended.returncode != 0:
            sys.exit(ended.returncode)
        clock += PAUSE
    width = round(COLUMNS * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
           f'aria-label="A terminal: {html.escape("; ".join(commands))}">',
           "<style>text{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,monospace;white-space:pre;fill:#d8dee9}"
           ".prompt{fill:#a3d977;font-weight:bold}.line{opacity:0;animation:show .01s forwards}"
           "@keyframes show{to{opacity:1}}@media (prefers-reduced-motion:reduce){.line{animation:none;opacity:1}}</style>",
           f'<rect width="{width}" height="{height}" rx="8" fill="#1e2430"/>']
    out += [f'<circle cx="{20 + 18 * n}" cy="18" r="5.5" fill="{colour}"/>' for n, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))]
    for number, (kind, text, when) in enumerate(lines):
        y = MARGIN + 24 + number * LINE + 10
        out.append(f'<text class="line {kind}" x="{MARGIN}" y="{y}" style="animation-delay:{when:.2f}s" xml:space="preserve">{html.escape(text)}</text>')
    out.append("</svg>")
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


main()
