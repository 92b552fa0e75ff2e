#!/usr/bin/env python3
"""Run the ```sh blocks of a page, in order, in one shell that stops at the first failure.

Usage: run_commands.py PAGE.md --source REPOSITORY --build BUILD --work DIR --model GGUF

The shell starts in DIR, which has setup.sh, docs and build/release where the repository's root has them. Exit code 77: there is
no model.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    for option in ("--source", "--build", "--work", "--model"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    if not arguments.model or not pathlib.Path(arguments.model).is_file():
        print("SKIP: no model; ./setup.sh model fetches it, and -DQOPT_TEST_GGUF=PATH names it")
        return 77

    work = pathlib.Path(arguments.work)
    shutil.rmtree(work, ignore_errors=True)
    (work / "build").mkdir(parents=True)
    (work / "build/release").symlink_to(arguments.build)
    (work / "docs").symlink_to(pathlib.Path(arguments.source) / "docs")
    # The model that the build knows stands for the one that would be fetched.
    (work / "setup.sh").write_text(f'#!/bin/sh\n[ "$1" = model ] && echo "{arguments.model}"\n', encoding="utf-8")
    (work / "setup.sh").chmod(0o755)
    blocks = BLOCK.findall(pathlib.Path(arguments.page).read_text(encoding="utf-8"))
    script = "set -euxo pipefail\n" + "\n".join(blocks)
    done = subprocess.run(["bash", "-c", script], cwd=work, check=False)
    print(f"{len(blocks)} blocks, exit code {done.returncode}")
    return 0 if done.returncode == 0 and blocks else 1


if __name__ == "__main__":
    sys.exit(main())
