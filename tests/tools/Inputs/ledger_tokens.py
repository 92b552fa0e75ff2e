"""How weights were rounded and by how many tokens, of a ledger in JSON: ledger_tokens.py NAME…"""
import json
import sys

rows = {row["name"]: row for row in json.load(sys.stdin)["ledger"]["rows"]}
for name in sys.argv[1:]:
    print(f"{rows[name]['algorithm']}: {rows[name]['tokens']}")
