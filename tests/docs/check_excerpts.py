#!/usr/bin/env python3
"""Fail where an excerpt in a page is not in the files that it is from.

Usage: check_excerpts.py PAGE.md FOLDER

Each ```cpp, ```cmake and ```yaml block has to occur, as it stands, in a file below FOLDER.
"""
import pathlib
import re
import sys

BLOCK = re.compile(r"^```(cpp|cmake|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main():
    page, folder = map(pathlib.Path, sys.argv[1:])
    files = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file()]
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    missing = [text for _, text in blocks if not any(text in file for file in files)]
    for text in missing:
        print(f"{page}: expected an excerpt of a file below {folder}, but got:\n{text}")
    print(f"{len(blocks)} excerpts, {len(missing)} problems")
    return 1 if missing or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
