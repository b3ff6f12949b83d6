#!/usr/bin/env python3
"""What number formats and ranks cost a language model in training: its loss on held-out answers.

    studies/language_study.py --mantissa build/mantissa --model MODEL_DIR --data INSTRUCT_DIR
                        --work FOLDER --out RESULTS.jsonl [--parts formats,ranks]
                        [--sets rasbt,gsm8k] [--methods lora,full] [--seeds 1,2]
                        [--formats fp32,int8,int8-plain] [--ranks 1,4,16,64]
                        [--kinds sample,matryoshka,lora] [--rates 2e-4,5e-4,1e-3]
                        [--rows 1000] [--held_out 100] [--steps 250] [--batch 8] [--length 256]
                        [--lora_rate 5e-4] [--full_rate 2e-5] [--threads 2] [--table]

Data, in INSTRUCT_DIR: rasbt is rasbt_instruction_data.json, shuffled, its last --held_out rows held
out; gsm8k the first --rows of gsm8k-train.jsonl and the first --held_out of gsm8k-test.jsonl.

formats   --methods x --formats x --seeds on --sets; lora with rank 16 and alpha 32.  int8-plain is
          int8 without outlier features.
ranks     on rasbt, in int8, with the first seed: one dylora run for all ranks up to the largest of
          --ranks, by sampling and as Matryoshka, and one lora run for each rank, all with --steps
          steps and each with every rate of --rates; evaluated at --ranks.

Every run is one line of RESULTS.jsonl; runs that are there are not repeated, and one that was
stopped goes on from its last checkpoint in FOLDER.  --table prints the tables of the file.  Needs
Python's standard library.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

FORMATS = {"fp32": ["--precision", "fp32"], "bf16": ["--precision", "bf16"],
           "int8": ["--precision", "int8"],
           "int8-plain": ["--precision", "int8", "--outliers", "none"],
           "int12": ["--precision", "int12"], "int16": ["--precision", "int16"]}
METHODS = {"full": ["--method", "full"],
           "lora": ["--method", "lora", "--lora_r", "16", "--lora_alpha", "32"]}
KINDS = ("sample", "matryoshka", "lora")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("mantissa", "model", "data", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--out", required=True)
    for name, default in (("parts", "formats,ranks"), ("sets", "rasbt,gsm8k"),
                          ("methods", "lora,full"), ("formats", "fp32,int8,int8-plain"),
                          ("seeds", "1,2"), ("ranks", "1,4,16,64"),
                          ("kinds", "sample,matryoshka,lora"), ("rates", "2e-4,5e-4,1e-3"),
                          ("lora_rate", "5e-4"), ("full_rate", "2e-5")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("rows", 1000), ("held_out", 100), ("steps", 250), ("batch", 8),
                          ("length", 256), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true")
    o = parser.parse_args()
    if not o.table:
        check(parser, o)
    return o


def check(parser, o):
    for name in ("mantissa", "model", "data", "work"):
        if getattr(o, name) is None:
            parser.error(f"--{name} is missing")
    for name, known in (("parts", ("formats", "ranks")), ("sets", ("rasbt", "gsm8k")),
                        ("methods", METHODS), ("formats", FORMATS), ("kinds", KINDS)):
        for word in getattr(o, name).split(","):
            if word not in known:
                parser.error(f"--{name}: expected some of {','.join(known)}, found {word}")


def read_rows(o, name):
    """Rows to train on and rows held out."""
    if name == "rasbt":
        with open(os.path.join(o.data, "rasbt_instruction_data.json"), encoding="utf-8") as file:
            rows = json.load(file)
        random.Random(1).shuffle(rows)
        rows, held_out = rows[:-o.held_out], rows[-o.held_out:]
    else:
        rows, held_out = (read(os.path.join(o.data, f"gsm8k-{split}.jsonl"))
                          for split in ("train", "test"))
    return rows[:o.rows], held_out[:o.held_out]


def files_of(o, name):
    """Training and validation file, made from the data at first."""
    paths = [os.path.join(o.work, f"{name}_{o.rows}_{o.held_out}_{part}.jsonl")
             for part in ("train", "dev")]
    if not all(os.path.exists(path) for path in paths):
        for path, rows in zip(paths, read_rows(o, name)):
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            os.replace(path + ".new", path)
    return paths


def data_options(o, name):
    train, dev = files_of(o, name)
    return ["--model_name_or_path", o.model, "--train_file", train, "--validation_file", dev,
            "--max_seq_length", str(o.length), "--per_device_eval_batch_size", str(o.batch),
            "--num_threads", str(o.threads)]


def train(o, run, options):
    """Train; the folder that it was written to."""
    folder = os.path.join(o.work, "_".join(str(value) for value in run.values()))
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "eval_results.json")):
        return folder
    command = [o.mantissa, "train", *data_options(o, run["set"]), "--output_dir", folder,
               "--seed", str(run["seed"]), "--learning_rate", run["rate"], "--max_steps",
               str(run["steps"]), "--per_device_train_batch_size", str(run["batch"]),
               "--warmup_ratio", "0.03", "--logging_steps", "10", "--save_steps", "50",
               "--save_total_limit", "1", *options]
    if any(name.startswith("checkpoint-") for name in os.listdir(folder)):
        command += ["--resume_from_checkpoint", "last"]
    else:  # what a run left that was stopped before its first checkpoint
        command.append("--overwrite_output_dir")
    subprocess.run(command, check=True)
    return folder


def train_and_evaluate(o, run, options):
    with open(os.path.join(train(o, run, options), "eval_results.json")) as file:
        return json.load(file)["eval_loss"]


def evaluate(o, name, folder, options):
    command = [o.mantissa, "eval", *data_options(o, name), "--json", *options]
    at = command.index("--train_file")
    del command[at:at + 2]
    if folder is not None:
        command += ["--adapter_name_or_path", folder]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])["eval_loss"]


def sizes(o, name, seed, rate):
    return {"set": name, "seed": int(seed), "rate": rate, "rows": o.rows, "held_out": o.held_out,
            "steps": o.steps, "batch": o.batch, "length": o.length}


def format_runs(o):
    """Each run of the part as what it is and what computes its loss."""
    for name in o.sets.split(","):
        for kind in o.formats.split(","):
            run = {"part": "before", "format": kind, **sizes(o, name, 0, "0"), "steps": 0}
            yield run, lambda run, name=name, kind=kind: {
                "loss": evaluate(o, name, None, FORMATS[kind])}
    for seed in o.seeds.split(","):
        for name in o.sets.split(","):
            for method in o.methods.split(","):
                for kind in o.formats.split(","):
                    rate = o.lora_rate if method == "lora" else o.full_rate
                    run = {"part": "formats", "method": method, "format": kind,
                           **sizes(o, name, seed, rate)}
                    yield run, lambda run: {"loss": train_and_evaluate(
                        o, run, METHODS[run["method"]] + FORMATS[run["format"]])}


def train_ranks(o, run):
    """The loss at every rank, of one run: that of dylora at all of o.ranks, of lora at its own."""
    rank = str(run["rank"])
    if run["kind"] == "lora":
        options = ["--method", "lora", "--lora_r", rank, "--lora_alpha", "16"]
        return {"losses": {rank: train_and_evaluate(o, run, options)}}
    alpha = "1" if run["kind"] == "matryoshka" else "16"
    options = ["--method", "dylora", "--lora_r", rank, "--rank_weighting", run["kind"],
               "--lora_alpha", alpha]
    folder = train(o, run, options)
    return {"losses": {b: evaluate(o, run["set"], folder, ["--rank", b])
                       for b in o.ranks.split(",")}}


def rank_runs(o):
    ranks = [int(rank) for rank in o.ranks.split(",")]
    seed = o.seeds.split(",")[0]
    for rate in o.rates.split(","):
        for kind in o.kinds.split(","):
            for rank in ranks if kind == "lora" else [max(ranks)]:
                yield ({"part": "ranks", "kind": kind, "rank": rank,
                        **sizes(o, "rasbt", seed, rate)}, lambda run: train_ranks(o, run))


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def same(line, run):
    return all(line.get(key) == value for key, value in run.items())


SIZES = ("rows", "held_out", "steps", "batch", "length")


def print_formats(lines):
    """Means over seeds; below the loss, how far it is from fp32's, seed by seed."""
    before = {(x["set"], x["format"]): x["loss"] for x in lines if x["part"] == "before"}
    runs = [x for x in lines if x["part"] == "formats"]
    if not runs:
        return
    print("| data | method | rate | steps | format | before | held-out loss | above fp32's | "
          "seeds |\n|---|---|---|---|---|---|---|---|---|")
    groups = dict.fromkeys((x["set"], x["method"], x["rate"], x["format"],
                            *(x[k] for k in SIZES)) for x in runs)
    for group in groups:
        found = [x for x in runs if group == (x["set"], x["method"], x["rate"], x["format"],
                                              *(x[k] for k in SIZES))]
        other = {x["seed"]: x["loss"] for x in runs if x["format"] == "fp32" and all(
            x[k] == found[0][k] for k in ("set", "method", "rate", *SIZES))}
        above = [x["loss"] - other[x["seed"]] for x in found if x["seed"] in other]
        start = before.get((group[0], group[3]))
        print(f"| {group[0]} | {group[1]} | {group[2]} | {found[0]['steps']} | {group[3]} | "
              f"{'' if start is None else f'{start:.4f}'} | "
              f"{statistics.mean(x['loss'] for x in found):.4f} | "
              f"{f'{statistics.mean(above):+.4f}' if above else ''} | {len(found)} |")


def print_ranks(lines):
    """Of each kind the losses at all ranks, a line for each rate; lora's runs of a rate together."""
    runs = [x for x in lines if x["part"] == "ranks"]
    ranks = sorted({int(rank) for x in runs for rank in x["losses"]})
    if not runs:
        return
    print(f"| kind | rate | steps | {' | '.join(f'rank {rank}' for rank in ranks)} |")
    print("|---|---|---|" + "---|" * len(ranks))
    for group in dict.fromkeys((x["kind"], x["rate"], *(x[k] for k in SIZES)) for x in runs):
        losses = {}
        for x in runs:
            if group == (x["kind"], x["rate"], *(x[k] for k in SIZES)):
                losses.update(x["losses"])
        cells = [f"{losses[str(rank)]:.4f}" if str(rank) in losses else "" for rank in ranks]
        print(f"| {group[0]} | {group[1]} | {group[4]} | {' | '.join(cells)} |")


def main():
    o = parse()
    if not o.table:
        os.makedirs(o.work, exist_ok=True)
        for part in o.parts.split(","):
            for run, compute in (format_runs if part == "formats" else rank_runs)(o):
                if any(same(line, run) for line in read(o.out)):
                    continue
                start = time.time()
                line = {**run, **compute(run), "seconds": round(time.time() - start)}
                with open(o.out, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)
    lines = read(o.out)
    print_formats(lines)
    print()
    print_ranks(lines)


if __name__ == "__main__":
    sys.exit(main())
