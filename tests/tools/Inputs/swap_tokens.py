"""Gives two tokens of one letter in a tokenizer.json each other's id. Usage: swap_tokens.py FILE"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    tokenizer = json.load(file)
vocabulary = tokenizer["model"]["vocab"]
vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(tokenizer, file)
