#!/usr/bin/env python3
"""The GLUE table: fine-tune one model in several precisions, tasks and seeds; print a table.

    studies/glue_study.py --mantissa build/mantissa --model MODEL_DIR --data GLUE_DIR --out RESULTS.jsonl
                          [--epochs 3 | --epochs 1,rte=3] [--tasks cola,mrpc,...]
                          [--precisions fp32,int8,...,torch] [--seeds 1,2,3] [--jobs 2]
                          [--extra "--exponent_group tensor"] [--table]

Every run is one line of RESULTS.jsonl; runs that are already there are not repeated, so the study can
be stopped and continued.  "--epochs 1,rte=3" is one epoch, but three of RTE.  "torch" is PyTorch with
transformers in fp32, the outside reference: the same rows, batch size, schedule, dropout and decay
groups.  Needs Python's standard library; "torch" also torch and transformers (development only).
"""
import argparse
import concurrent.futures
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

# task: (folder, metric of the table, limit of training rows)
TASKS = {
    "cola": ("CoLA", "eval_matthews_correlation", None),
    "mrpc": ("MRPC", "eval_accuracy", None),
    "stsb": ("STS-B", "eval_pearson", None),
    "rte": ("RTE", "eval_accuracy", None),
    "sst2": ("SST-2", "eval_accuracy", 10000),
}
PRECISIONS = ["fp32", "int16", "int12", "int10", "int8", "torch"]


def read_epochs(text):
    """"3" or "1,rte=3" as epochs by task."""
    fields = [f.split("=") for f in text.split(",")]
    everywhere = [float(f[0]) for f in fields if len(f) == 1]
    named = {f[0]: float(f[1]) for f in fields if len(f) == 2}
    if len(everywhere) != 1 or not set(named) <= set(TASKS):
        raise argparse.ArgumentTypeError(f"expected EPOCHS[,TASK=EPOCHS...], found {text!r}")
    return {t: named.get(t, everywhere[0]) for t in TASKS}


def key_of(run):
    return tuple(run[k] for k in ("task", "precision", "seed", "epochs", "lr", "batch", "extra"))


def run_mantissa(o, run):
    folder, _, limit = TASKS[run["task"]]
    with tempfile.TemporaryDirectory() as out:
        command = [o.mantissa, "train", "--model_name_or_path", o.model, "--task_name", run["task"],
                   "--data_dir", os.path.join(o.data, folder), "--output_dir", out,
                   "--precision", run["precision"], "--seed", str(run["seed"]),
                   "--num_train_epochs", str(run["epochs"]), "--learning_rate", str(run["lr"]),
                   "--per_device_train_batch_size", str(run["batch"]),
                   "--per_device_eval_batch_size", "32", "--warmup_ratio", "0.1",
                   "--weight_decay", "0.01", "--max_seq_length", "128", "--save_strategy", "no",
                   "--do_eval", "true", "--num_threads", str(o.threads), "--overwrite_output_dir"]
        if limit is not None:
            command += ["--max_train_samples", str(limit)]
        subprocess.run(command + run["extra"].split(), check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
        with open(os.path.join(out, "eval_results.json")) as file:
            return json.load(file)


def read_rows(o, task, split):
    folder, _, limit = TASKS[task]
    with open(os.path.join(o.data, folder, split + ".tsv"), encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    if task == "cola":
        columns, label = [3], 1
    else:
        header, lines = lines[0], lines[1:]
        names = {"mrpc": (["#1 String", "#2 String"], "Quality"), "sst2": (["sentence"], "label"),
                 "stsb": (["sentence1", "sentence2"], "score"),
                 "rte": (["sentence1", "sentence2"], "label")}[task]
        columns, label = [header.index(n) for n in names[0]], header.index(names[1])
    classes = {"entailment": 0, "not_entailment": 1}
    if split == "train" and limit is not None:
        lines = lines[:limit]
    return [([r[c] for c in columns], float(classes.get(r[label], r[label]))) for r in lines]


def torch_scores(task, logits, labels):
    import numpy as np
    from scipy.stats import pearsonr
    from sklearn.metrics import matthews_corrcoef
    if task == "stsb":
        return {"eval_pearson": float(pearsonr(logits[:, 0], labels)[0])}
    guess = logits.argmax(axis=1)
    if task == "cola":
        return {"eval_matthews_correlation": float(matthews_corrcoef(labels, guess))}
    return {"eval_accuracy": float(np.mean(guess == labels))}


def run_torch(o, run):
    import numpy as np
    import torch
    from transformers import (AutoModelForSequenceClassification, AutoTokenizer,
                              get_linear_schedule_with_warmup)
    torch.set_num_threads(o.threads)
    torch.manual_seed(run["seed"])
    task = run["task"]
    model = AutoModelForSequenceClassification.from_pretrained(
        o.model, num_labels=1 if task == "stsb" else 2)
    tokenizer = AutoTokenizer.from_pretrained(o.model)

    def batch_of(rows):
        texts = list(zip(*[r[0] for r in rows]))
        inputs = tokenizer(*[list(t) for t in texts], truncation=True, max_length=128,
                           padding=True, return_tensors="pt")
        labels = torch.tensor([r[1] for r in rows])
        return inputs, labels if task == "stsb" else labels.long()

    decay = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    plain = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01},
                                   {"params": plain, "weight_decay": 0.0}], lr=run["lr"],
                                  fused=True)
    rows = read_rows(o, task, "train")
    per_epoch = math.ceil(len(rows) / run["batch"])
    steps = math.ceil(per_epoch * run["epochs"])
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * steps), steps)
    model.train()
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(rows)).tolist()
        at = step % per_epoch * run["batch"]
        inputs, labels = batch_of([rows[i] for i in order[at:at + run["batch"]]])
        model(**inputs, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    dev, logits = read_rows(o, task, "dev"), []
    with torch.no_grad():
        for at in range(0, len(dev), 32):
            logits.append(model(**batch_of(dev[at:at + 32])[0]).logits.numpy())
    return torch_scores(task, np.concatenate(logits), np.array([r[1] for r in dev]))


def run_one(o, run):
    start = time.time()
    if run["precision"] == "torch":
        script = [sys.executable, os.path.abspath(__file__), "--run_torch", json.dumps(run),
                  "--model", o.model, "--data", o.data, "--threads", str(o.threads)]
        result = json.loads(subprocess.run(script, check=True, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL).stdout)
    else:
        result = run_mantissa(o, run)
    return dict(run, result=result, seconds=round(time.time() - start, 1))


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file]


def print_table(done):
    tasks = [t for t in TASKS if any(r["task"] == t for r in done)]
    rows = []
    for precision in PRECISIONS:
        for extra in sorted({r["extra"] for r in done if r["precision"] == precision}):
            rows.append((precision, extra))
    print("| precision | " + " | ".join(tasks) + " | average | runs |")
    print("|---|" + "---|" * (len(tasks) + 2))
    for precision, extra in rows:
        cells, means, count = [], [], 0
        for task in tasks:
            values = [100 * r["result"][TASKS[task][1]] for r in done
                      if (r["task"], r["precision"], r["extra"]) == (task, precision, extra)]
            count += len(values)
            if not values:
                cells.append("-")
                continue
            means.append(statistics.mean(values))
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            cells.append(f"{means[-1]:.2f}" + (f" ± {spread:.2f}" if len(values) > 1 else ""))
        average = f"{statistics.mean(means):.2f}" if len(means) == len(tasks) else "-"
        print(f"| {precision} {extra} | " + " | ".join(cells) + f" | {average} | {count} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mantissa")
    p.add_argument("--model")
    p.add_argument("--data")
    p.add_argument("--out", default="glue_results.jsonl")
    p.add_argument("--epochs", type=read_epochs, default="3", help="of all tasks, and TASK=EPOCHS")
    p.add_argument("--lr", type=float, default=5e-5)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--tasks", default=",".join(TASKS))
    p.add_argument("--precisions", default=",".join(PRECISIONS))
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--jobs", type=int, default=1, help="runs at a time")
    p.add_argument("--threads", type=int, default=1, help="threads of one run")
    p.add_argument("--extra", default="", help="more options of mantissa train")
    p.add_argument("--table", action="store_true", help="only print the table of RESULTS")
    p.add_argument("--run_torch", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.run_torch:
        print(json.dumps(run_torch(o, json.loads(o.run_torch))))
        return
    done = load(o.out)
    if not o.table:
        have = {key_of(r) for r in done}
        runs = [{"task": t, "precision": f, "seed": s, "epochs": o.epochs[t], "lr": o.lr,
                 "batch": o.batch, "extra": "" if f in ("torch", "fp32") else o.extra}
                for s in map(int, o.seeds.split(",")) for t in o.tasks.split(",")
                for f in o.precisions.split(",")]
        runs = [r for r in runs if key_of(r) not in have]
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            for future in concurrent.futures.as_completed([pool.submit(run_one, o, r) for r in runs]):
                result = future.result()
                done.append(result)
                with open(o.out, "a") as file:
                    file.write(json.dumps(result) + "\n")
                print(result["task"], result["precision"], result["seed"],
                      result["result"][TASKS[result["task"]][1]], f"{result['seconds']} s",
                      flush=True)
    print_table([r for r in done if (r["epochs"], r["lr"], r["batch"]) ==
                 (o.epochs[r["task"]], o.lr, o.batch)])


if __name__ == "__main__":
    main()
