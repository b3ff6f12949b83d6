#!/usr/bin/env python3
"""Compare 4-bit weights of Mantissa with bitsandbytes and transformers: code for code.

    check_nf4.py TEST_NF4 MANTISSA [MODEL...]
    check_nf4.py --golden

TEST_NF4  the built tests/unit/test_nf4; MANTISSA the command; MODEL folders of language models

  numbers  codes, scales, their codes, nested scales, offset, map, and dequantised values of random
           matrices (normal, uniform, with zeros, huge, tiny, odd sizes, ...), and of each matrix of
           each MODEL's layers: all equal to bitsandbytes', bit for bit
  errors   N(0, 1), 1024 x 1024: mean error and mean relative error of bitsandbytes' own test
  folders  a tiny random model of each of two architectures, and each MODEL: `mantissa quantize` and
           save_pretrained of transformers with bitsandbytes write the same model.safetensors, byte
           for byte; ours, in shards, opens in transformers with logits equal to 1e-3; `mantissa
           eval` gives the same loss of both, and transformers' to 1e-5, of a folder without double
           quantisation, too; the same of what `mantissa synth` writes in 16 bits

The second prints the table of tests/unit/test_nf4.c.  Exit status 1 if anything differs, 77 if
bitsandbytes is not installed.

torch must compute as its scalar code does, on one thread, for its mean of scales and its map are
not the same in all builds: the script starts itself anew with ATEN_CPU_CAPABILITY=default.
Needs bitsandbytes, accelerate, numpy, safetensors, tokenizers, torch and transformers.
"""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CAPABILITY = "ATEN_CPU_CAPABILITY"
BLOCK, NESTED = 64, 256
ABS_ERROR, RELATIVE_ERROR = 0.072798, 0.203339  # of other random numbers: 3 sigma are 2e-4, 1e-3
LOGIT_TOLERANCE, LOSS_TOLERANCE = 1e-3, 1e-5
GOLDEN = [(1, 1), (1, 2), (3, 65), (7, 45), (20, 64), (33, 1000), (130, 2048)]
TEXTS = ["The quick brown fox jumps over the lazy dog.", "4 bits, 16 numbers.", "a", "x = [1, 2]\n"]

if importlib.util.find_spec("bitsandbytes") is None:
    print("skipped: bitsandbytes is not installed")
    sys.exit(77)
if os.environ.get(CAPABILITY) != "default":
    os.execve(sys.executable, [sys.executable, *sys.argv],
              {**os.environ, CAPABILITY: "default", "TORCHDYNAMO_DISABLE": "1"})

# pylint: disable=wrong-import-position
import bitsandbytes as bnb
import bitsandbytes.functional as F
import numpy as np
import torch
import transformers
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig,
                          LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM)


# ---------------------------------------------------------------------------------- both sides

class Checks:
    def __init__(self):
        self.failed = 0

    def check(self, ok, text):
        self.failed += not ok
        print(f"  {'ok    ' if ok else 'FAILED'} {text}", flush=True)


def theirs(x):
    """The seven parts that bitsandbytes makes of a matrix, in the order of ours."""
    t = torch.from_numpy(x)
    codes, state = F.quantize_4bit(t, quant_type="nf4", compress_statistics=True)
    _, plain = F.quantize_4bit(t, quant_type="nf4")
    scales = F.dequantize_blockwise(state.absmax, state.state2) + state.offset
    # not F.dequantize_4bit: that takes wrong scales on AVX-512 where rows are no whole blocks
    values = _dequantize_4bit_compute(codes.reshape(-1), scales, state.code, BLOCK, state.shape,
                                      torch.float32)
    return [p.detach().numpy().reshape(-1) for p in
            (codes, plain.absmax, state.absmax, state.state2.absmax, state.offset.reshape(1),
             state.state2.code, values)]


def ours(program, x):
    n = x.size
    blocks = -(-n // BLOCK)
    out = subprocess.run([program, "--quantize", str(n)], input=x.tobytes(), check=True,
                         stdout=subprocess.PIPE).stdout
    parts, at = [], 0
    for count, kind in ((-(-n // 2), np.uint8), (blocks, np.float32), (blocks, np.uint8),
                        (-(-blocks // NESTED), np.float32), (1, np.float32), (256, np.float32),
                        (n, np.float32)):
        size = count * np.dtype(kind).itemsize
        parts.append(np.frombuffer(out[at:at + size], dtype=kind))
        at += size
    assert at == len(out)
    return parts


# ------------------------------------------------------------------------------------- numbers

def random_matrices():
    rng = np.random.default_rng(20240601)

    def normal(*shape):
        return rng.standard_normal(shape)

    with_zeros = normal(256, 1000)
    with_zeros[rng.random(with_zeros.shape) < 0.5] = 0
    with_zeros[100:120] = 0
    one_tiny = np.zeros((64, 640))
    one_tiny[0, 0] = 1e-39
    wide = np.exp(3 * normal(640, 640)) * np.sign(normal(640, 640))
    halfs = torch.from_numpy(normal(512, 1024)).to(torch.bfloat16).double().numpy()
    yield from (("normal", normal(1024, 1024)), ("uniform", rng.uniform(-1, 1, (300, 333))),
                ("one", normal(1, 1)), ("less than a block", normal(7, 9)),
                ("an odd size", normal(3, 65)), ("zeros", with_zeros),
                ("only zeros", np.zeros((64, 64))), ("zeros to an odd end", np.zeros((3, 65))),
                ("one number", np.full((64, 64), 0.25)), ("huge", 1e30 * normal(100, 640)),
                ("tiny", 1e-36 * normal(100, 640)), ("subnormal", 1e-40 * normal(100, 640)),
                ("one tiny", one_tiny), ("wide", wide), ("bfloat16", halfs),
                ("ties", rng.integers(-8, 8, (512, 1024)) / 8))
    for _ in range(20):
        rows, cols = rng.integers(1, 300, 2)
        yield "random", normal(rows, cols) * 10.0 ** rng.integers(-6, 6)


PARTS = ("codes", "scales", "codes of scales", "nested scales", "offset", "map", "values")


def differences(program, x):
    """Names of the parts that differ, with how many numbers."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    found, wanted = ours(program, x), theirs(x)
    return [f"{name}: {np.count_nonzero(a != b)} of {b.size}"
            for name, a, b in zip(PARTS, found, wanted) if a.tobytes() != b.tobytes()]


def check_numbers(checks, program):
    print("random matrices against quantize_4bit")
    count = 0
    for name, x in random_matrices():
        bad = differences(program, x)
        count += x.size
        if bad:
            checks.check(False, f"{name} {x.shape}: {'; '.join(bad)}")
    checks.check(True, f"{count} numbers compared")
    x = np.random.default_rng(7).standard_normal((1024, 1024)).astype(np.float32)
    error = np.abs(ours(program, x)[6].reshape(x.shape) - x)
    relative = np.mean(error / (np.abs(x) + 1e-8))
    checks.check(abs(error.mean() - ABS_ERROR) < 2e-4, f"N(0, 1): mean error {error.mean():.6f}, "
                 f"bitsandbytes' test has {ABS_ERROR}")
    checks.check(abs(relative - RELATIVE_ERROR) < 1e-3, f"N(0, 1): mean relative error "
                 f"{relative:.6f}, bitsandbytes' test has {RELATIVE_ERROR}")


def check_model(checks, program, folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    count, bad = 0, []
    for name, p in model.named_parameters():
        if ".layers." in name and p.ndim == 2:
            count += 1
            bad += [f"{name}: {d}" for d in
                    differences(program, p.detach().float().numpy())]
    checks.check(count > 0 and not bad, f"{folder}: {count} matrices; {'; '.join(bad[:3]) or 'equal'}")


# ------------------------------------------------------------------------------------- folders

def bytes_tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|end|>"])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>")


def tiny_models(folder):
    """Rows that are no whole blocks; biases; tied words."""
    common = dict(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=257,
                  max_position_embeddings=256, initializer_range=0.15, eos_token_id=256)
    torch.manual_seed(1)
    made = {"llama": LlamaForCausalLM(LlamaConfig(**common, hidden_size=80, intermediate_size=112)),
            "qwen2": Qwen2ForCausalLM(Qwen2Config(**common, hidden_size=64, intermediate_size=200,
                                                  tie_word_embeddings=True)).to(torch.bfloat16)}
    for name, model in made.items():
        for p in model.parameters():
            if p.ndim == 1:
                p.data = 1 + torch.randn_like(p) * 0.2
        model.save_pretrained(folder / name)
        bytes_tokenizer().save_pretrained(folder / name)
        yield folder / name


def synthetic_models(mantissa, folder):
    """In 4 bits `mantissa synth` writes what `mantissa quantize` makes of this (test_synth).  Not a
    Falcon: transformers 5.23 leaves its linear layers as they are, and refuses them in 4 bits."""
    run(mantissa, "synth", "--like", "llama-tiny", "--base_bits", 16, "--output_dir",
        folder / "synthetic")
    yield folder / "synthetic"


def save_theirs(model, out, double=True):
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                bnb_4bit_use_double_quant=double,
                                bnb_4bit_compute_dtype=torch.bfloat16)
    loaded = AutoModelForCausalLM.from_pretrained(model, quantization_config=config,
                                                  dtype=torch.bfloat16, device_map="cpu")
    loaded.save_pretrained(out)
    for file in model.glob("tokenizer*"):
        shutil.copy(file, out)  # save_pretrained might make another tokenizer of it


def dequantized(weight):
    """The matrix of a Linear4bit, in fp32; see theirs()."""
    s = weight.quant_state
    scales = F.dequantize_blockwise(s.absmax, s.state2) + s.offset if s.nested else s.absmax
    return _dequantize_4bit_compute(weight.data.reshape(-1), scales, s.code, BLOCK, s.shape,
                                    torch.float32)


def open_in_fp32(folder):
    """The model, computing in fp32 with the numbers that its file stands for."""
    model = AutoModelForCausalLM.from_pretrained(folder, device_map="cpu").eval()
    packed = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, bnb.nn.Linear4bit):
                plain = torch.nn.Linear(child.in_features, child.out_features,
                                        child.bias is not None)
                plain.weight.data = dequantized(child.weight)
                if child.bias is not None:
                    plain.bias.data = child.bias.data
                setattr(parent, name, plain)
                packed += 1
    return torch.nn.Module.float(model), packed  # transformers forbids its own


def loss_and_logits(model, folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    total, tokens, logits = 0.0, 0, []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer(text).input_ids + [model.config.eos_token_id]
            out = model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids]))
            total += out.loss.item() * (len(ids) - 1)
            tokens += len(ids) - 1
            logits.append(out.logits[0].numpy())
    return total / tokens, np.concatenate(logits)


def run(mantissa, *words):
    done = subprocess.run([mantissa, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{mantissa} {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def evaluate(mantissa, folder, file):
    return json.loads(run(mantissa, "eval", folder, "--validation_file", file, "--precision",
                          "fp32", "--num_threads", 1, "--json"))["eval_loss"]


def check_folder(checks, mantissa, model, folder):
    print(f"{model.name}: the folder")
    whole, shards, other, plain = (folder / n for n in ("whole", "shards", "other", "plain"))
    run(mantissa, "quantize", model, "--output_dir", whole)
    run(mantissa, "quantize", model, "--output_dir", shards, "--max_shard_size",
        (whole / "model.safetensors").stat().st_size // 3)
    save_theirs(model, other)
    a, b = ((f / "model.safetensors").read_bytes() for f in (whole, other))
    checks.check(a == b, f"model.safetensors: {len(a)} bytes, "
                 f"{'the same' if a == b else 'not those'} of save_pretrained")
    config, wanted = (json.loads((f / "config.json").read_text()) for f in (whole, other))
    checks.check(all(config.get(k) == wanted[k] for k in ("quantization_config", "dtype")),
                 "config.json: quantization_config and dtype")
    (model_ours, packed), (model_theirs, _) = open_in_fp32(shards), open_in_fp32(other)
    loss, logits = loss_and_logits(model_theirs, other)
    error = np.abs(loss_and_logits(model_ours, shards)[1] - logits).max()
    checks.check(packed > 0 and error <= LOGIT_TOLERANCE, f"transformers opens it, {packed} "
                 f"matrices in 4 bits: logits differ by {error:.2e}")
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    found = [evaluate(mantissa, f, file) for f in (whole, shards, other)]
    checks.check(found[0] == found[1] == found[2] and abs(found[0] - loss) <= LOSS_TOLERANCE,
                 f"loss of ours, in shards, of theirs: {found}; by transformers {loss:.7f}")
    save_theirs(model, plain, double=False)
    loss, found = loss_and_logits(open_in_fp32(plain)[0], plain)[0], evaluate(mantissa, plain, file)
    checks.check(abs(found - loss) <= LOSS_TOLERANCE, "without double quantisation: loss "
                 f"{found:.7f}, by transformers {loss:.7f}")


# --------------------------------------------------------------------------------------- golden

def golden_numbers(n, seed):
    """As fill in test_nf4.c."""
    state, values = seed, np.empty(n, dtype=np.float32)
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        values[i] = np.ldexp(np.float32((state >> 8 & 0xffff) - 0x8000), -15 - (state >> 24) % 13)
    return values


def fnv1a(data):
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 & 0xffffffff
    return value


def print_golden():
    for seed, (rows, cols) in enumerate(GOLDEN, 1):
        parts = theirs(golden_numbers(rows * cols, seed).reshape(rows, cols))
        del parts[5]  # the map
        print(f"    {{{rows}, {cols}, {', '.join(f'0x{fnv1a(p.tobytes()):08x}' for p in parts)}}},")


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    words = sys.argv[1:]
    if words == ["--golden"]:
        print_golden()
        return 0
    if len(words) < 2:
        print(__doc__)
        return 2
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"bitsandbytes {bnb.__version__}")
    program, mantissa = (str(Path(w).resolve()) for w in words[:2])
    real = [Path(w) for w in words[2:]]
    checks = Checks()
    check_numbers(checks, program)
    for model in real:
        check_model(checks, program, model)
    with tempfile.TemporaryDirectory() as name:
        for model in [*tiny_models(Path(name)), *synthetic_models(mantissa, Path(name)), *real]:
            with tempfile.TemporaryDirectory() as folder:
                check_folder(checks, mantissa, model, Path(folder))
    print(f"{checks.failed} comparisons failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
