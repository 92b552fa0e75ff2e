#!/usr/bin/env python3
"""Writes tests/unit/Text/fixtures/chat_templates.json: templates, values and what jinja2 makes of them.

    chat_template_fixtures.py [-o FILE]

The environment is the one of transformers' apply_chat_template (ImmutableSandboxedEnvironment, trim_blocks,
lstrip_blocks, loop controls, its own tojson and raise_exception). Each case is {name, template, values, expected}; a case
that must fail has "error" in place of "expected". Needs the package jinja2.
"""
import argparse
import json
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

SMOLLM2 = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

CHATML = """{% for message in messages %}
{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>' }}
{% endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' -}}
{% endif %}
"""

LLAMA3 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{#- The system message goes first, whether the user gave one or not. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call at once") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
        {%- for name, value in tool_call.arguments | items %}
            {{- name ~ '=' ~ value|tojson }}{% if not loop.last %}, {% endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" -%}
    {%- set system_message = messages[0]["content"] -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{{- bos_token -}}
{%- for message in loop_messages -%}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) -%}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") -}}
    {%- endif -%}
    {%- if message["role"] == "user" -%}
        {%- if loop.last and system_message is defined -%}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" -}}
        {%- else -%}
            {{- "[INST] " + message["content"] + "[/INST]" -}}
        {%- endif -%}
    {%- elif message["role"] == "assistant" -%}
        {{- " " + message["content"]|trim + eos_token -}}
    {%- else -%}
        {{- raise_exception("Only user and assistant roles are supported!") -}}
    {%- endif -%}
{%- endfor -%}
"""

QWEN = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set thoughts = '' %}
        {%- if message.thoughts is defined and message.thoughts is not none %}
            {%- set thoughts = message.thoughts %}
        {%- elif '</think>' in content %}
            {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
            {%- set thoughts = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query and (loop.last or thoughts) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thoughts.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}"""

S = {"role": "system", "content": "Be brief. "}
U = {"role": "user", "content": " Hello, wörld! "}
A = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHi.\n"}
CONVERSATIONS = {
    "user": [U], "system": [S, U], "long": [S, U, A, U], "no system": [U, A, U, A], "answer last": [S, U, A],
    "wrong order": [A, U],
    "tool": [U, {"role": "assistant", "content": "", "tool_calls": [{"function": {
        "name": "add", "arguments": {"a": 1, "b": 2.5, "c": "é\"\n", "d": [1, {}], "e": None, "f": True}}}]},
        {"role": "tool", "content": {"sum": [3.5, 1e100, 1e-7, 100000.0, 1e16, 123456789.125]}}],
}

# Small templates, one for each rule; every value is visible.
SMALL = [
    # white space
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n   {% if true %}   \nb\n  {% endif %}c", "  {# c #}\nx  {# d #}  y",
    "a \n {%- if true -%} \n b \n {%- endif -%} \n c", "a\n  {%+ if true %}b{% endif +%}\nc", "x {{- ' y ' -}} z",
    "  {{ 1 }}  \n  {{ 2 }}\n", "\n\n{% set x = 1 %}\n\n{{ x }}\n\n", "a\r\nb\rc\n", "{% if true %}a{% endif %}  {% if true %}b{% endif %}",
    "x\n\t {% set a = 1 %} \t{% set b = 2 %}\ny", "{{ 1 -}}\n  {% if true %}q{% endif %}", "{#- a -#}  b {#+ c +#}\n d", "a{# x #}\n  {% if true %}b{% endif %}",
    # literals, operators, precedence
    "{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2.5 * 2 }} {{ 1e3 if false else 0.1 }}".replace("1e3", "1000.0"),
    "{{ 'a' ~ 1 ~ 2.0 ~ none ~ true ~ x }}", "{{ 'a' 'b' \"c\" }}", "{{ 'tab\\tq\\'\\x41\\u00e9\\\\ \\q' }}", "{{ 1 + 2 ~ 3 + 4 ~ '' }}".replace("1 + 2 ~ 3 + 4 ~ ''", "'a' ~ 1 * 2"),
    "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ none == x }} {{ x == y }}",
    "{{ not true or true }} {{ not (true or true) }} {{ 0 or 'b' }} {{ 'a' and 'b' }} {{ '' and 'b' }}|{{ [] or {} or 'z' }}",
    "{{ 'a' in 'cat' }} {{ 2 not in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 'a' in x }} {{ not 'a' in 'b' }}",
    "{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 }}|{{ 'a' if 0 else 'b' if 0 else 'c' }}",
    "{{ [1, 2, 3][1] }} {{ [1, 2, 3][-1] }} {{ [1][5] }}|{{ 'héllo'[1] }} {{ {'a': {'b': 3}}.a.b }} {{ {'a': 1}['b'] }}|",
    "{{ [1, 2, 3, 4][1:3]|join(',') }} {{ 'héllo'[::-1] }} {{ 'abc'[:-1] }} {{ [1,2,3][::2]|join }} {{ 'abcdef'[4:1:-2] }} {{ 'abc'[5:] }}|{{ 'abc'[-9:2] }} {{ 'abc'[none:1] }}",
    "{{ -1 }} {{ - 3 + 5 }} {{ --2 }} {{ -'3'|int }}".replace(" {{ -'3'|int }}", ""), "{{ [1, 2] + [3] == [1, 2, 3] }} {{ {'a': [1]} == {'a': [1.0]} }} {{ 'a' < 'b' }} {{ 'é' > 'z' }}",
    "{{ {'a': 1, 'b': 2,}|length }}{{ [1,]|length }}", "{{ true }} {{ True }} {{ false }} {{ none }} {{ None }}", "{{ 1.0 }} {{ 0.1 + 0.2 }} {{ 100000000000000000.0 }} {{ 0.00001 }} {{ 1.5 // 1 }} {{ -5.5 % 2 }}",
    # statements and scopes
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% for i in [1, 2, 3] %}{% if x is defined %}D{% endif %}{% set x = i %}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }} {{ ns.q is defined }}",
    "{% for i in [1, 2, 3, 4] if i % 2 == 0 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}", "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    "{% for c in 'hé!' %}[{{ c }}]{% endfor %}{% for c in x %}no{% endfor %}", "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(10, 0, -3) %}{{ i }} {% endfor %}{{ range(3)|length }}", "{% for a in [1, 2] %}{% for b in [3, 4] %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% if x %}a{% elif 0 %}b{% elif 'q' %}c{% else %}d{% endif %}", "{% if true %}{% set q = 5 %}{% endif %}{{ q }}", "{{ loop is defined }}", "{% for loop_messages in [[1, 2], [3]] %}{{ loop_messages|join('-') }} {% endfor %}",
    # filters, tests, methods
    "{{ '  a b '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ '\\u3000a\\x1f'|trim }}|{{ 5|trim }}", "{{ 'aBc'|upper }}{{ 'aBc'|lower }}{{ 'aBc'.upper() }}{{ 'aBc'.lower() }}", "{{ 'héllo'|length }} {{ [1, 2]|count }} {{ x|length }} {{ {'a': 1}|length }}",
    "{{ x|default('d') }} {{ ''|default('d') }}|{{ ''|default('d', true) }} {{ none|d('e') }} {{ x|d }}| {{ ''|d('f', boolean=true) }} {{ x|default(default_value=3) }}",
    "{{ {'b': [1, 2.5, 'é<>&\\'', none, true], 'a': {}}|tojson }} {{ []|tojson }} {{ 'a\\n\\x01\\x7f'|tojson }}", "{{ {'b': [1, [], {}, {'c': 2}], 'a': 'x'}|tojson(indent=2) }}", "{{ [1, 'a', 2.0, none]|join(', ') }} {{ 'abc'|join('-') }} {{ [1, 2]|first }}{{ [1, 2]|last }}{{ 'xyz'|first }}{{ []|first }}|",
    "{{ 'a-b-a'|replace('a', 'c') }} {{ 'aaa'.replace('aa', 'b') }} {{ '12'|int + 1 }} {{ 3.9|int }} {{ 5|string + '!' }} {{ 'ab'|list|join('.') }} {{ {'a': 1}|items|list|length }}",
    "{{ ' a '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'abcba'.strip('ab') }}|{{ 'ab'.strip('ab') }}|", "{{ 'a,b,,c'.split(',')|join('|') }} {{ ' a  b '.split()|join('|') }} {{ 'a,b,c'.split(',', 1)|join('|') }} {{ ' a  b  c '.split(none, 1)|join('|') }} {{ ''.split()|length }} {{ ''.split(',')|length }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('ab') }} {{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 7) }} {{ {'a': 1}.keys()|list|join }} {{ {'a': 1}.values()|list|join }}",
    "{{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ 'a' is string }} {{ x is defined }} {{ x is undefined }} {{ none is none }} {{ x is none }}",
    "{{ true is boolean }} {{ 1 is true }} {{ true is true }} {{ false is false }} {{ {} is mapping }} {{ [] is sequence }} {{ 'a' is sequence }} {{ 1 is iterable }} {{ x is iterable }} {{ x is string }} {{ 3 is odd }} {{ 3 is not even }}",
    "{{ not x is defined }} {{ x is not defined and true }} {{ 'a' is string and 'b' is not none }}", "{{ 'a' + 'b'|upper }} {{ ('a' + 'b')|upper }} {{ [1, 2]|length - 1 }}", "{{ (x.y is defined) if x is defined else 'none' }}",
    # run-time errors
    "{{ x.y }}", "{{ x['y'] }}", "{{ 1 + 'a' }}", "{{ 'a' < 1 }}", "{{ 1 // 0 }}", "{{ raise_exception('stop') }}", "{{ x + 1 }}", "{{ 5|length }}", "{{ 'a' in 5 }}", "{% for i in 5 %}{% endfor %}", "{{ x.strip() }}", "{{ 'a'.split('') }}", "{{ x|tojson }}", "{{ strftime_now('%d') }}", "{% set m.x = 1 %}",
]


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def run(name, template, values):
    case = {"name": name, "template": template, "values": values}
    try:
        case["expected"] = environment().from_string(template).render(**values)
    except Exception as error:  # what Jinja and Python raise has many types; the case only says that it fails
        case["error"] = f"{type(error).__name__}: {error}"
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", default=Path(__file__).parents[2] / "tests/unit/Text/fixtures/chat_templates.json")
    output = parser.parse_args().output
    cases = []
    templates = {"SmolLM2": SMOLLM2, "ChatML": CHATML, "Llama 3": LLAMA3, "Mistral": MISTRAL, "Qwen": QWEN, "Gemma": GEMMA}
    for name, template in templates.items():
        for conversation, messages in CONVERSATIONS.items():
            if conversation == "tool" and name != "Llama 3":
                continue
            for prompt in (True, False):
                values = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                          "tools": None, "documents": None}
                cases.append(run(f"{name}, {conversation}, {'with' if prompt else 'without'} prompt", template, values))
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    cases.append(run("Llama 3, tools", LLAMA3, {"messages": [S, U], "add_generation_prompt": True, "bos_token": "<s>", "tools": tools}))
    cases.append(run("Qwen, no thinking", QWEN, {"messages": [U], "add_generation_prompt": True, "enable_thinking": False}))
    cases += [run(template, template, {}) for template in SMALL]
    Path(output).write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases, {sum('error' in case for case in cases)} of them errors")


if __name__ == "__main__":
    main()
