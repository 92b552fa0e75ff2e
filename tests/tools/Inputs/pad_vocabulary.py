"""pad_vocabulary.py FOLDER: gives a checkpoint with tied embeddings 16 more rows of zeros than its tokenizer has tokens."""
import json
import pathlib
import sys

MORE = 16
folder = pathlib.Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
config["vocab_size"] += MORE
(folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

data = (folder / "model.safetensors").read_bytes()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
embedding = header["model.embed_tokens.weight"]
end = embedding["data_offsets"][1]
added = (end - embedding["data_offsets"][0]) // embedding["shape"][0] * MORE
embedding["shape"][0] += MORE
for name, tensor in header.items():
    if name != "__metadata__" and tensor["data_offsets"][0] >= end:
        tensor["data_offsets"] = [at + added for at in tensor["data_offsets"]]
embedding["data_offsets"][1] = end + added
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[start:start + end] + bytes(added) +
                                           data[start + end:])
