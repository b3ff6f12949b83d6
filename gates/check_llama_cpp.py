#!/usr/bin/env python3
"""Compare a GGUF adapter of Mantissa in llama.cpp with Mantissa and transformers.  Run by hand.

    check_llama_cpp.py MANTISSA BASE.gguf [--rank B] [--lines N]

MANTISSA is the command, BASE.gguf a model file that it reads, with a tokenizer that it reads.

A DyLoRA adapter of 8 ranks is trained for some steps on N lines of the LICENSE, with a rate so high
that logits move far.  Then, for its first B ranks (default 4):

  export   writes the GGUF adapter, which llama.cpp applies to the base
  merge    writes base and adapter as a folder, whose logits transformers computes
  llama    llama.cpp's logits with the adapter against those, to 5e-3; they must be a thousand times as far
           from those without it; its loss against `mantissa eval --rank B`, to 1e-4.  On the values
           of BASE in float32: in a quantized file llama.cpp rounds activations to 8 bits, too
  file     the same logits on BASE as it is: the difference is printed

Exit status 1 if anything differs by more.  Needs gguf, llama-cpp-python, numpy, torch and
transformers.  Where there is no binary wheel of llama-cpp-python, its source builds with
    pip install --no-binary :all: llama-cpp-python
or only the library, from its vendor/llama.cpp with -DBUILD_SHARED_LIBS=ON and the target llama: then
PYTHONPATH is the folder of its source and LLAMA_CPP_LIB_PATH that of the library.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from llama_cpp import Llama
from transformers import AutoModelForCausalLM

LOGIT_TOLERANCE, LOSS_TOLERANCE, LENGTH, STEPS, ROWS = 5e-3, 1e-4, 64, 12, 6
FLOAT = int(gguf.GGMLQuantizationType.F32)  # of keys and values, which llama.cpp rounds to float16


def run(program, *words, given=None):
    done = subprocess.run([program, *map(str, words)], input=given, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr.decode()}")
    return done.stdout


def write_float(path, out):
    """The file with all values in float32."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(key, field.contents(), kind, field.types[-1])
        else:
            writer.add_key_value(key, field.contents(), kind)
    for t in reader.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
        writer.add_tensor(t.name, values.reshape([int(n) for n in reversed(t.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def texts_of_license(count):
    text = (Path(__file__).resolve().parent.parent / "LICENSE").read_text(encoding="utf-8")
    lines = [" ".join(block.split()) for block in text.split("\n\n")]
    return [line for line in lines if len(line) > 40][:count]


def encode(program, base, lines):
    out = run(program, "tokenize", base, "--format", "jsonl",
              given="".join(line + "\n" for line in lines).encode())
    return [json.loads(line)["input_ids"] for line in out.splitlines()]


def llama_logits(path, rows, adapter=None):
    model = Llama(str(path), n_ctx=LENGTH, n_batch=LENGTH, n_ubatch=LENGTH, logits_all=True,
                  type_k=FLOAT, type_v=FLOAT, flash_attn=False, verbose=False, n_threads=2,
                  lora_path=str(adapter) if adapter else None)
    out = []
    for ids in rows:
        model.reset()
        model.eval(ids)
        out.append(np.array(model.scores[:len(ids)]))
    return out


def torch_logits(folder, rows):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0].numpy() for ids in rows]


def loss_of(logits, rows):
    total = count = 0
    for x, ids in zip(logits, rows):
        p = torch.log_softmax(torch.tensor(x[:-1]).double(), -1)
        total -= p.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()
        count += len(ids) - 1
    return total / count


def distance(found, wanted):
    return max(np.abs(a - b).max() for a, b in zip(found, wanted))


def check(program, base, rank, count, work):
    texts = texts_of_license(count)
    data, few = work / "rows.jsonl", work / "few.txt"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    adapter, merged, file = work / "adapter", work / "merged", work / "adapter.gguf"
    run(program, "train", "--model_name_or_path", base, "--train_file", data, "--output_dir", adapter,
        "--method", "dylora", "--lora_r", 8, "--lora_alpha", 16, "--max_steps", STEPS,
        "--learning_rate", 2e-3, "--per_device_train_batch_size", 4, "--max_seq_length", LENGTH,
        "--save_strategy", "no")
    run(program, "export", "--adapter_name_or_path", adapter, "--rank", rank, "--output_dir", file,
        "--model_name_or_path", base)
    run(program, "merge", "--model_name_or_path", base, "--adapter_name_or_path", adapter, "--rank",
        rank, "--output_dir", merged)
    # whole rows of a text file, so that eval's tokens are the ones here
    few.write_text("\n".join(texts[:ROWS]))
    ids = encode(program, base, [few.read_text().replace("\n", " ")])[0]
    few.write_text(few.read_text().replace("\n", " "))
    rows = [ids[i:i + LENGTH] for i in range(0, len(ids) - LENGTH + 1, LENGTH)]
    floats = work / "float.gguf"
    write_float(base, floats)

    wanted = torch_logits(merged, rows)
    found, without = llama_logits(floats, rows, file), llama_logits(floats, rows)
    error, far = distance(found, wanted), distance(without, wanted)
    print(f"{len(rows)} rows of {LENGTH} tokens; logits {min(x.min() for x in wanted):.1f} to "
          f"{max(x.max() for x in wanted):.1f}: largest difference {error:.2e} (at most "
          f"{LOGIT_TOLERANCE:g}), without the adapter {far:.2f}")
    out = run(program, "eval", "--model_name_or_path", base, "--validation_file", few, "--precision",
              "fp32", "--max_seq_length", LENGTH, "--adapter_name_or_path", adapter, "--rank", rank,
              "--json")
    loss, ours = loss_of(found, rows), json.loads(out)["eval_loss"]
    print(f"loss {loss:.6f}, mantissa eval {ours:.6f} (at most {LOSS_TOLERANCE:g} apart), without "
          f"the adapter {loss_of(without, rows):.6f}")
    as_it_is = llama_logits(base, rows, file)
    print(f"on {base.name} itself: largest difference {distance(as_it_is, wanted):.2e}, loss "
          f"{loss_of(as_it_is, rows):.6f}")
    return (error <= LOGIT_TOLERANCE and far > 1000 * LOGIT_TOLERANCE and
            abs(loss - ours) <= LOSS_TOLERANCE)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mantissa")
    parser.add_argument("base", type=Path)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--lines", type=int, default=24)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        good = check(words.mantissa, words.base, words.rank, words.lines, Path(name))
    print("ok" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
