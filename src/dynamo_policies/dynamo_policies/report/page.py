"""A report is a title, a few big numbers and sections of text, tables, pictures and videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import jinja2


@dataclass(frozen=True)
class Tile:
    """One big number with what it means; `tone` colours it: good, poor or plain."""

    value: str
    label: str
    tone: str = "plain"


@dataclass(frozen=True)
class Table:
    """Rows under column heads; every cell is text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Media:
    """A picture or a video: its path relative to the page, its caption, and a tone as a tile has."""

    path: str
    caption: str
    tone: str = "plain"

    @property
    def is_video(self) -> bool:
        """Whether the browser plays it."""
        return self.path.endswith(".mp4")


@dataclass(frozen=True)
class Section:
    """One part of a page, shown in this order: text, commands, table, media."""

    title: str
    text: str = ""
    commands: tuple[str, ...] = ()
    table: Table | None = None
    wide: tuple[Media, ...] = ()
    gallery: tuple[Media, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...] = field(default=())


def write_page(page: Page, path: Path) -> None:
    """Write `page` as one HTML file; its media stay where they are."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader(__package__, "."), autoescape=True)
    path.write_text(environment.get_template("page.html.j2").render(page=page), encoding="utf-8")
