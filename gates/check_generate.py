#!/usr/bin/env python3
"""Compare generated text of Mantissa with transformers' generate, token by token.

    check_generate.py [MANTISSA [FOLDER...]]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa
FOLDER    folders of real language models, compared as well (40 tokens)

The models are the tiny random ones of check_decoder.py: Llama with rotary positions scaled, tied
words, Qwen2, Mistral.  Greedy in fp32, so the ids must be equal; where they part, the two tokens
must be as good as equally probable (logits to TIE), as rounding may then decide.

  greedy   the ids behind each prompt, also of one longer than a piece of the cache, and where an
           end-of-text token of generation_config.json ends them
  penalty  the same with a repetition penalty
  chat     two turns of a dialogue by a chat template, the second behind what was generated in the
           first
  adapter  the same behind an adapter that PEFT made
  text     the text that is printed is what the tokenizer decodes of the ids
Exit status 1 if anything differs, 77 if the command is not given.

Needs what check_decoder.py needs.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import check_decoder as tiny

NEW_TOKENS, TIE = 40, 1e-4
CHAT = ("{% for m in messages %}<|begin|>{{ m['role'] }}: {{ m['content'] }}<|endoftext|>{% endfor %}"
        "{% if add_generation_prompt %}<|begin|>assistant: {% endif %}")


def mantissa(command, folder, prompts, *words):
    """The objects printed for prompts without line ends."""
    out = subprocess.run([command, "generate", str(folder), "--format", "jsonl", "--precision", "fp32",
                          "--max_new_tokens", str(NEW_TOKENS), *words],
                         input="".join(p + "\n" for p in prompts), capture_output=True, text=True,
                         encoding="utf-8")
    if out.returncode != 0:
        sys.exit(f"mantissa generate {folder}: {out.stderr}")
    return [json.loads(line) for line in out.stdout.splitlines()]


def greedy(model, ids, **settings):
    """What transformers generates behind ids."""
    given = torch.tensor([ids])
    with torch.no_grad():
        out = model.generate(given, attention_mask=torch.ones_like(given), do_sample=False,
                             max_new_tokens=NEW_TOKENS, pad_token_id=0, **settings)
    return out[0, len(ids):].tolist()


def is_tie(model, ids, found, wanted):
    """Whether the first tokens that differ are as good as equally probable."""
    same = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), None)
    if same is None:
        return False
    with torch.no_grad():
        z = model(torch.tensor([ids + wanted[:same]])).logits[0, -1]
    return abs(float(z[found[same]] - z[wanted[same]])) < TIE


class Checks:
    def __init__(self):
        self.count = self.failed = self.ties = 0

    def ids(self, name, model, ids, found, **settings):
        wanted = greedy(model, ids, **settings)
        self.count += 1
        if found == wanted:
            return
        if not settings and is_tie(model, ids, found, wanted):
            self.ties += 1
            return
        self.failed += 1
        print(f"{name}: behind {len(ids)} tokens found {found}, expected {wanted}")

    def equal(self, name, found, wanted):
        self.count += 1
        if found != wanted:
            self.failed += 1
            print(f"{name}: found {found!r}, expected {wanted!r}")


def check_prompts(checks, command, name, model, tokenizer, folder, prompts, *words):
    for prompt, made in zip(prompts, mantissa(command, folder, prompts, *words)):
        ids = tokenizer(prompt).input_ids
        checks.equal(f"{name}: prompt", made["prompt_tokens"], len(ids))
        checks.ids(f"{name}: greedy", model, ids, made["ids"])
        shown = made["ids"][:-1] if made["stopped"] else made["ids"]
        whole = tokenizer.decode(ids + shown, skip_special_tokens=True)
        before = tokenizer.decode(ids, skip_special_tokens=True)
        checks.equal(f"{name}: text", made["text"], whole[len(before):])


def check_chat(checks, command, name, model, tokenizer, folder):
    turns, messages = ["Who are you?", "And what is 2 + 3?"], []
    for text, made in zip(turns, mantissa(command, folder, turns, "--chat", "--system", "Be brief.")):
        messages.append({"role": "user", "content": text})
        dialogue = [{"role": "system", "content": "Be brief."}, *messages]
        ids = tokenizer.apply_chat_template(dialogue, add_generation_prompt=True, return_dict=True)
        checks.ids(f"{name}: chat", model, list(ids["input_ids"]), made["ids"])
        messages.append({"role": "assistant", "content": made["text"]})


def set_stops(folder, model, stops):
    """End-of-text tokens in generation_config.json, for both sides."""
    path = Path(folder, "generation_config.json")
    config = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**config, "eos_token_id": stops}))
    model.generation_config.eos_token_id = stops


def check_tiny(checks, command, kind, folder, texts):
    torch.manual_seed(11)  # no random model ends its first text before its tenth token
    tiny.make_model(kind, folder, texts)
    Path(folder, "chat_template.jinja").write_text(CHAT)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = [t.replace("\n", " ") for t in texts]
    prompts = [prompts[0], prompts[3][:40], "the 42 of ", " ".join(prompts[:4])[:400], prompts[-1][:30]]
    check_prompts(checks, command, kind, model, tokenizer, folder, prompts)
    first = mantissa(command, folder, prompts[:1])[0]["ids"]
    set_stops(folder, model, [first[7], first[9]])
    check_prompts(checks, command, f"{kind}, stops", model, tokenizer, folder, prompts)
    checks.equal(f"{kind}: stopped", mantissa(command, folder, prompts[:1])[0]["stopped"], True)
    set_stops(folder, model, tokenizer.eos_token_id)
    for prompt, made in zip(prompts, mantissa(command, folder, prompts, "--repetition_penalty", "1.3")):
        checks.ids(f"{kind}: penalty", model, tokenizer(prompt).input_ids, made["ids"],
                   repetition_penalty=1.3)
    check_chat(checks, command, kind, model, tokenizer, folder)


def check_adapter(checks, command, kind, folder, texts):
    """An adapter with random A and B."""
    base, adapter = Path(folder, "base"), Path(folder, "adapter")
    torch.manual_seed(11)
    tiny.make_model(kind, base, texts)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(4)
    adapted = tiny.get_peft_model(model, tiny.LoraConfig(r=4, lora_alpha=8, target_modules="all-linear",
                                                         init_lora_weights=False,
                                                         task_type="CAUSAL_LM"))
    adapted.save_pretrained(adapter)
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompts = [texts[0].replace("\n", " "), "the 42 of "]
    check_prompts(checks, command, f"{kind}, adapter", adapted.eval(), tokenizer, base, prompts,
                  "--adapter_name_or_path", str(adapter))


def check_real(checks, command, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = ["The capital of France is", "Once upon a time, there was a", "def fibonacci(n):",
               "Die Hauptstadt von \u00d6sterreich \U0001f600 ist"]
    check_prompts(checks, command, str(folder), model, tokenizer, folder, prompts)
    if tokenizer.chat_template is not None:
        check_chat(checks, command, str(folder), model, tokenizer, folder)


def main():
    build = os.environ.get("MANTISSA_BUILD")
    command = sys.argv[1] if len(sys.argv) > 1 else build and f"{build}/mantissa"
    if not command:
        print("skipped: neither MANTISSA nor MANTISSA_BUILD is given")
        sys.exit(77)
    checks, texts = Checks(), tiny.read_texts()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("llama", "tied", "qwen2", "mistral"):
            check_tiny(checks, command, kind, Path(folder, kind), texts)
        check_adapter(checks, command, "llama", Path(folder, "adapted"), texts)
    for folder in sys.argv[2:]:
        check_real(checks, command, folder)
    print(f"{checks.count} comparisons, {checks.failed} differ, {checks.ties} part at equal logits")
    sys.exit(1 if checks.failed > 0 or checks.ties * 10 > checks.count else 0)


if __name__ == "__main__":
    main()
