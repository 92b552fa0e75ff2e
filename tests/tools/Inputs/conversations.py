"""Writes documents as JSON lines: conversations.py FOLDER

    bodies.jsonl         {"body": text}, with the letters of a special token in each text
    blank.jsonl          the same with a blank line
    conversations.jsonl  {"messages": [{"role", "content"}, …]}
    rendered.jsonl       {"text": …}: what TEMPLATE makes of each conversation, written out by hand
    chat_template.jinja  TEMPLATE
"""
import json
import pathlib
import sys

TEMPLATE = """{%- for message in messages -%}
[{{ message.role }}] {{ message['content'] | trim }}{{ eos_token }}
{% endfor -%}
{%- if add_generation_prompt -%}[assistant]{%- endif -%}"""

folder = pathlib.Path(sys.argv[1])
bodies = [f"Line {i} holds {i * i} <|end|> words of text." for i in range(10)]
conversations = [[("user", f"What is {i} and {i + 1}? "), ("assistant", f" It is {2 * i + 1}.")] + [("user", "Thanks.")] * (i % 2)
                 for i in range(10)]
lines = [json.dumps({"id": 1, "body": text}) + "\n" for text in bodies]
(folder / "bodies.jsonl").write_text("".join(lines))
(folder / "blank.jsonl").write_text("".join([*lines[:4], "  \n", *lines[4:]]))
(folder / "conversations.jsonl").write_text("".join(
    json.dumps({"messages": [{"role": role, "content": content} for role, content in conversation]}) + "\n"
    for conversation in conversations))
(folder / "rendered.jsonl").write_text("".join(
    json.dumps({"text": "".join(f"[{role}] {content.strip()}<|end|>\n" for role, content in conversation)}) + "\n"
    for conversation in conversations))
(folder / "chat_template.jinja").write_text(TEMPLATE)
