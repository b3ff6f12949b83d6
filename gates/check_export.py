#!/usr/bin/env python3
"""Compare what Mantissa makes of an adapter with PEFT, transformers and the package gguf.

    check_export.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are the tiny ones of check_decoder.py and check_gguf_model.py, the adapters random ones
that PEFT wrote, of rank 8.

  ranks   `export --rank` 1, 4, 8: PEFT opens the folder with the logits of W + alpha / b B A, to 1e-4,
          and with the loss that `eval --rank b` gives for each row, to 1e-5; rsLoRA as a whole
  merge   `merge`: transformers opens the folder with PEFT's logits, to 1e-4; bfloat16 and float16
          are the rounded float32, to the bit; a base in bfloat16 stays one; shards hold the same
          bytes; AutoTokenizer gives the same ids; of a base in a GGUF file the same bits
  gguf    `export --format gguf`: keys, names, shapes and values as convert_lora_to_gguf.py of
          llama.cpp has them, rows of q and k reordered; added to the weights of a GGUF file of the
          base as llama.cpp does, it gives the weights that `merge` gives, to 1e-6; Falcon's
          query_key_value in both its forms
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs gguf, numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import gguf
import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import (AutoModelForCausalLM, AutoTokenizer, FalconConfig, FalconForCausalLM,
                          PreTrainedTokenizerFast)

import check_gguf_model as tiny_gguf
from check_decoder import (EVAL_TOLERANCE, LENGTH, Checks, Mantissa, Model, encode, logits_of,
                           make_adapter, open_adapter, open_model, read_texts, torch_eval,
                           write_jsonl)

LOGIT_TOLERANCE, SUM_TOLERANCE, ROWS = 1e-4, 1e-6, 4


class Exporter(Mantissa):
    def run_plain(self, *words):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, words))}\n{done.stderr}")

    def export(self, adapter, out, *words):
        self.run_plain("export", "--adapter_name_or_path", adapter, "--output_dir", out, *words)
        return out

    def merge(self, base, adapter, out, *words):
        self.run_plain("merge", "--model_name_or_path", base, "--adapter_name_or_path", adapter,
                       "--output_dir", out, *words)
        return out


def read_adapter(folder):
    """module -> (A, B), and the configuration."""
    tensors = load_file(folder / "adapter_model.safetensors")
    prefix, ends = "base_model.model.", (".lora_A.weight", ".lora_B.weight")
    modules = {key[len(prefix):-len(ends[0])]: (value, tensors[key.replace("lora_A", "lora_B")])
               for key, value in tensors.items() if key.endswith(ends[0])}
    return modules, json.loads((folder / "adapter_config.json").read_text())


def scale_of(config, ranks):
    return config["lora_alpha"] / (ranks ** 0.5 if config["use_rslora"] else ranks)


def added_to(model, folder, ranks):
    """The model with W + s B A of the first ranks, in double precision."""
    modules, config = read_adapter(folder)
    state = model.state_dict()
    for name, (a, b) in modules.items():
        delta = b[:, :ranks].double() @ a[:ranks].double() * scale_of(config, ranks)
        state[f"{name}.weight"] += delta.float()
    return model


def check_near(checks, what, found, wanted, tolerance=LOGIT_TOLERANCE):
    error = np.abs(found - wanted).max()
    checks.check(error <= tolerance, f"{what}: {wanted.min():.2f} to {wanted.max():.2f}, largest "
                 f"difference {error:.2e} (at most {tolerance:g})")


# ------------------------------------------------------------------------------------- ranks

def check_ranks(checks, mantissa, m, work, adapter, ranks):
    for b in ranks:
        print(f"\n{m.name}: export of {b} ranks")
        out = mantissa.export(adapter, work / f"{adapter.name} {b}", "--rank", b)
        model = open_adapter(checks, m, out, "PeftModel",
                             lambda: PeftModel.from_pretrained(open_model(m.folder)[0], out))
        config = json.loads((out / "adapter_config.json").read_text())
        checks.check(config["r"] == b, f"r is {config['r']}")
        wanted = logits_of(added_to(open_model(m.folder)[0], adapter, b), m.train_rows)
        found = logits_of(model, m.train_rows)
        check_near(checks, "logits", found, wanted)
        base = logits_of(open_model(m.folder)[0], m.train_rows)
        checks.check(np.abs(found - base).max() > 100 * LOGIT_TOLERANCE, "the adapter matters")
        for i in range(ROWS):
            row = write_jsonl(work / "row.jsonl", [m.forms["text"][i]])
            whole, _ = mantissa.eval(m.folder, row, "fp32", "--adapter_name_or_path", adapter,
                                     "--rank", b)
            rows = encode(m.tokenizer, [m.forms["text"][i]], LENGTH)
            checks.near(f"loss of row {i}, eval of the adapter", whole, torch_eval(model, rows)[0],
                        EVAL_TOLERANCE)
            part, _ = mantissa.eval(m.folder, row, "fp32", "--adapter_name_or_path", out)
            checks.near(f"loss of row {i}, eval of the export", part, whole, EVAL_TOLERANCE)


# ------------------------------------------------------------------------------------- merge

def weights_of(folder):
    return {key: value for file in sorted(folder.glob("*.safetensors"))
            for key, value in load_file(file).items()}


def same_tensors(checks, what, found, wanted):
    different = [key for key in wanted if key not in found or found[key].dtype != wanted[key].dtype
                 or not torch.equal(found[key], wanted[key])]
    checks.check(found.keys() == wanted.keys() and not different,
                 f"{what}: {len(wanted)} tensors, to the bit {different[:3] or ''}")


def check_merge(checks, mantissa, m, work, adapter, rank):
    print(f"\n{m.name}: merge of {rank or 'all'} ranks")
    of_part = ("--rank", rank) if rank else ()
    name = f"{adapter.name} merged {rank}"
    out = mantissa.merge(m.folder, adapter, work / name, "--dtype", "float32", *of_part)
    model, told = open_model(out)
    checks.check(not told, f"transformers opens it {told or ''}")
    part = mantissa.export(adapter, work / f"{name} part", *of_part)
    wanted = PeftModel.from_pretrained(open_model(m.folder)[0], part).eval()
    check_near(checks, "logits", logits_of(model, m.train_rows), logits_of(wanted, m.train_rows))
    text = m.forms["text"][0]["text"]
    checks.check(AutoTokenizer.from_pretrained(out)(text)["input_ids"] ==
                 AutoTokenizer.from_pretrained(m.folder)(text)["input_ids"], "AutoTokenizer")
    floats = weights_of(out)
    for kind in ("bfloat16", "float16"):
        other = mantissa.merge(m.folder, adapter, work / f"{name} {kind}", "--torch_dtype", kind,
                               "--max_shard_size", "60KB", *of_part)
        dtype = getattr(torch, kind)
        same_tensors(checks, kind, weights_of(other),
                     {key: value.to(dtype) for key, value in floats.items()})
        index = json.loads((other / "model.safetensors.index.json").read_text())
        total = sum(value.numel() * 2 for value in floats.values())
        checks.check(index["metadata"]["total_size"] == total and
                     len(set(index["weight_map"].values())) > 1 and
                     index["weight_map"].keys() == floats.keys(), f"{kind}: index of shards")
        opened, told = AutoModelForCausalLM.from_pretrained(other, output_loading_info=True)
        checks.check(opened.dtype == dtype and not any(told.values()), f"{kind}: {opened.dtype}")
    stored = {value.dtype for value in weights_of(m.folder).values()}
    same = mantissa.merge(m.folder, adapter, work / f"{name} same", *of_part)
    same_tensors(checks, f"as the base, {stored}", weights_of(same),
                 {key: value.to(*stored) for key, value in floats.items()})


# -------------------------------------------------------------------------------------- gguf

def rows_of_llama(name, b, config):
    """As LlamaModel of llama.cpp's converter: permute."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    part = name.split(".")[-1]
    return tiny_gguf.permute(b, heads[part]) if part in heads else b


def rows_of_falcon(name, b, config):
    """As FalconModel of llama.cpp's converter."""
    if not name.endswith("query_key_value"):
        return b
    heads = config.num_attention_heads
    kv = 1 if config.multi_query and not config.new_decoder_architecture else config.num_kv_heads
    d = config.hidden_size // heads
    qkv = b.reshape(kv, heads // kv + 2, d, b.shape[1])
    return np.concatenate([qkv[:, :-2].reshape(-1, b.shape[1]), qkv[:, -2].reshape(-1, b.shape[1]),
                           qkv[:, -1].reshape(-1, b.shape[1])])


ORDERS = {"llama": ("llama", rows_of_llama), "mistral": ("llama", rows_of_llama),
          "qwen2": ("qwen2", lambda name, b, config: b), "falcon": ("falcon", rows_of_falcon)}


def read_gguf(path):
    reader = gguf.GGUFReader(path)
    keys = {key: field.contents() for key, field in reader.fields.items()
            if not key.startswith("GGUF.")}
    return keys, {t.name: np.array(t.data) for t in reader.tensors}


def check_gguf(checks, path, adapter, ranks, config):
    """The file has what llama.cpp's converter makes of the adapter's first ranks."""
    keys, found = read_gguf(path)
    modules, peft_config = read_adapter(adapter)
    arch, order = ORDERS[config.model_type]
    alpha = scale_of(peft_config, ranks) * ranks
    checks.check(keys.keys() == {"general.architecture", "general.type", "adapter.type",
                                 "adapter.lora.alpha"} and
                 keys["general.architecture"] == arch and keys["general.type"] == "adapter" and
                 keys["adapter.type"] == "lora" and
                 abs(keys["adapter.lora.alpha"] - alpha) <= 1e-6 * alpha, f"keys: {keys}")
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper()),
                                     config.num_hidden_layers)
    wanted = {}
    for name, (a, b) in modules.items():
        tensor = names.get_name(name + ".weight", try_suffixes=(".weight",))
        wanted[tensor + ".lora_a"] = a[:ranks].numpy()
        wanted[tensor + ".lora_b"] = order(name, b[:, :ranks].numpy(), config)
    different = [key for key in wanted if key not in found or
                 not np.array_equal(found[key], wanted[key])]
    checks.check(found.keys() == wanted.keys() and not different,
                 f"{len(wanted)} tensors, to the bit {different[:3] or ''}")
    return found, alpha / ranks


def check_gguf_export(checks, mantissa, m, work, adapter, ranks):
    config = open_model(m.folder)[0].config
    for b in ranks:
        print(f"\n{m.name}: GGUF adapter of {b} ranks")
        out = mantissa.export(adapter, work / f"{adapter.name} {b}.gguf", "--rank", b)
        check_gguf(checks, out, adapter, b, config)
    out = mantissa.export(adapter, work / f"{adapter.name} gguf", "--format", "gguf",
                          "--model_name_or_path", m.folder)
    checks.check([file.name for file in out.iterdir()] == ["adapter_model.gguf"],
                 "--format gguf: adapter_model.gguf in the folder")
    check_gguf(checks, out / "adapter_model.gguf", adapter,
               json.loads((adapter / "adapter_config.json").read_text())["r"], config)


def check_gguf_base(checks, mantissa, work, name):
    """A base in a GGUF file: merged as its folder; and as llama.cpp adds the GGUF adapter."""
    print(f"\n{name} in a GGUF file")
    make, pre, _ = tiny_gguf.CASES[name]
    tok, ids, scores = tiny_gguf.pieces() if pre == "pieces" else tiny_gguf.byte_level(pre)
    model = make().eval()
    folder, path = work / f"base {name}", work / f"base {name}.gguf"
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tok).save_pretrained(folder)
    tok.save(str(folder / "tokenizer.json"))
    tiny_gguf.write_gguf(path, model, tok, ids, scores, pre)

    class Base:
        pass

    m = Base()
    m.name, m.folder = name, folder
    adapter = work / f"adapter {name}"
    make_adapter(m, adapter, r=8, lora_alpha=16, target_modules="all-linear")
    of_folder = weights_of(mantissa.merge(folder, adapter, work / f"folder {name}", "--rank", 3))
    merged = mantissa.merge(path, adapter, work / f"file {name}", "--rank", 3)
    of_file = weights_of(merged)
    if "lm_head.weight" not in of_file:
        of_folder.pop("lm_head.weight", None)
    same_tensors(checks, "merged as the folder is", of_file, of_folder)
    opened, told = open_model(merged)
    checks.check(not told, f"transformers opens it {told or ''}")
    rows = [(list(range(3, 60)), None)]
    wanted = logits_of(added_to(open_model(folder)[0], adapter, 3), rows)
    check_near(checks, "logits", logits_of(opened, rows), wanted)
    line = tiny_gguf.training_lines()[0]
    checks.check(AutoTokenizer.from_pretrained(merged)(line)["input_ids"] == tok.encode(line).ids,
                 "AutoTokenizer")
    half = weights_of(mantissa.merge(path, adapter, work / f"half {name}", "--rank", 3, "--dtype",
                                     "bfloat16"))
    same_tensors(checks, "bfloat16", half,
                 {key: value.to(torch.bfloat16) for key, value in of_file.items()})

    out = mantissa.export(adapter, work / f"adapter {name}.gguf", "--rank", 3,
                          "--model_name_or_path", path)
    found, scale = check_gguf(checks, out, adapter, 3, model.config)
    _, base = read_gguf(path)
    after = work / f"after {name}.gguf"
    tiny_gguf.write_gguf(after, opened, tok, ids, scores, pre)
    _, wanted = read_gguf(after)
    errors = [np.abs(base[key] + scale * found[key + ".lora_b"] @ found[key + ".lora_a"] -
                     wanted[key]).max() for key in base if key + ".lora_a" in found]
    checks.check(len(errors) == len(found) / 2 and max(errors) <= SUM_TOLERANCE,
                 f"{len(errors)} weights of the file with the GGUF adapter in them: largest "
                 f"difference to the merged ones {max(errors):.2e} (at most {SUM_TOLERANCE:g})")


def check_falcon(checks, mantissa, work, name, **more):
    print(f"\nFalcon, {name}")
    folder, adapter = work / f"falcon {name}", work / f"falcon adapter {name}"
    config = FalconConfig(vocab_size=64, hidden_size=48, num_hidden_layers=2,
                          num_attention_heads=6, **more)
    FalconForCausalLM(config).save_pretrained(folder)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules="all-linear"))
    with torch.no_grad():
        for parameter_name, p in model.named_parameters():
            if "lora_B" in parameter_name:
                p.copy_(torch.randn(p.shape))
    model.save_pretrained(adapter)
    out = mantissa.export(adapter, work / f"falcon {name}.gguf", "--rank", 3,
                          "--model_name_or_path", folder)
    check_gguf(checks, out, adapter, 3, config)


# --------------------------------------------------------------------------------------- all

def check_all(checks, mantissa, work):
    texts = read_texts()
    for kind in ("llama", "tied", "qwen2", "mistral"):
        m = Model(kind, work, texts)
        adapter, root = work / f"{kind} adapter", work / f"{kind} root adapter"
        make_adapter(m, adapter, r=8, lora_alpha=12, target_modules="all-linear")
        make_adapter(m, root, r=4, lora_alpha=8, use_rslora=True,
                     target_modules=["q_proj", "k_proj", "down_proj"])
        if kind in ("llama", "qwen2"):
            check_ranks(checks, mantissa, m, work, adapter, (1, 4, 8))
            check_ranks(checks, mantissa, m, work, root, (1, 2, 4))
        for rank in (0, 3) if kind == "llama" else (5,):
            check_merge(checks, mantissa, m, work, adapter, rank)
        check_merge(checks, mantissa, m, work, root, 0)
        check_gguf_export(checks, mantissa, m, work, adapter, (1, 8))
        check_gguf_export(checks, mantissa, m, work, root, (2, 4))
    for name in ("wide heads", "llama3", "qwen2"):
        check_gguf_base(checks, mantissa, work, name)
    check_falcon(checks, mantissa, work, "groups", num_kv_heads=2, new_decoder_architecture=True)
    check_falcon(checks, mantissa, work, "one head of keys", multi_query=True,
                 new_decoder_architecture=False)


def main():
    words = sys.argv[1:]
    if not words and not os.environ.get("MANTISSA_BUILD"):
        print("skipped: MANTISSA_BUILD not set")
        return 77
    if len(words) > 1:
        print(__doc__)
        return 2
    program = Path(words[0] if words else Path(os.environ["MANTISSA_BUILD"]) / "mantissa").resolve()
    started = time.monotonic()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"peft {peft.__version__}")
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        check_all(checks, Exporter(program), Path(name))
    print(f"\n{checks.failed} comparisons failed, {time.monotonic() - started:.0f} s")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
