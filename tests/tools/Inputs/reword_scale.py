"""Changes a letter of the text of a finished scale in a folder of --resume; its tensors stay."""
import pathlib
import sys

path = sorted(pathlib.Path(sys.argv[1]).glob("scale-*.safetensors"))[0]
data = path.read_bytes()
assert data.count(b"gain") >= 1, data[:500]
path.write_bytes(data.replace(b"gain", b"gaim", 1))
