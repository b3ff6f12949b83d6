#!/usr/bin/env python3
"""How far the gradient of one batch is from fp32's, by number format: |g - g32| / |g32| (2-norms).

    studies/gradient_error.py --mantissa build/mantissa --model MODEL_DIR --task mrpc --data GLUE/MRPC
                              [--batch 32] [--seeds 1,2,3] [--config "int8 --rounding nearest" ...]

A config is a precision and options of mantissa train.  Every run is one step of SGD without
dropout, clipping or decay, with a rate of 1; the difference of the weights is the gradient.  The
model should be one that has been fine-tuned on the task.  Prints a Markdown table: the whole
gradient, word embeddings, and query, value and intermediate weights of the first, the middle and
the last layer; over the seeds of rounding (and of the batch) the root mean square.  Development
only: needs numpy and safetensors.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

CONFIGS = ["int8", "int8 --rounding stochastic", "int8 --rounding nearest",
           "int8 --activation_bits 12", "int8 --weight_bits 12", "int8 --gradient_bits 12",
           "int8 --attention_bits 12", "int10", "int12", "int16"]
PARTS = {"query": "attention.self.query.weight", "value": "attention.self.value.weight",
         "intermediate": "intermediate.dense.weight"}


def gradient(o, before, config, seed):
    with tempfile.TemporaryDirectory() as out:
        command = [o.mantissa, "train", "--model_name_or_path", o.model, "--task_name", o.task,
                   "--data_dir", o.data, "--output_dir", out, "--overwrite_output_dir",
                   "--max_steps", "1", "--per_device_train_batch_size", str(o.batch),
                   "--seed", str(seed), "--optim", "sgd", "--learning_rate", "1",
                   "--lr_scheduler_type", "constant", "--max_grad_norm", "0",
                   "--weight_decay", "0", "--hidden_dropout", "0", "--attention_dropout", "0",
                   "--classifier_dropout", "0", "--do_eval", "false", "--save_strategy", "no",
                   "--precision"] + config.split()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"gradient_error: {config}: {done.stderr.strip()}")
        after = load_file(os.path.join(out, "model.safetensors"))
    return {k: before[k].astype(np.float64) - after[k] for k in before if k in after}


def parts_of(names):
    layers = 1 + max(int(n.split("layer.")[1].split(".")[0]) for n in names if "layer." in n)
    yield "all", list(names)
    yield "words", [n for n in names if n.endswith("word_embeddings.weight")]
    for layer in sorted({0, layers // 2, layers - 1}):
        for part, name in PARTS.items():
            yield f"{layer} {part}", [n for n in names if n.endswith(f"layer.{layer}.{name}")]


def relative_error(g, exact, names):
    error = sum(np.sum((g[n] - exact[n]) ** 2) for n in names)
    return error / sum(np.sum(exact[n] ** 2) for n in names)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mantissa", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--task", default="mrpc")
    p.add_argument("--data", required=True)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--config", action="append", help="may be repeated; default: a list of them")
    o = p.parse_args()
    before = load_file(os.path.join(o.model, "model.safetensors"))
    seeds = [int(s) for s in o.seeds.split(",")]
    exact = {s: gradient(o, before, "fp32", s) for s in seeds}
    parts = list(parts_of(exact[seeds[0]]))
    print("| format | " + " | ".join(name for name, _ in parts) + " |")
    print("|---" * (len(parts) + 1) + "|")
    for config in o.config or CONFIGS:
        found = {s: gradient(o, before, config, s) for s in seeds}
        errors = [np.sqrt(np.mean([relative_error(found[s], exact[s], names) for s in seeds]))
                  for _, names in parts]
        print(f"| {config} | " + " | ".join(f"{e:.3f}" for e in errors) + " |", flush=True)


if __name__ == "__main__":
    main()
