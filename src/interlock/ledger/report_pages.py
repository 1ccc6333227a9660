"""What a report is, and how it is written down: a page to print, a sheet, rows for programs."""

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.codec import to_plain


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title. Every row has a cell for each column; ``nothing`` is what an empty one says."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    nothing: str


@dataclass(frozen=True, slots=True)
class Report:
    """``facts`` are names with values, said before the tables."""

    title: str
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...] = ()


def as_csv(report: Report) -> str:
    """RFC 4180; with several tables, each after a line with its title. A cell that a spreadsheet would take for a
    formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    several = len(report.sections) > 1
    for number, section in enumerate(report.sections):
        if several:
            writer.writerows([[]] if number else [])
            writer.writerow([_harmless(section.title)])
        writer.writerow(section.columns)
        writer.writerows([[_harmless(cell) for cell in row] for row in section.rows])
    return text.getvalue()


def as_html(report: Report, source: str, made_at: datetime) -> str:
    """A page to print, which runs and loads nothing. ``source`` says what the report rests on. On paper each sheet says
    of which report it is, when that was made, and which of how many it is."""
    made = f"Made {shown_moment(made_at)}."
    foot = _FOOT % (_css_text(f"{report.title} · {made}"),)
    title = html.escape(report.title)
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in report.facts)
    sections = "\n".join(_section(section, alone=len(report.sections) == 1) for section in report.sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}{foot}</style></head><body>\n"
        f'<h1>{title}</h1>\n<p class="source">{html.escape(f"{source} {made}".strip())}</p>\n'
        f"{f'<dl>{facts}</dl>' if facts else ''}\n{sections}\n</body></html>\n"
    )


def shown_moment(at: datetime) -> str:
    return str(to_plain(at))[:19].replace("T", " ") + " UTC"


def references(positions: Sequence[int]) -> str:
    return " ".join(str(position) for position in sorted(set(positions)))


def _section(section: Section, *, alone: bool) -> str:
    heading = "" if alone else f"<h2>{html.escape(section.title)}</h2>\n"
    if not section.rows:
        return f'{heading}<p class="nothing">{html.escape(section.nothing)}</p>'
    head = "".join(f"<th>{html.escape(column)}</th>" for column in section.columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>\n" for row in section.rows)
    return f"{heading}<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"


def _cell(text: str) -> str:
    """A time stands on one line, for columns of them are read downwards; a hash, or what else is too long for a column,
    may break anywhere: the paper's edge cuts off nothing."""
    return _LONG.sub(r"<code>\g<0></code>", _MOMENT.sub(r"<time>\g<0></time>", html.escape(text)))


def _css_text(text: str) -> str:
    """As a string of CSS (CSS Syntax 3, section 4.3.7): all but letters, digits and spaces by number, so that it ends
    neither the string nor the sheet."""
    return '"' + "".join(one if one.isalnum() or one == " " else f"\\{ord(one):x} " for one in text) + '"'


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", re.ASCII)
_LONG = re.compile(r"\S{32,}")
_STYLE = (
    "@page{size:A4 landscape;margin:14mm 14mm 17mm}"
    "body{font:9.5pt/1.4 system-ui,sans-serif;color:#1a1a1a;margin:2em auto;max-width:78em;padding:0 1.5em}"
    "@media print{body{margin:0;padding:0;max-width:none}}"
    "h1{font-size:17pt;margin:0 0 .2em}h2{font-size:12pt;margin:1.8em 0 .5em;break-after:avoid}"
    ".source{color:#555;margin:0 0 1.2em;overflow-wrap:anywhere}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:.15em 1.2em;margin:0 0 1em}"
    "dt{color:#555}dd{margin:0}.nothing{color:#555;font-style:italic}"
    "table{border-collapse:collapse;width:100%}"
    "th{font-weight:600;border-bottom:1.5px solid #333;white-space:nowrap}"
    "td{border-bottom:1px solid #ddd}"
    "th,td{padding:.32em .7em .32em 0;text-align:left;vertical-align:top;overflow-wrap:break-word}"
    "time{white-space:nowrap}code{font:inherit;overflow-wrap:anywhere}"
    "thead{display:table-header-group}tr{break-inside:avoid}"
)
_FOOT = (
    "@page{@bottom-left{content:%s;font:8pt system-ui,sans-serif;color:#555}"
    '@bottom-right{content:"page " counter(page) " of " counter(pages);font:8pt system-ui,sans-serif;color:#555}}'
)
