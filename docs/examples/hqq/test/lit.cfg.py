import os
import subprocess

import lit.formats

config.name = "hqq"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.hqq_binary_dir, "test")
config.environment["PATH"] = os.pathsep.join([config.qopt_tools_dir, config.llvm_tools_dir, os.environ["PATH"]])
config.substitutions += [
    ("%plugin", os.path.join(config.hqq_binary_dir, "Hqq.so")),
    ("%source", config.hqq_source_dir),
    ("%checkpoint", config.hqq_checkpoint),
    ("%python", config.hqq_python),
]
if subprocess.run([config.hqq_python, "-c", "import numpy"], capture_output=True, check=False).returncode == 0:
    config.available_features.add("python-numpy")
