"""Prints what a command says on its standard error while it quantizes: progress.py terminal|pipe FOLDER COMMAND…

Progress is for what takes longer than two seconds, and no test should: so the command, whose --resume is FOLDER, is stopped
for as long when two weights are finished, by the files that are there, and on a terminal shortly at each of the next ones.
A line that is written over another is a line here, after "over: ". The last line judges how often there was one.
"""
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import time

LONG, SHORT = 2.1, 0.12  # seconds: progress begins 2 after what was said of the first weight, and comes at most every 0.1

where, folder, *command = sys.argv[1:]
read, write = pty.openpty() if where == "terminal" else os.pipe()
child = subprocess.Popen(command, stderr=write, stdout=subprocess.DEVNULL)
os.close(write)
seen, stops, text, start = 0, 0, b"", time.monotonic()
while True:
    if select.select([read], [], [], 0.001)[0]:
        try:
            more = os.read(read, 1 << 16)
        except OSError:  # how Linux says that a terminal has no writer any more
            more = b""
        if not more:
            break
        text += more
    finished = len(list(pathlib.Path(folder).glob("weight-*.safetensors")))
    if finished > max(seen, 1) and (stops == 0 or where == "terminal"):
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(SHORT if stops else LONG)
        os.kill(child.pid, signal.SIGCONT)
        stops += 1
    seen = finished
code, seconds = child.wait(), time.monotonic() - start
if not stops:
    sys.exit(f"expected to stop the command when two weights are finished, but did not see them: {text.decode()}")
print(text.decode().replace("\r\033[K", "\nover: ").replace("\r\n", "\n"))
print("a line in ten seconds, or fewer" if text.count(b"\n") <= seconds / 10 and b"\033" not in text else "more lines")
sys.exit(code)
