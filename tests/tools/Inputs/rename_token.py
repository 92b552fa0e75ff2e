"""Gives the first added token of a tokenizer.json another text. Usage: rename_token.py FILE"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    tokenizer = json.load(file)
token = tokenizer["added_tokens"][0]
old, token["content"] = token["content"], "<|renamed|>"
vocabulary = tokenizer["model"]["vocab"]
if old in vocabulary:
    vocabulary[token["content"]] = vocabulary.pop(old)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(tokenizer, file)
