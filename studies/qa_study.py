#!/usr/bin/env python3
"""The SQuAD table: fine-tune one model for question answering in several precisions and seeds.

    studies/qa_study.py --mantissa build/mantissa --model MODEL_DIR --data SQUAD_DIR --work FOLDER
                        --out RESULTS.jsonl [--tasks squad,squad_v2] [--precisions int8,fp32,torch]
                        [--seeds 1,2] [--questions 20000] [--lr 5e-5] [--batch 12] [--threads 2]
                        [--table]

squad     --questions of train-v1.1.json with certain offsets (qa_subset.py), all of dev-v1.1.json
squad_v2  train-v2.0-half.json and dev-v2.0-half.json

Every run is one line of RESULTS.jsonl; runs that are there are not repeated, and one that was
stopped goes on from its last checkpoint in FOLDER.  "torch" is qa_reference.py: PyTorch in fp32 with
the same rows, batch size, schedule, decay groups and epochs.  Exact match and F1 of all are computed
again from the file of predictions by gates/check_qa.py's copy of the official rules; a difference
stops the study.  Needs Python's standard library; "torch" also torch and transformers.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "gates"))
import check_qa  # noqa: E402

EPOCHS = 2


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("mantissa", "model", "data", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--out", required=True)
    for name, default in (("tasks", "squad,squad_v2"), ("precisions", "int8,fp32,torch"),
                          ("seeds", "1,2"), ("lr", "5e-5")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("questions", 20000), ("batch", 12), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def files_of(o, task):
    """Training and development file."""
    if task == "squad_v2":
        return [os.path.join(o.data, f"{split}-v2.0-half.json") for split in ("train", "dev")]
    train = os.path.join(o.work, f"train_{o.questions}.json")
    if not os.path.exists(train):
        subprocess.run([sys.executable, os.path.join(HERE, "qa_subset.py"), "--input",
                        os.path.join(o.data, "train-v1.1.json"), "--output", train, "--questions",
                        str(o.questions), "--seed", "1"], check=True)
    return [train, os.path.join(o.data, "dev-v1.1.json")]


def run_mantissa(o, run, folder):
    train, dev = files_of(o, run["task"])
    command = [o.mantissa, "train", "--model_name_or_path", o.model, "--train_file", train,
               "--validation_file", dev, "--output_dir", folder, "--precision", run["precision"],
               "--seed", str(run["seed"]), "--num_train_epochs", str(EPOCHS), "--learning_rate",
               run["lr"], "--per_device_train_batch_size", str(run["batch"]),
               "--per_device_eval_batch_size", "32", "--warmup_ratio", "0.1", "--weight_decay",
               "0.01", "--group_by_length", "true", "--save_steps", "200", "--save_total_limit",
               "1", "--num_threads", str(o.threads), "--logging_steps", "50"]
    if run["task"] == "squad_v2":
        command.append("--version_2_with_negative")
    if any(name.startswith("checkpoint-") for name in os.listdir(folder)):
        command += ["--resume_from_checkpoint", "last"]
    else:  # what a run left that was stopped before its first checkpoint
        command.append("--overwrite_output_dir")
    subprocess.run(command, check=True)
    with open(os.path.join(folder, "eval_results.json")) as file:
        return json.load(file)


def run_torch(o, run, folder):
    train, dev = files_of(o, run["task"])
    command = [sys.executable, os.path.join(HERE, "qa_reference.py"), "--model", o.model, "--train",
               train, "--dev", dev, "--output", folder, "--epochs", str(EPOCHS), "--lr", run["lr"],
               "--batch", str(run["batch"]), "--seed", str(run["seed"]), "--threads",
               str(o.threads)]
    if run["task"] == "squad_v2":
        command.append("--version_2_with_negative")
    subprocess.run(command, check=True)
    with open(os.path.join(folder, "results.json")) as file:
        return json.load(file)


def check_scores(o, run, folder, found):
    """The scores by the official rules from the file of predictions must be those that were told."""
    negative = run["task"] == "squad_v2"
    questions = list(check_qa.read_questions(pathlib.Path(files_of(o, run["task"])[1])))

    def load(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    predictions = load("eval_predictions.json")
    odds = load("eval_null_odds.json") if negative else {}
    for q in questions:
        q["prediction"], q["null_odds"] = predictions[q["id"]], odds.get(q["id"], 0.0)
    for key, value in check_qa.expected_scores(questions, negative).items():
        if found[key.removeprefix("eval_")] != value:
            sys.exit(f"{folder}: {key}: expected {value!r}, found {found.get(key)!r}")


def run_one(o, run):
    folder = os.path.join(o.work, "{task}_{precision}_{seed}".format(**run))
    os.makedirs(folder, exist_ok=True)
    start = time.time()
    found = (run_torch if run["precision"] == "torch" else run_mantissa)(o, run, folder)
    found = {key.removeprefix("eval_"): value for key, value in found.items()}
    check_scores(o, run, folder, found)
    keep = {k: v for k, v in found.items()
            if k in ("exact", "exact_match", "f1", "best_exact", "best_f1", "HasAns_f1",
                     "NoAns_f1", "loss", "best_exact_thresh", "best_f1_thresh")}
    return {**run, **keep, "seconds": round(time.time() - start)}


def read(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file]


def print_table(lines):
    print("| data | precision | seeds | exact match | F1 |\n|---|---|---|---|---|")
    for task in dict.fromkeys(line["task"] for line in lines):
        for precision in dict.fromkeys(line["precision"] for line in lines):
            found = [x for x in lines if x["task"] == task and x["precision"] == precision]
            if found:
                exact = [x.get("exact_match", x.get("exact")) for x in found]
                print(f"| {task} | {precision} | {len(found)} | {statistics.mean(exact):.2f} | "
                      f"{statistics.mean(x['f1'] for x in found):.2f} |")


def main():
    o = parse()
    if not o.table:
        os.makedirs(o.work, exist_ok=True)
        for seed in o.seeds.split(","):
            for task in o.tasks.split(","):
                for precision in o.precisions.split(","):
                    run = {"task": task, "precision": precision, "seed": int(seed), "lr": o.lr,
                           "batch": o.batch, "questions": o.questions}
                    if any(all(x[k] == v for k, v in run.items()) for x in read(o.out)):
                        continue
                    line = run_one(o, run)
                    with open(o.out, "a") as file:
                        file.write(json.dumps(line) + "\n")
                    print(json.dumps(line), flush=True)
    print_table(read(o.out))


if __name__ == "__main__":
    main()
