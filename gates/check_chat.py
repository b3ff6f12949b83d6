#!/usr/bin/env python3
"""Compare Mantissa's chat templates with transformers' apply_chat_template: texts, ids, and the assistant's tokens.

    check_chat.py RENDERER COMMAND [MODEL_DIR] [--templates DIR]

RENDERER   the program tests/unit/test_jinja, used as `RENDERER --render`
COMMAND    the program mantissa, used as `mantissa tokenize MODEL_DIR --train_file FILE`
MODEL_DIR  a chat model's folder: its tokenizer cuts the texts, and its own template is compared too; without it
           texts are compared only
DIR        more templates (*.jinja), for instance those of TRL

The templates below are those of the families of models.  They are written from what is known of each family, not
copied from its files, where the comment says "recalled".  Each is run over dialogues with and without system messages,
with empty contents, blanks and line ends at the edges, other alphabets, and texts like special tokens; with and without
a generation prompt.  A dialogue that transformers refuses must be refused.  Both know today's date.
Exit status 1 on any difference.

Needs: transformers, jinja2.
"""

import argparse
import datetime
import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# All recalled, but CHATML, which is that of the model at hand without its default system message.
FAMILIES = {
    "chatml": CHATML,
    "qwen2.5": """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or
          (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "qwen3": """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and
          not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}
            {{- content.lstrip('\\n') }}
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
{%- endif %}""",
    "llama2": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "llama3": """{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + \
'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}""",
    "llama3.2": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{#- The system message is taken out #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "mistral-v0.1": """{{ bos_token }}{% for message in messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}\
{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}\
{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}""",
    "mistral-v0.3": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("After the optional system message, conversation roles must alternate") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}
""",
    "zephyr": """{% for message in messages %}\n{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}
{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}""",
    "gemma2": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}\
{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}\
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}""",
    "gemma3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
""",
    "falcon": """{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}\
{% if message['role'] == 'system' %}{{ 'System: ' + message['content'] }}\
{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] }}\
{% elif message['role'] == 'assistant' %}{{ 'Falcon: ' + message['content'] }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '\\n' + 'Falcon:' }}{% endif %}""",
    "marked": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
}

CONTENTS = [
    "Hello, how are you?",
    "",
    " blanks at both edges \t ",
    "\n\nlines\nat the edges\n",
    "Привет, 世界! 🙂 naïve café e\u0301 \u00a0nbsp\u3000wide\u2003",
    "<|im_end|>\n<|im_start|>assistant\nI am not </s> <s> [INST] <end_of_turn> <|eot_id|>",
    "<think>\nlet me see\n</think>\n\nforty-two",
    "{{ not }} {% a %} template {# here #}",
    "\\n \\ \" ' <>&",
    "\r\nwindows\r\n",
]
SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def dialogues():
    """Lists of messages: each content in each place, and shapes that some templates refuse."""
    say = lambda role, content: {"role": role, "content": content}  # noqa: E731
    for content in CONTENTS:
        yield [say("user", content)]
        yield [say("user", "Q"), say("assistant", content)]
        yield [say("system", content), say("user", "Q"), say("assistant", "A")]
        yield [say("user", "Q"), say("assistant", content), say("user", content), say("assistant", "A")]
    for a, b, c in itertools.islice(itertools.permutations(CONTENTS, 3), 0, 720, 29):
        yield [say("system", a), say("user", b), say("assistant", c), say("user", a), say("assistant", b)]
    yield [say("assistant", "first")]
    yield [say("system", "alone")]
    yield [say("user", "one"), say("user", "two")]
    yield [say("user", "Q"), say("system", "in the middle"), say("assistant", "A")]
    yield [say("tool", "x")]
    yield [say("user", [{"type": "text", "text": " part "}, {"type": "text", "text": "two"}])]
    yield [say("user", "Q"), {"role": "assistant", "content": "A", "reasoning_content": "\nbecause\n"}]
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1.5, "y": [None, True, "é\"<"]}}}
    yield [say("user", "Q"), {"role": "assistant", "content": "", "tool_calls": [call]}, say("tool", "42")]


TOOLS = [
    None,
    [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "does é <b>",
                "parameters": {
                    "type": "object",
                    "properties": {"x": {"type": "number", "description": "a number"}},
                    "required": ["x"],
                },
            },
        }
    ],
]


class Renderer:
    """The program, kept open."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "--render"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __call__(self, template, variables):
        self.process.stdin.write(json.dumps({"template": template, "variables": variables, "date": str(datetime.date.today())}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compare_texts(render, name, template, counts):
    """Differences of the texts of one template."""
    bad = 0
    marks = re.search(r"\{%-?\s*generation", template) is not None
    for messages, prompt, tools in itertools.product(dialogues(), (False, True), TOOLS):
        variables = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt, **SPECIALS}
        want, spans, refused = None, [], ""
        try:
            texts, indices = render_jinja_template(
                [messages], tools=tools, chat_template=template, add_generation_prompt=prompt,
                return_assistant_tokens_mask=marks, **SPECIALS,
            )
            want = texts[0]
            if marks:
                spans = [[len(want[:a].encode()), len(want[:b].encode())] for a, b in indices[0]]
        except Exception as error:  # whatever a template does with what it does not expect
            refused = str(error)
        aliased = [dict(m, thinking=m["reasoning_content"]) if "reasoning_content" in m else m for m in messages]
        found = render(template, {**variables, "messages": aliased})
        kind = "refused" if want is None else "same"
        if found.get("status") == "unsupported":
            kind = "unsupported"
            counts.setdefault("why", {}).setdefault(found["error"].split(": ", 2)[-1], set()).add(name)
        elif want is None and "error" not in found:
            kind = "DIFFERENT"
        elif want is not None and (found.get("text") != want or found.get("spans") != spans):
            kind = "DIFFERENT"
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "DIFFERENT":
            bad += 1
            if bad <= 2:
                print(f"{name}: {messages} prompt {prompt} tools {tools is not None}")
                print(f"  expected {want!r} {spans} {refused}\n  found    {found}")
    return bad


def compare_ids(command, model, template, name, oracle=None):
    """Differences of ids and labels, by `mantissa tokenize`, of one template.

    Of a template with {% generation %} the assistant's tokens are learned; oracle: the same template with such marks,
    where the template has none.
    """
    tokenizer = AutoTokenizer.from_pretrained(model)
    template = template or tokenizer.chat_template
    oracle = oracle or template
    bad = count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.jinja")
        path.write_text(template, newline="")
        rows, wants = [], []
        marks = "generation" in oracle.replace("add_generation_prompt", "")
        for messages in dialogues():
            if not all(isinstance(m["content"], str) for m in messages):
                continue
            try:
                want = tokenizer.apply_chat_template(
                    messages, chat_template=oracle, return_dict=True, return_assistant_tokens_mask=marks
                )
            except Exception:
                continue
            if not marks or (1 in want["assistant_masks"] and messages[0]["role"] != "assistant"):
                rows.append(json.dumps({"messages": messages}))
                wants.append(want)
        data = Path(folder, "rows.jsonl")
        data.write_text("\n".join(rows) + "\n")
        words = [command, "tokenize", model, "--train_file", str(data), "--chat_template_path", str(path)]
        words += ["--format", "jsonl", "--max_length", "4096"] + (["--assistant_only_loss"] if marks else [])
        output = subprocess.run(words, capture_output=True, encoding="utf-8")
        if output.returncode != 0:
            print(f"{name}: {output.stderr.strip()}")
            return 1
        for row, line, want in zip(rows, output.stdout.splitlines(), wants, strict=True):
            found = json.loads(line)
            mask = want["assistant_masks"] if marks else [1] * len(want["input_ids"])
            labels = [i if k else -100 for i, k in zip(want["input_ids"], mask, strict=True)]
            labels[0] = -100  # nothing comes before it
            count += 1
            if found["input_ids"] != want["input_ids"] or found["labels"] != labels:
                bad += 1
                if bad <= 2:
                    print(f"{name}: {row}\n  expected {want}\n  found    {found}")
    print(f"ids of {name}: {count} dialogues, {bad} different")
    return bad


def compare_all_ids(command, model):
    """Differences of ids and labels of some templates."""
    bad = 0
    for name in ("chatml", "qwen2.5", "marked", None):
        bad += compare_ids(command, model, FAMILIES.get(name), name or "the model's own")
    whole_turns = FAMILIES["marked"].replace("<|im_end|>' }}{% endgeneration %}", "<|im_end|>' + '\n' }}{% endgeneration %}")
    whole_turns = whole_turns.replace("{% endif %}{{ '\n' }}", "{{ '\n' }}{% endif %}")
    bad += compare_ids(command, model, CHATML, "chatml, what the assistant says", whole_turns)
    return bad


def main():
    """Compare all templates; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renderer")
    parser.add_argument("command")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--templates")
    args = parser.parse_args()
    templates = dict(FAMILIES)
    for path in sorted(Path(args.templates).glob("*.jinja")) if args.templates else []:
        templates[path.name] = path.read_text()
    if args.model:
        templates["the model's own"] = AutoTokenizer.from_pretrained(args.model).chat_template
    render, bad = Renderer(args.renderer), 0
    whole = {}
    for name, template in templates.items():
        counts = {}
        bad += compare_texts(render, name, template, counts)
        why = counts.pop("why", {})
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items())))
        if name in FAMILIES and set(why) - {"a list is to be printed as a text"}:
            bad += 1
            print(f"{name}: not supported: {why}")
        for reason, names in why.items():
            whole.setdefault(reason, set()).update(names)
    for reason, names in sorted(whole.items()):
        print(f"not supported: {reason} ({len(names)} templates)")
    if args.model:
        bad += compare_all_ids(args.command, args.model)
    print(f"{bad} differences")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
