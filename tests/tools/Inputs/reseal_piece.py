"""Changes the first finished piece of a kind in a folder of --resume, and gives it the digest of what it holds then.

    reseal_piece.py FOLDER KIND text OLD NEW      words of its text
    reseal_piece.py FOLDER KIND header OLD NEW    words of the file's header, such as the name of a tensor
"""
import hashlib
import json
import pathlib
import struct
import sys

import safetensors_header

folder, kind, where, old, new = sys.argv[1:]
path = sorted(pathlib.Path(folder).glob(f"{kind}-*.safetensors"))[0]
start, header = safetensors_header.read(path)
data = path.read_bytes()[start:]
metadata = header["__metadata__"]


def digest():
    sum = hashlib.sha256(metadata["qopt.text"].encode())
    for entry in sorted((header[name] for name in header if name != "__metadata__"), key=lambda entry: entry["data_offsets"]):
        sum.update(data[slice(*entry["data_offsets"])])
    return "sha256:" + sum.hexdigest()


assert metadata["qopt.digest"] == digest(), "the digest is not of what this helper takes it for"
if where == "text":
    assert old in metadata["qopt.text"], metadata["qopt.text"]
    metadata["qopt.text"] = metadata["qopt.text"].replace(old, new)
    metadata["qopt.digest"] = digest()
else:
    text = json.dumps(header)
    assert old in text, text
    header = json.loads(text.replace(old, new))
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
path.write_bytes(struct.pack("<Q", len(text)) + text + data)
