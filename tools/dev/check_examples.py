#!/usr/bin/env python3
"""Parse and verify every example of the dialects' pages with qopt.

Usage: check_examples.py --qopt QOPT PAGE.md...

Every op, attribute and type of a page must have a ```mlir block. A block of bare attributes (#lowbit.…) or
types (!transformer.…) is wrapped in a module that holds them. Each block is also printed and parsed again.
"""
import argparse
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"^```mlir\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^### (.+)$", re.MULTILINE)


def wrapped(example):
    """A file that holds the example: attributes and types are given an owner."""
    if not example.lstrip().startswith(("#", "!")):
        return example
    values = [value.strip() for value in re.split(r"^(?=[#!])", example, flags=re.MULTILINE) if value.strip()]
    # The attribute's name needs the prefix of some loaded dialect.
    return "module attributes {" + ", ".join(f"transformer.a{i} = {v}" for i, v in enumerate(values)) + "} {}\n"


def run(qopt, text):
    """Diagnostics of parsing, printing and parsing again; empty when all is well."""
    first = subprocess.run([qopt], input=text, capture_output=True, text=True, check=False)
    if first.returncode:
        return first.stderr
    second = subprocess.run([qopt], input=first.stdout, capture_output=True, text=True, check=False)
    if second.returncode:
        return "what qopt printed does not parse:\n" + second.stderr
    return "" if second.stdout == first.stdout else "what qopt printed is printed differently the second time\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qopt", required=True)
    parser.add_argument("pages", nargs="+")
    arguments = parser.parse_args()

    problems, count = 0, 0
    for page in map(pathlib.Path, arguments.pages):
        text = page.read_text(encoding="utf-8")
        # Sections of ops, attributes and types; enums, which come last, are shown by the ops that use them.
        documented = text.split("\n## Enums", 1)[0]
        titles = list(SECTION.finditer(documented))
        for title, following in zip(titles, [*titles[1:], None]):
            section = documented[title.end() : following.start() if following else len(documented)]
            examples = BLOCK.findall(section)
            enumeration = "Enum cases:" in section
            if not examples and not enumeration:
                problems += 1
                print(f"{page.name}: {title.group(1)}: no example")
        for match in BLOCK.finditer(text):
            count += 1
            diagnostics = run(arguments.qopt, wrapped(match.group(1)))
            if diagnostics:
                problems += 1
                line = text[: match.start()].count("\n") + 1
                print(f"{page.name}:{line}: the example does not hold\n{match.group(1)}{diagnostics}")
    print(f"{count} examples, {problems} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
