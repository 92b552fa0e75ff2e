# How lit runs the files under tests/: which tools they may call, and which features of the machine they may require.
#
# A test states what it needs (`// REQUIRES: x86-avx512vnni`); where that is missing, lit counts it as unsupported and
# the ctest entry `lit.unsupported` lists it.
import os
import platform
import shutil
import subprocess

import lit.formats
import lit.llvm
import lit.llvm.subst

lit.llvm.initialize(lit_config, config)
llvm_config = lit.llvm.llvm_config

config.name = "qopt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "fixtures", "unit", "fuzz", "lit.cfg.py"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.qopt_binary_dir, "tests", "lit")

# A test sees nothing of the caller's environment but what finding programs, temporary files and sanitizers needs.
kept = {
    name: os.environ[name]
    for name in ("PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "ASAN_SYMBOLIZER_PATH")
    if name in os.environ
}
config.environment = {**kept, "HOME": config.test_exec_root, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
llvm_config.with_environment("PATH", [config.qopt_tools_dir, config.llvm_tools_dir], append_path=True)

substitution = lit.llvm.subst.ToolSubst
llvm_config.add_tool_substitutions(
    [substitution(name, unresolved="fatal") for name in ("FileCheck", "not", "split-file", "count")],
    [config.llvm_tools_dir],
)
llvm_config.add_tool_substitutions(
    # Tools of which a build may lack some: a test that calls a missing one fails with its name.
    [substitution(name, unresolved="ignore") for name in ("qopt", "qopt-run", "qopt-reference", "qopt-lsp-server")],
    [config.qopt_tools_dir],
)
llvm_config.add_tool_substitutions(
    [substitution(name, unresolved="ignore") for name in ("llvm-objdump", "llvm-readelf", "mlir-opt")],
    [config.llvm_tools_dir],
)
config.substitutions += [
    ("%python", config.python),
    ("%dev", os.path.join(config.qopt_source_dir, "tools", "dev")),
    ("%qopt_src", config.qopt_source_dir),
    ("%qopt_lib", config.qopt_lib_dir),
]


def cpu_flags():
    """The flags of the first CPU that Linux lists; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            for line in cpuinfo:
                if line.startswith(("flags", "Features")):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def python_modules(names):
    """Which of the Python modules `names` the tests' interpreter has."""
    code = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    found = subprocess.run([config.python, "-c", code, *names], capture_output=True, text=True, check=False)
    return set(found.stdout.split())


machine = {"AMD64": "x86-64", "x86_64": "x86-64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
config.available_features.add(f"host-{machine}")
flags = cpu_flags()
if machine == "x86-64":
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        config.available_features.add("x86-64-v4")
    for flag, feature in (("avx512_vnni", "x86-avx512vnni"), ("avx512_bf16", "x86-avx512bf16"), ("avx2", "x86-avx2")):
        if flag in flags:
            config.available_features.add(feature)
for name in python_modules(["numpy", "gguf", "safetensors", "tokenizers", "transformers"]):
    config.available_features.add(f"python-{name}")
for program in ("qemu-aarch64", "qemu-x86_64", "ptxas"):
    if shutil.which(program, path=config.environment["PATH"]):
        config.available_features.add(program)
if config.sanitizers:
    config.available_features.add("sanitizers")
    config.environment.setdefault("ASAN_OPTIONS", "allow_user_poisoning=0")
