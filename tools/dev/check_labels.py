#!/usr/bin/env python3
"""Check that every constraint of the dialects carries a label, and that a test violates it.

Usage: check_labels.py REPOSITORY

A label is a comment `// linear_c1` in dialects/<Dialect>/*.{cpp,td} or dialects/Shapes.{h,td}, at the check it names. In
tests/dialects/<Dialect>/invalid.mlir the same comment stands at the head of a `// -----` section that expects an error.
Reported: labels without a test, tests that name no label, and errors that are emitted without a label.
"""
import pathlib
import re
import sys

DIALECTS = ("Transformer", "LowBit", "Kernel")
LABEL = re.compile(r"\b([a-z][a-z0-9_]*_c[0-9]+)\b")
COMMENT = re.compile(r"//(.*)$")
EMITTED = re.compile(r"\bemit(?:Op)?Error\(")
# How many lines a label may be away from the error it names, for conditions and messages of several lines.
REACH = 4


def labels_in(line):
    comment = COMMENT.search(line)
    return LABEL.findall(comment.group(1)) if comment else []


def labels_of_sources(files):
    """{label: "file:line"} and the list of places that emit an error without a label."""
    labels, unlabelled = {}, []
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            for label in labels_in(line):
                labels.setdefault(label, f"{file.name}:{number}")
            code = line.split("//", 1)[0]
            if EMITTED.search(code) and "[&]" not in code and "(the caller's label)" not in line:
                around = lines[max(0, number - 1 - REACH) : number + 2]
                if not any(labels_in(near) for near in around):
                    unlabelled.append(f"{file.name}:{number}: {line.strip()}")
    return labels, unlabelled


def labels_of_tests(file):
    """Labels of the sections of `file` that expect an error, and problems."""
    found, problems = set(), []
    for section in re.split(r"^// -----$", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
        # A label heads its section; further text in the same comment says what is special about the case.
        heads = re.findall(r"^// ([a-z][a-z0-9_]*_c[0-9]+)(?::.*)?$", section, flags=re.MULTILINE)
        if heads and "expected-error" not in section:
            problems.append(f"{heads[0]}: its section expects no error")
        found.update(heads)
    return found, problems


def main():
    root = pathlib.Path(sys.argv[1])
    shared, unlabelled = labels_of_sources([root / "dialects/Shapes.h", root / "dialects/Shapes.td"])
    problems, count, tested_anywhere = [f"no label at {place}" for place in unlabelled], 0, set()
    for dialect in DIALECTS:
        folder = root / "dialects" / dialect
        labels, unlabelled = labels_of_sources(sorted([*folder.glob("*.cpp"), *folder.glob("*.td")]))
        tested, test_problems = labels_of_tests(root / "tests/dialects" / dialect / "invalid.mlir")
        tested_anywhere |= tested
        count += len(labels)
        problems += [f"{dialect}: {label} ({labels[label]}) has no test" for label in sorted(labels.keys() - tested)]
        surplus = tested - labels.keys() - shared.keys()
        problems += [f"{dialect}: invalid.mlir names {label}, which no constraint carries" for label in sorted(surplus)]
        problems += [f"{dialect}: no label at {place}" for place in unlabelled]
        problems += [f"{dialect}: {problem}" for problem in test_problems]
    problems += [f"{label} ({shared[label]}) has no test" for label in sorted(shared.keys() - tested_anywhere)]
    for problem in problems:
        print(problem)
    print(f"{count + len(shared)} labelled constraints, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
