"""Whether each line of progress says of a weight what the ledger does: progress_rows.py LEDGER.json < LINES"""
import json
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    rows = {row["name"]: row for row in json.load(file)["ledger"]["rows"]}
lines = re.findall(r"^over: quantize: .*; ([^:]+): (error .*)$", sys.stdin.read(), re.MULTILINE)
with_outputs = 0
for name, said in lines:
    row = rows[name]
    wanted = f"error {row['relative_mse']:.1e}"
    if row["output_error"] > 0:
        wanted += f", output {row['output_error']:.1e}, damping {row['damping']:g}"
        with_outputs += 1
    if said != wanted:
        sys.exit(f"expected {name} with {wanted}, but got {said}")
print(f"{'several' if with_outputs > 2 else with_outputs} lines with output errors are those of the ledger")
