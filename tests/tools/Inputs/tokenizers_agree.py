"""Whether Hugging Face's tokenizers make the ids of an exported directory that qopt makes: TEXT (DIRECTORY IDS.json)…"""
import json
import pathlib
import sys

text, *pairs = map(pathlib.Path, sys.argv[1:])
for directory, said in zip(pairs[::2], pairs[1::2]):
    try:
        import tokenizers
    except ImportError:
        print("tokenizers is not installed")
        continue
    ids = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json")).encode(text.read_text(encoding="utf-8")).ids
    wanted = json.loads(said.read_text())["ids"]
    assert ids == wanted, (directory, ids[:20], wanted[:20])
    print("the same ids")
