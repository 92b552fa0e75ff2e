"""Runs a command with the ids of a file as its --prompt-ids: with_ids.py FILE COMMAND…"""
import pathlib
import subprocess
import sys

path, *command = sys.argv[1:]
sys.exit(subprocess.run([*command, "--prompt-ids", pathlib.Path(path).read_text().strip()], check=False).returncode)
