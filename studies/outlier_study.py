#!/usr/bin/env python3
"""What outliers cost in 8 bits, and what --outliers feature brings back: tasks, formats and seeds.

    studies/outlier_study.py --mantissa build/mantissa --model MODEL_DIR --data GLUE_DIR
                             --out RESULTS.jsonl [--tasks mrpc,cola] [--seeds 1,2,3]
                             [--formats fp32,tensor,tensor+o,...] [--baseline fp32]
                             [--rows 2000 | --rows 2000,mrpc=-1] [--eval_rows -1]
                             [--epochs 1 | --epochs 1,cola=2] [--lr 5e-5] [--batch 16]
                             [--threads 1] [--jobs 1] [--name MODEL]
                             [--extra "--hidden_dropout 0"] [--table]

A format is fp32, or of 8 bits:

    tensor, row     --exponent_group tensor (or row); else the defaults
    paper           --rounding stochastic --exponent_group tensor --norm_bits 8
    paper-norm      ... with the default's --norm_bits 16; -rounding: with --rounding mixed; -row:
                    with --exponent_group row; several: paper-norm-row
    ...+o           with --outliers feature: paper-norm+o
    ...+o:t8:b14:step
                    and --outlier_threshold 8, --outlier_bits 14, --outlier_update step; any of them

Every run is one line of RESULTS.jsonl; runs that are there are not repeated, so the study can be
stopped and continued.  A run that ends in NaN or infinity has a line with its error and no score.
The score is GLUE's: CoLA Matthews correlation, MRPC and QQP the mean of accuracy and F1, STS-B that
of both correlations, others accuracy (of MNLI, matched); times 100 in the table, with the standard
error of the mean.  --rows and --eval_rows are the first rows of the files, -1 all.  A model that
plant_outliers.py made is to be compared with itself in fp32.  Needs Python's standard library.
"""
import argparse
import concurrent.futures
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from glue_study import load  # noqa: E402

# task: the metrics whose mean is its score
SCORES = {"cola": ["matthews_correlation"], "mrpc": ["accuracy", "f1"], "qqp": ["accuracy", "f1"],
          "stsb": ["pearson", "spearmanr"]}
TASKS = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"]
BASES = {"fp32": {"precision": "fp32"},
         "tensor": {"precision": "int8", "exponent_group": "tensor"},
         "row": {"precision": "int8", "exponent_group": "row"},
         "paper": {"precision": "int8", "rounding": "stochastic", "exponent_group": "tensor",
                   "norm_bits": "8"}}
# paper-PART: what it has instead; the values are the defaults of the command
PARTS = {"norm": {"norm_bits": "16"}, "rounding": {"rounding": "mixed"},
         "row": {"exponent_group": "row"}}
FORMATS = "fp32,tensor,tensor+o,row,row+o,paper,paper+o," + ",".join(
    f"paper-{part}{o}" for part in PARTS for o in ("", "+o"))
# What the command says of a run that left the range of numbers.
NOT_FINITE = re.compile("NaN or infinit")
RECIPE = ("model", "rows", "eval_rows", "epochs", "lr", "batch", "extra")


def options_of(name):
    """The options of a format, as a dict; ValueError: no format."""
    base, plus, outliers = name.partition("+")
    base, *parts = base.split("-")
    if base not in BASES or not set(parts) <= set(PARTS) or (parts and base != "paper"):
        raise ValueError(f"no format: {name!r}")
    options = dict(BASES[base])
    for part in parts:
        options.update(PARTS[part])
    if not plus:
        return options
    letter, *details = outliers.split(":")
    if letter != "o" or base == "fp32":
        raise ValueError(f"no format: {name!r}")
    options["outliers"] = "feature"
    for detail in details:
        found = re.fullmatch(r"t([0-9.]+)|b([0-9]+)|(step|once)", detail)
        if found is None:
            raise ValueError(f"no format: {name!r}: {detail!r}")
        option = ("outlier_threshold", "outlier_bits", "outlier_update")[found.lastindex - 1]
        options[option] = found[found.lastindex]
    return options


def by_task(kind):
    """A type of an option: "3" or "1,rte=3", as values by task."""
    def read(text):
        fields = [f.split("=") for f in text.split(",")]
        everywhere = [kind(f[0]) for f in fields if len(f) == 1]
        named = {f[0]: kind(f[1]) for f in fields if len(f) == 2}
        if len(everywhere) != 1 or not set(named) <= set(TASKS):
            raise argparse.ArgumentTypeError(f"expected VALUE[,TASK=VALUE...], found {text!r}")
        return {t: named.get(t, everywhere[0]) for t in TASKS}
    return read


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("mantissa", "model", "data"):
        p.add_argument(f"--{name}")
    p.add_argument("--out", required=True)
    p.add_argument("--tasks", default="mrpc")
    p.add_argument("--formats", default=FORMATS)
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--rows", type=by_task(int), default="-1", help="of training")
    p.add_argument("--eval_rows", type=int, default=-1)
    p.add_argument("--epochs", type=by_task(float), default="1")
    p.add_argument("--lr", type=float, default=5e-5)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--threads", type=int, default=1, help="threads of one run")
    p.add_argument("--jobs", type=int, default=1, help="runs at a time")
    p.add_argument("--name", help="of the model, in the lines; else that of its folder")
    p.add_argument("--extra", default="", help="more options of mantissa train, of all formats")
    p.add_argument("--baseline", default="fp32", help="the format that differences are to")
    p.add_argument("--table", action="store_true", help="only print the table of RESULTS")
    o = p.parse_args()
    if not o.table and None in (o.mantissa, o.model, o.data):
        p.error("--mantissa, --model and --data are needed to run anything")
    for task in o.tasks.split(","):
        if task not in TASKS:
            p.error(f"--tasks: no task: {task!r}")
    try:
        for name in o.formats.split(","):
            options_of(name)
    except ValueError as error:
        p.error(f"--formats: {error}")
    return o


def commit():
    """Of the repository, or None where there is none."""
    try:
        done = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def run_one(o, run):
    start = time.time()
    with tempfile.TemporaryDirectory() as out:
        command = [o.mantissa, "train", "--model_name_or_path", o.model,
                   "--task_name", run["task"], "--data_dir", o.data,
                   "--output_dir", out, "--overwrite_output_dir", "--seed", str(run["seed"]),
                   "--num_train_epochs", str(run["epochs"]), "--learning_rate", str(run["lr"]),
                   "--per_device_train_batch_size", str(run["batch"]),
                   "--per_device_eval_batch_size", "32", "--warmup_ratio", "0.1",
                   "--weight_decay", "0.01", "--max_seq_length", "128", "--save_strategy", "no",
                   "--do_eval", "true", "--max_train_samples", str(run["rows"]),
                   "--max_eval_samples", str(run["eval_rows"]), "--num_threads", str(o.threads)]
        for name, value in options_of(run["format"]).items():
            command += ["--" + name, value]
        done = subprocess.run(command + run["extra"].split(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        line = dict(run, score=None)
        told = re.findall(r"outliers: .*", done.stderr)
        if told:
            line["outliers"] = told[0]
        if done.returncode == 0:
            with open(os.path.join(out, "eval_results.json")) as file:
                found = json.load(file)
            metrics = {k.removeprefix("eval_"): v for k, v in found.items() if k != "epoch"}
            line["metrics"] = {k: v for k, v in metrics.items() if k not in (
                "loss", "samples", "runtime", "samples_per_second", "steps_per_second")}
            parts = [metrics[m] for m in SCORES.get(run["task"], ["accuracy"])]
            if None not in parts:
                line["score"] = statistics.mean(parts)
            line["eval_loss"] = metrics["loss"]
        elif NOT_FINITE.search(done.stderr):
            line["error"] = done.stderr.strip().split("\n")[-1]
        else:
            sys.exit(f"outlier_study: {' '.join(command)}\n{done.stderr.strip()}")
    return dict(line, seconds=round(time.time() - start, 1), commit=commit())


def cell(values):
    """Mean and its standard error."""
    if not values:
        return "-"
    error = f" ({statistics.stdev(values) / math.sqrt(len(values)):.2f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{error}"


def print_recipe(lines, baseline):
    """Tables of the runs of one recipe."""
    score = {(x["task"], x["format"], x["seed"]): 100 * x["score"] for x in lines
             if x["score"] is not None}
    tasks = [t for t in TASKS if any(x["task"] == t for x in lines)]
    formats = list(dict.fromkeys(x["format"] for x in lines))

    def scores(task, form):
        return {s: v for (t, f, s), v in score.items() if (t, f) == (task, form)}
    print("| format | " + " | ".join(tasks) + " | runs | without a score |")
    print("|---" * (len(tasks) + 3) + "|")
    for form in formats:
        found = [scores(t, form) for t in tasks]
        count, runs = sum(map(len, found)), sum(x["format"] == form for x in lines)
        print(f"| {form} | " + " | ".join(cell(list(f.values())) for f in found)
              + f" | {runs} | {runs - count} |")
    print(f"\nDifference to {baseline} with the same seed:\n")
    print("| format | " + " | ".join(tasks) + " | all | pairs |")
    print("|---" * (len(tasks) + 3) + "|")
    for form in formats:
        differences = [[v - scores(t, baseline)[s] for s, v in scores(t, form).items()
                        if s in scores(t, baseline)] for t in tasks]
        every = sum(differences, [])
        if form != baseline:
            print(f"| {form} | " + " | ".join(cell(d) for d in differences)
                  + f" | {cell(every)} | {len(every)} |")


def print_tables(lines, baseline):
    """A part for each model and recipe; rows and epochs may differ by task."""
    parts = {}
    for x in lines:
        parts.setdefault(tuple(x[k] for k in RECIPE if k not in ("rows", "epochs")), []).append(x)
    for some in parts.values():
        by = {k: sorted({(TASKS.index(x["task"]), x[k]) for x in some}) for k in ("rows", "epochs")}
        for k, found in by.items():
            if len({t for t, _ in found}) < len(found):
                sys.exit(f"outlier_study: {some[0]['model']}: {k} differ within a task: no table")
        head = {k: some[0][k] for k in RECIPE if k not in by}
        for k, found in by.items():
            head[k] = ", ".join(f"{TASKS[t]} {v:g}" for t, v in found)
        print("\n" + "; ".join(f"{k} {v}" for k, v in head.items() if v != "") + "\n")
        print_recipe(some, baseline)


def main():
    o = parse()
    if not o.table:
        model = o.name or os.path.basename(os.path.realpath(o.model))
        runs = [{"task": t, "format": f, "seed": int(s), "rows": o.rows[t], "epochs": o.epochs[t],
                 "lr": o.lr, "batch": o.batch, "model": model, "eval_rows": o.eval_rows,
                 "extra": o.extra}
                for s in o.seeds.split(",") for t in o.tasks.split(",")
                for f in o.formats.split(",")]
        there = load(o.out)
        runs = [r for r in runs if not any(all(x[k] == v for k, v in r.items()) for x in there)]
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            started = [pool.submit(run_one, o, r) for r in runs]
            try:
                for future in concurrent.futures.as_completed(started):
                    line = future.result()
                    with open(o.out, "a") as file:
                        file.write(json.dumps(line) + "\n")
                    print(json.dumps(line), flush=True)
            finally:  # a run that failed stops the study, not only itself
                pool.shutdown(cancel_futures=True)
    print_tables(load(o.out), o.baseline)


if __name__ == "__main__":
    main()
