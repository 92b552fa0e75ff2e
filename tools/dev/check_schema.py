#!/usr/bin/env python3
"""Checks a JSON document against one of docs/schemas.

    qopt inspect model.qopt --json | check_schema.py docs/schemas/inspect.json

Of JSON Schema it knows what our schemas use: type, properties, required, additionalProperties, items, enum, minimum.
Any other keyword is an error, so that a schema cannot ask for what nobody checks.
"""
import json
import math
import sys

KNOWN = {"$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items", "enum",
         "minimum"}
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v),
}


def check(value, schema, path, errors):
    for keyword in schema.keys() - KNOWN:
        errors.append(f"{path}: the schema uses {keyword}, which this script does not check")
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[name](value) for name in types):
        errors.append(f"{path}: expected {' or '.join(types)}, but got {json.dumps(value)[:80]}")
        return
    if "enum" in schema and value not in schema["enum"]:
        errors.append(f"{path}: expected one of {schema['enum']}, but got {value!r}")
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        errors.append(f"{path}: expected at least {schema['minimum']}, but got {value}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key in schema.get("required", []):
            if key not in value:
                errors.append(f"{path}: missing key {key}")
        for key, member in value.items():
            if key in properties:
                check(member, properties[key], f"{path}.{key}", errors)
            elif schema.get("additionalProperties", True) is False:
                errors.append(f"{path}: unknown key {key}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(item, schema["items"], f"{path}[{index}]", errors)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    document = json.load(sys.stdin)
    errors = []
    check(document, schema, "$", errors)
    if errors:
        sys.exit("\n".join(errors))
    print("matches", sys.argv[1])


if __name__ == "__main__":
    main()
