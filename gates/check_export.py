#!/usr/bin/env python3
"""Compare what Mantissa makes of an adapter with PEFT, transformers and the package gguf.

    check_export.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are the tiny ones of check_decoder.py and check_gguf_model.py, the adapters random ones
that PEFT wrote, of rank 8.

  ranks   `export --rank` 1, 4, 8: PEFT opens the folder with the logits of W + alpha / b B A (of
          rsLoRA alpha / sqrt(b)), to 1e-4, and with the loss that `eval --rank b` gives for each
          row, to 1e-5
  merge   `merge`: transformers opens the folder with PEFT's logits, to 1e-4; bfloat16 and float16
          are the rounded float32, to the bit; a base in bfloat16 stays one; shards hold the same
          bytes; AutoTokenizer gives the same ids; of a base in a GGUF file the same bits
  gguf    `export --format gguf`: keys, names, shapes and values as convert_lora_to_gguf.py of
          llama.cpp has them, rows of q and k reordered; added to the weights of a GGUF file of the
          base as llama.cpp does, it gives the weights that `merge` gives, to 1e-6; Falcon's
          query_key_value in all its forms
  heads   adapters of a BERT with outputs of their own: export and merge give the logits of PEFT and
          of `predict --rank b`, to 1e-4; outputs that the base does not have, as Mantissa trains
          them, become the merged model's
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs gguf, numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import subprocess
import sys

import gguf
import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer,
                          PreTrainedTokenizerFast)

import check_gguf_model as tiny_gguf
import model_checks
import check_encoder_adapters as encoders
from check_decoder import (EVAL_TOLERANCE, KINDS, LENGTH, Checks, Mantissa, Model, encode, logits_of,
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
          "falcon": ("falcon", rows_of_falcon),
          **{kind: (arch, lambda name, b, config: b) for kind, arch in
             (("qwen2", "qwen2"), ("qwen3", "qwen3"), ("gemma3_text", "gemma3"))}}


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


# ------------------------------------------------------------------------------------- heads

def logits_of_texts(folder, case):
    model, told = AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, attn_implementation="eager")
    assert not told["missing_keys"], told
    return model, encoders.torch_logits(model.eval(), case.tokenizer, case.texts)


def check_heads(checks, mantissa, work):
    predict = encoders.Mantissa(mantissa.program)
    case = encoders.Case(encoders.Checks(), predict, work, encoders.BERT, "classes")
    adapter = case.make_adapter("peft", r=8, lora_alpha=12, target_modules=["query", "dense"],
                                modules_to_save=None)
    for rank in (3, 8):
        print(f"\nBERT with outputs of its own: {rank} ranks")
        out = mantissa.export(adapter, work / f"bert {rank}", "--rank", rank)
        wanted = encoders.torch_logits(case.open_adapter(out), case.tokenizer, case.texts)
        check_near(checks, "predict", predict.logits(case.model, adapter, case.file, "--rank", rank),
                   wanted)
        merged = mantissa.merge(case.model, adapter, work / f"bert merged {rank}", "--rank", rank)
        check_near(checks, "merged", logits_of_texts(merged, case)[1], wanted)
    checks.failed += case.checks.failed

    print("\nBERT with outputs that the base does not have")
    rows = encoders.write_rows(work, "two", case.texts, ["yes" if len(text) % 2 else "no"
                                                         for text in case.texts])
    trained = work / "two labels"
    predict.train(case.model, rows, trained, "--precision", "fp32", "--method", "lora", "--lora_r",
                  4)
    merged = mantissa.merge(case.model, trained, work / "two merged", "--dtype", "float32")
    model, found = logits_of_texts(merged, case)
    check_near(checks, "merged", found, predict.logits(case.model, trained, rows))
    checks.check(sorted(model.config.id2label.values()) == ["no", "yes"],
                 f"labels {model.config.id2label}")
    other = case.make_adapter("five", labels=5, r=4, target_modules=["query"])
    done = subprocess.run([mantissa.program, "merge", case.model, "--adapter_name_or_path", other,
                           "--output_dir", work / "none"], capture_output=True, text=True,
                          check=False)
    checks.check(done.returncode == 1 and "has none of this shape" in done.stderr,
                 f"PEFT's folder of five labels is refused: {done.stderr.strip()[-120:]}")


# --------------------------------------------------------------------------------------- all

def check_all(checks, mantissa, work):
    texts = read_texts()
    for kind in KINDS:
        m = Model(kind, work, texts)
        adapter, root = work / f"{kind} adapter", work / f"{kind} root adapter"
        make_adapter(m, adapter, r=8, lora_alpha=12, target_modules="all-linear")
        targets = ["query_key_value"] if "falcon" in kind else ["q_proj", "k_proj", "down_proj"]
        make_adapter(m, root, r=4, lora_alpha=8, use_rslora=True, target_modules=targets)
        if kind in ("llama", "qwen2"):
            check_ranks(checks, mantissa, m, work, adapter, (1, 4, 8))
            check_ranks(checks, mantissa, m, work, root, (2, 4))
        for rank in (0, 3) if kind == "llama" else (5,):
            check_merge(checks, mantissa, m, work, adapter, rank)
        check_merge(checks, mantissa, m, work, root, 3)
        check_gguf_export(checks, mantissa, m, work, adapter, (1, 8))
        check_gguf_export(checks, mantissa, m, work, root, (2, 4))
    for name in ("wide heads", "llama3", "qwen2", "qwen3"):
        check_gguf_base(checks, mantissa, work, name)
    check_heads(checks, mantissa, work)


if __name__ == "__main__":
    sys.exit(model_checks.run_gate(__doc__, Checks, Exporter, check_all))
