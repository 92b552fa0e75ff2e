#!/usr/bin/env python3
"""Writes the texts of the accuracy tables from Debian packages, each as one UTF-8 file.

    texts.py OUT [--root DIR] [--other-versions]

A package that is not installed is fetched with `apt-get download` and unpacked beside the texts, not installed; --root
names another file system to look into instead. The SHA-256 of each text is known: a text that differs, as another version
of its package makes it, is refused, because figures on it compare with no others. --other-versions takes it all the same.
"""

import argparse
import gzip
import hashlib
import html.parser
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence


class Paragraphs(html.parser.HTMLParser):
    """The text inside of `p` and `li`, each outermost one a paragraph of one line; of scripts and headings nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self.parts: list[str] = []
        self.inside = False  # pages leave </p> and </li> out, so that a depth cannot be kept

    def flush(self) -> None:
        text = " ".join("".join(self.parts).split())
        if text:
            self.paragraphs.append(text)
        self.parts = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("p", "li"):
            self.flush()
            self.inside = True
        elif tag in BLOCKS:
            self.flush()
            self.inside = False
        elif tag == "br":
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "li") or tag in BLOCKS:
            self.flush()
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.parts.append(data)


# Elements that end a paragraph that is still open.
BLOCKS = frozenset("body head title h1 h2 h3 h4 h5 h6 ul ol dl dt dd table tr td th pre div blockquote script style hr".split())


def of_pages(pages: Sequence[bytes]) -> bytes:
    """Paragraphs of HTML pages, a blank line between them. Pages that are not UTF-8 are taken as Latin-1."""
    paragraphs: list[str] = []
    for page in pages:
        try:
            text = page.decode("utf-8")
        except UnicodeDecodeError:
            text = page.decode("latin-1")
        parser = Paragraphs()
        parser.feed(text)
        parser.close()
        parser.flush()
        paragraphs += parser.paragraphs
    return ("\n\n".join(paragraphs) + "\n").encode()


def joined(files: Sequence[bytes]) -> bytes:
    return b"".join(files)


def unzipped(files: Sequence[bytes]) -> bytes:
    return b"".join(gzip.decompress(file) for file in files)


@dataclass(frozen=True)
class Text:
    name: str
    package: str  # or several, with spaces, of one source and version
    version: str  # that the digest belongs to
    patterns: tuple[str, ...]  # globs below the file system's root; files of one glob are taken in name order
    read: Callable[[Sequence[bytes]], bytes]
    sha256: str


FORTUNES = "art computers education food law literature love men-women people politics science wisdom work".split()
TEXTS = (
    Text("calibration-technical", "debian-reference-en", "2.100", ("usr/share/debian-reference/debian-reference.en.txt.gz",),
         unzipped, "fc8dce7f9d076f78432b74cc91555017c855d19d5bbc5b8e7e3ad472f00ec6cf"),
    Text("calibration-essays", "anarchism", "15.3-3", ("usr/share/doc/anarchism/html/*.html",), of_pages,
         "58ec51a6d40fa590f68fdf8c5d1f3e079de2dd92afc5632bab3689ad884f1017"),
    Text("development-near", "debian-faq", "11.1", ("usr/share/doc/debian/FAQ/*.en.html",), of_pages,
         "9d596c63a6ba4668f05b78266c000d46a3e703db346442e4b7091f260525b2f0"),
    Text("development-far", "dict-jargon", "4.4.7-3.1", ("usr/share/dictd/jargon.dict.dz",), unzipped,
         "6c8118c277d0b00736d406d4941b77b69932d6ab125f7179ff88fe12939cc19e"),
    Text("evaluation-near", "developers-reference", "12.18", ("usr/share/developers-reference/_sources/*.rst.txt",), joined,
         "d72b7bc8957dc22a8e42bb84fae328a7fed0a5dcf75db15ed096b6f9efec67c9"),
    Text("evaluation-far", "fortunes fortunes-min", "1:1.99.1-7.3", tuple(f"usr/share/games/fortunes/{name}" for name in FORTUNES), joined,
         "68209d3574a71037afcd6fffef2e095ff72f05787ddedb62c18ceae5b0bea5f4"),
)


class Refused(Exception):
    """A text that cannot be made, with what to do about it."""


def found(text: Text, root: Path) -> list[Path]:
    """All files; none where a pattern matches nothing."""
    each = [sorted(file for file in root.glob(pattern) if file.is_file()) for pattern in text.patterns]
    return [file for files in each for file in files] if all(each) else []


def unpack(package: str, folder: Path, into: Path) -> None:
    """The files of a Debian package, below `folder`."""
    with tempfile.TemporaryDirectory(dir=into) as download:
        done = subprocess.run(["apt-get", "download", "-q", package], cwd=download, capture_output=True, text=True)
        archives = list(Path(download).glob("*.deb"))
        if done.returncode != 0 or len(archives) != 1:
            raise Refused(f"expected 'apt-get download {package}' to leave one .deb, but got {len(archives)}, exit code "
                          f"{done.returncode}\n{done.stderr.strip()}\nnext: apt-get update, or install {package}")
        subprocess.run(["dpkg-deb", "-x", archives[0], folder], check=True)


def make(text: Text, root: Path, packages: Path, other_versions: bool) -> bytes:
    files = found(text, root)
    if not files and root == Path("/"):
        folder = packages / text.name
        packages.mkdir(parents=True, exist_ok=True)
        for package in text.package.split():
            unpack(package, folder, packages)
        files = found(text, folder)
    if not files:
        raise Refused(f"expected files {', '.join(text.patterns)} of the package {text.package}, but got none\n"
                      f"in: {root}\nnext: install {text.package}")
    content = text.read([file.read_bytes() for file in files])
    digest = hashlib.sha256(content).hexdigest()
    if digest != text.sha256 and not other_versions:
        raise Refused(f"expected {text.name} with SHA-256 {text.sha256}, as {text.package} {text.version} makes it, but got "
                      f"{digest}\nin: {files[0]} and {len(files) - 1} more\n"
                      "next: install that version, or say --other-versions: figures then compare with no others")
    return content


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--other-versions", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for text in TEXTS:
        content = make(text, options.root, options.out / "packages", options.other_versions)
        (options.out / f"{text.name}.txt").write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {text.name}.txt, {len(content)} bytes, {text.package}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        raise SystemExit(f"texts.py: {refused}")
