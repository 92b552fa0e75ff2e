#!/usr/bin/env python3
"""Checks that a program needs no shared libraries but those of the C and C++ runtimes.

    check_needed.py readelf PROGRAM
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r"^(libc|libm|libpthread|libdl|librt|libstdc\+\+|libgcc_s|ld-linux[-\w]*)\.so\.\d+$")
# The sanitizers' own library may come with a build for them.
SANITIZERS = re.compile(r"^libclang_rt\..*\.so$|^lib(asan|ubsan)\.so\.\d+$|^libresolv\.so\.\d+$")


def main():
    readelf, program = sys.argv[1:]
    text = subprocess.run([readelf, "-d", program], check=True, capture_output=True, text=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", text) or re.findall(r"NEEDED\s+Shared library: \[(.+)\]", text)
    if not needed:
        sys.exit(f"{program}: no shared library is named: is this the output of readelf?\n{text}")
    surplus = [name for name in needed if not ALLOWED.match(name) and not SANITIZERS.match(name)]
    if surplus:
        sys.exit(f"{program} needs {', '.join(surplus)}; allowed are libc, libm, libstdc++, libgcc_s and pthreads")
    print(f"{program} needs {', '.join(needed)}")


if __name__ == "__main__":
    main()
