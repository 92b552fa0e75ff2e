#!/usr/bin/env python3
"""Fail where a pass's name is not the same in its four places.

Usage: check_stems.py REPOSITORY

Pass FuseProjections of phase Fuse is passes/Fuse/FuseProjections.cpp, the flag --fuse-projections, the test
tests/passes/Fuse/fuse-projections.mlir (and fuse-projections-invalid.mlir if it emits errors), and an anchor in
docs/Passes/Fuse.md. Its description says what it requires, guarantees and leaves alone. Tests of no pass, and sources that
define one that no Passes.td has, are errors too.
"""
import pathlib
import re
import sys

DEFINITION = re.compile(r'^def (\w+) : Pass<"([^"]+)"', re.MULTILINE)
CLAIMS = ("Requires", "Guarantees", "Leaves alone")
EMITS_ERRORS = re.compile(r"\bemit(Op|Parameter)?Error\(")


def flag_of(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def main():
    root = pathlib.Path(sys.argv[1])
    problems, count = [], 0
    for definitions in sorted((root / "passes").glob("*/Passes.td")):
        phase = definitions.parent.name
        declarations = definitions.read_text(encoding="utf-8")
        passes = DEFINITION.findall(declarations)
        page = root / "docs/Passes" / f"{phase}.md"
        anchors = page.read_text(encoding="utf-8") if page.is_file() else ""
        tests = root / "tests/passes" / phase
        for name, flag in passes:
            count += 1
            if flag != flag_of(name):
                problems.append(f"{definitions.relative_to(root)}: {name} has the flag --{flag}, not --{flag_of(name)}")
            declaration = declarations.split(f"def {name} :", 1)[1].split("\ndef ", 1)[0]
            for claim in CLAIMS:
                if f"*{claim}" not in declaration:
                    problems.append(f"{definitions.relative_to(root)}: {name} does not say what it {claim.lower()}")
            source = definitions.parent / f"{name}.cpp"
            if not source.is_file():
                problems.append(f"{source.relative_to(root)}: there is no such file for pass {name}")
                continue
            text = source.read_text(encoding="utf-8")
            if f"GEN_PASS_DEF_{name.upper()}" not in text:
                problems.append(f"{source.relative_to(root)}: it does not define {name}")
            wanted = [f"{flag}.mlir"] + ([f"{flag}-invalid.mlir"] if EMITS_ERRORS.search(text) else [])
            for test in wanted:
                if not (tests / test).is_file():
                    problems.append(f"{(tests / test).relative_to(root)}: there is no such test for pass {name}")
            if f"### `-{flag}`" not in anchors:
                problems.append(f"{page.relative_to(root)}: no section `-{flag}`")
        flags = [flag for _, flag in passes]
        for test in sorted(tests.glob("*.mlir")):
            if not any(test.stem == flag or test.stem.startswith(f"{flag}-") for flag in flags):
                problems.append(f"{test.relative_to(root)}: no pass has this name")
        for source in sorted(definitions.parent.glob("*.cpp")):
            defined = re.findall(r"GEN_PASS_DEF_(\w+)", source.read_text(encoding="utf-8"))
            for upper in defined:
                if upper not in [name.upper() for name, _ in passes]:
                    problems.append(f"{source.relative_to(root)}: {definitions.relative_to(root)} has no such pass")
    for problem in problems:
        print(problem)
    print(f"{count} passes, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
