#!/usr/bin/env python3
"""Adapters of a real language model, Mantissa beside PEFT, both in fp32 arithmetic.

    studies/peft_parity.py --mantissa build/mantissa --model FOLDER [--four FOLDER]
                           [--gguf FILE] --data gsm8k-train.jsonl

Needs the packages of gates/parity_requirements.txt.  With the same first adapter and the same rows,
without dropout: the losses of the first steps; the logits of the trained adapter; the adapters of
several ranks of one DyLoRA run, by their loss.  --four: a folder that `mantissa quantize` or
bitsandbytes wrote; the same beside it (QLoRA), PEFT with the layers of bitsandbytes.  --gguf: the
same beside the model of such a file, which transformers unpacks; the tokenizer is that of --model.
Prints each comparison, and how many failed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "gates"))

# pylint: disable=wrong-import-position
import torch
import transformers
from model_checks import Checks, Command
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

LENGTH, BATCH, STEPS, RATE, RANKS = 128, 2, 20, 1e-3, (1, 8, 64)
LOSS_TOLERANCE, LOGIT_TOLERANCE = 1e-3, 1e-2
IGNORED = -100


def open_model(folder):
    """In fp32; the layers of a 4-bit folder are those of bitsandbytes, which compute in fp32 with
    weights that are unpacked to fp32 (the file's state says bfloat16, and they would be rounded)."""
    path, words = Path(folder), {}
    if path.suffix == ".gguf":
        return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name,
                                                    dtype=torch.float32)
    config = json.loads((path / "config.json").read_text())
    if "quantization_config" in config:
        quantization = dict(config["quantization_config"], bnb_4bit_compute_dtype="float32")
        words = {"config": transformers.AutoConfig.from_pretrained(
            folder, quantization_config=quantization), "device_map": "cpu"}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **words)
    for p in model.parameters():
        if p.is_floating_point():
            p.data = p.data.float()  # those beside the layers in 4 bits have the file's type
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            state.dtype = torch.float32
            module.support_avx512bf16_for_cpu = False  # that kernel computes in bfloat16
    return model


def encode(tokenizer, rows):
    """[(ids, labels)]: the answer is learned, and the end behind it."""
    out = []
    for row in rows:
        prompt = tokenizer(row["prompt"]).input_ids
        ids = tokenizer(row["prompt"] + row["completion"]).input_ids + [tokenizer.eos_token_id]
        same = [a == b for a, b in zip(ids, prompt)] + [False]
        learned = same.index(False)
        out.append((ids[:LENGTH], ([IGNORED] * learned + ids[learned:])[:LENGTH]))
    return [(ids, labels) for ids, labels in out if any(x != IGNORED for x in labels)]


def batch_of(rows):
    width = max(len(ids) for ids, _ in rows)

    def pad(lists, value):
        return torch.tensor([items + [value] * (width - len(items)) for items in lists])

    return {"input_ids": pad([ids for ids, _ in rows], 0),
            "attention_mask": pad([[1] * len(ids) for ids, _ in rows], 0),
            "labels": pad([labels for _, labels in rows], IGNORED)}


def train(model, rows):
    """The losses of the steps."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch_of(rows[step * BATCH:(step + 1) * BATCH])).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def loss_of(model, rows):
    total = tokens = 0
    for row in rows:
        batch = batch_of([row])
        count = int((batch["labels"][:, 1:] != IGNORED).sum())
        total += model(**batch).loss.item() * count
        tokens += count
    return total / tokens


@torch.no_grad()
def logits_of(model, rows):
    return torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids, _ in rows])


def make_adapter(base, folder):
    """One with random A and small B, as PEFT writes it."""
    torch.manual_seed(1)
    model = get_peft_model(open_model(base), LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.copy_(0.002 * torch.randn(p.shape))
    model.save_pretrained(folder)


def check_training(checks, mantissa, base, rows, file, work):
    start, out = work / "start", work / "trained"
    make_adapter(base, start)
    found = mantissa.train(base, file, out, RATE, "--precision", "fp32", "--method", "lora",
                           "--adapter_name_or_path", start)
    model = PeftModel.from_pretrained(open_model(base), start, is_trainable=True)
    wanted = train(model, rows)
    worst = max(abs(a - b) for a, b in zip(found, wanted))
    checks.check(len(found) == len(wanted) == STEPS and worst <= LOSS_TOLERANCE,
                 f"losses of {STEPS} steps, {wanted[0]:.4f} to {wanted[-1]:.4f}: to {worst:.1e} "
                 f"(at most {LOSS_TOLERANCE:g})")
    written = PeftModel.from_pretrained(open_model(base), out).eval()
    a, b = logits_of(written, rows[:4]), logits_of(model.eval(), rows[:4])
    worst = float((a - b).abs().max())
    checks.check(worst <= LOGIT_TOLERANCE, f"logits of the trained adapters, {b.min():.1f} to "
                 f"{b.max():.1f}: to {worst:.1e} (at most {LOGIT_TOLERANCE:g})")


def check_ranks(checks, mantissa, base, rows, file, work):
    out = work / "ranks"
    mantissa.train(base, file, out, RATE, "--precision", "int8", "--method", "dylora", "--lora_r",
                   max(RANKS), "--ranks", ",".join(map(str, RANKS)))
    for rank in RANKS:
        adapter = work / f"rank {rank}"
        subprocess.run([mantissa.program, "export", "--adapter_name_or_path", out, "--rank",
                        str(rank), "--format", "peft", "--output_dir", adapter], check=True,
                       capture_output=True)
        said = json.loads(mantissa.run("eval", base, "--validation_file", file, "--precision",
                                       "fp32", "--json", "--adapter_name_or_path", out, "--rank",
                                       rank))["eval_loss"]
        model = PeftModel.from_pretrained(open_model(base), adapter).eval()
        loss = loss_of(model, rows)
        checks.check(abs(said - loss) <= LOSS_TOLERANCE, f"rank {rank} of a DyLoRA run in PEFT: "
                     f"loss {loss:.6f}, here {said:.6f} (within {LOSS_TOLERANCE:g})")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("mantissa", "model", "data"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--four")
    p.add_argument("--gguf")
    a = p.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    checks = Checks()
    mantissa = Command(Path(a.mantissa).resolve(), STEPS, BATCH, ("--max_seq_length", LENGTH))
    lines = [json.loads(line) for line in Path(a.data).read_text(encoding="utf-8").splitlines()]
    forms = [{"prompt": x["question"] + "\n", "completion": x["answer"]} for x in lines]
    for base in filter(None, (a.model, a.four, a.gguf)):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(a.model if base == a.gguf else base)
        chosen = [f for f in forms[:200] if len(encode(tokenizer, [f])) == 1][:STEPS * BATCH]
        rows = encode(tokenizer, chosen)
        print(f"\n{base}")
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            file = work / "rows.jsonl"
            file.write_text("".join(json.dumps(f) + "\n" for f in chosen))
            check_training(checks, mantissa, base, rows, file, work)
            check_ranks(checks, mantissa, base, rows, file, work)
    print(f"\n{checks.failed} comparisons failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
