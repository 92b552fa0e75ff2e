#!/usr/bin/env bash
# Builds the peer that our speed is compared with: llama.cpp, from the source package of llama-cpp-python on PyPI (one
# version, checked by its SHA-256), for this machine's processor, into a virtual environment outside of the tree.
# Then builds peers/LlamaDriver.cpp on the library that the package installed: the peer is timed through C as ours
# is, so that neither side pays for an interpreter.
#
# Seconds when it is built already; about ten minutes of one core when it is not. Needs python3 with venv, a C and a
# C++ compiler, and network access for pip.
set -euo pipefail

version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../build/peers
jobs=$(nproc)

usage() {
  cat <<END
usage: $0 [--cache DIR] [--jobs N]
  --cache DIR   where the peer is built and stays (default: build/peers)
  --jobs N      compilers at a time (default: all cores)
The compiler is cc and c++, as pip would take them; set CC and CXX for others.
END
}

while [ $# -gt 0 ]; do
  case $1 in
    --cache) cache=${2:?--cache needs a directory}; shift 2 ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown argument: $1" >&2; usage >&2; exit 1 ;;
  esac
done

for tool in python3 "${CC:-cc}" "${CXX:-c++}" sha256sum; do
  command -v "$tool" > /dev/null || { echo "missing: $tool (Debian: apt install python3-venv build-essential)" >&2; exit 3; }
done

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
venv=$cache/venv
stamp=$cache/installed

if [ "$(cat "$stamp" 2> /dev/null)" != "$version $sha256" ]; then
  rm -f "$stamp"
  echo "[1/3] downloading llama-cpp-python $version (77 MB)"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    --dest "$cache" "llama-cpp-python==$version"
  package=$cache/llama_cpp_python-$version.tar.gz
  echo "$sha256  $package" | sha256sum --check --quiet || { echo "the package is not the one that was pinned" >&2; exit 2; }
  echo "[2/3] building it for this processor, $jobs compilers at a time"
  # Without its Python dependencies, which only the Python side needs, and without the vision library.
  CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DCMAKE_BUILD_TYPE=Release" CMAKE_BUILD_PARALLEL_LEVEL=$jobs \
    "$venv/bin/pip" install --disable-pip-version-check --no-deps --verbose "$package" > "$cache/build.log" 2>&1 ||
    { echo "the build failed; its last lines, of $cache/build.log:" >&2; tail -n 20 "$cache/build.log" >&2; exit 3; }
  rm -f "$package"
  echo "$version $sha256" > "$stamp"
fi

echo "[3/3] building the driver"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
compiler=$("${CXX:-c++}" --version | head -n 1)
"${CXX:-c++}" -std=c++17 -O2 -Wall -Wextra -I "$site/include" -I "$here/.." \
  -DPEER_VERSION="\"llama-cpp-python $version\"" -DPEER_COMPILER="\"$compiler\"" \
  "$here/LlamaDriver.cpp" -o "$cache/llama-driver" \
  -L "$site/llama_cpp/lib" -Wl,-rpath,"$site/llama_cpp/lib" -lllama -lggml -lggml-base -lggml-cpu
"$cache/llama-driver" info
