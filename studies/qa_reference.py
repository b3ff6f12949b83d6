#!/usr/bin/env python3
"""Question answering in PyTorch, fp32: what Mantissa's results are compared with.

    studies/qa_reference.py --model MODEL_DIR --train TRAIN.json --dev DEV.json --output FOLDER
        [--version_2_with_negative] [--epochs 2] [--batch 12] [--lr 3e-5] [--warmup_ratio 0.1]
        [--weight_decay 0.01] [--seed 1] [--max_length 384] [--stride 128] [--threads 2]
        [--save_steps 200] [--max_steps N] [--eval_only]

Fine-tunes a BERT folder on SQuAD's JSON: windows, targets and answers by the rules of run_qa.py
(those of gates/check_qa.py), AdamW without decay of biases and layer norms, linear decay behind a
warm-up, gradients clipped to 1.  Batches are grouped by length and padded to their longest row only.

FOLDER gets model/, eval_predictions.json, eval_nbest_predictions.json, eval_null_odds.json and
results.json.  A run that was stopped goes on from FOLDER/state.pt, written every --save_steps steps.
--max_steps N stops after N steps and prints the speed.  Development only: needs torch, transformers.
"""
import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "gates"))
import check_qa  # noqa: E402

MEGABATCH = 50  # batches within which rows are sorted by length


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("model", "dev", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--train")
    for name, default in (("epochs", 2.0), ("lr", 3e-5), ("warmup_ratio", 0.1),
                          ("weight_decay", 0.01), ("null_score_diff_threshold", 0.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, default in (("batch", 12), ("eval_batch", 32), ("seed", 1), ("max_length", 384),
                          ("stride", 128), ("threads", 2), ("save_steps", 200), ("max_steps", 0),
                          ("n_best_size", 20), ("max_answer_length", 30), ("max_eval_samples", -1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--version_2_with_negative", action="store_true")
    parser.add_argument("--eval_only", action="store_true")
    o = parser.parse_args()
    if not o.eval_only and o.train is None:
        parser.error("--train is needed but with --eval_only")
    return o


def read(path, limit=-1):
    """[{id, question, context, answers, answer}] of a file in the official form."""
    questions = []
    for article in json.loads(Path(path).read_text(encoding="utf-8"))["data"]:
        for p in article["paragraphs"]:
            for q in p["qas"]:
                answers = q.get("answers") or []
                questions.append({"id": q["id"], "question": q["question"],
                                  "context": p["context"],
                                  "answers": [a["text"] for a in answers],
                                  "answer": answers[0] if answers else None})
    return questions[:limit] if limit >= 0 else questions


def encode(tokenizer, questions, o):
    """Rows as check_qa.expected_rows has them: [question, ids, types, first, last, places]."""
    return [row for i, q in enumerate(questions)
            for row in check_qa.expected_rows(tokenizer, i, q["question"], q["context"],
                                              q["answer"], o.max_length, o.stride)]


def batches_of(lengths, size, seed):
    """Rows of each batch of an epoch: shuffled, sorted within groups of MEGABATCH batches."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    group = MEGABATCH * size
    batches = []
    for begin in range(0, len(order), group):
        part = sorted(order[begin:begin + group], key=lambda i: -lengths[i])
        batches += [part[k:k + size] for k in range(0, len(part), size)]
    rng.shuffle(batches)
    return batches


def tensors(rows, batch, pad):
    longest = max(len(rows[i][1]) for i in batch)

    def padded(field, fill):
        return torch.tensor([rows[i][field] + [fill] * (longest - len(rows[i][field]))
                             for i in batch])
    mask = torch.tensor([[1] * len(rows[i][1]) + [0] * (longest - len(rows[i][1]))
                         for i in batch])
    return {"input_ids": padded(1, pad), "token_type_ids": padded(2, 0), "attention_mask": mask}


def optimizer_of(model, o):
    groups = {True: [], False: []}
    for name, p in model.named_parameters():
        groups[not (name.endswith("bias") or "LayerNorm" in name)].append(p)
    return torch.optim.AdamW([{"params": groups[True], "weight_decay": o.weight_decay},
                              {"params": groups[False], "weight_decay": 0.0}], lr=o.lr)


def learning_rate(step, steps, o):
    """Of step 0, 1, ...: up over the warm-up, then down to 0."""
    warm = int(np.ceil(steps * o.warmup_ratio))
    if step < warm:
        return o.lr * step / max(1, warm)
    return o.lr * max(0.0, (steps - step) / max(1, steps - warm))


def save(state, path):
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def train_step(model, optimizer, rows, batch, pad):
    model.train()
    targets = {"start_positions": torch.tensor([rows[i][3] for i in batch]),
               "end_positions": torch.tensor([rows[i][4] for i in batch])}
    loss = model(**tensors(rows, batch, pad), **targets).loss
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def train(model, tokenizer, o, out):
    rows = encode(tokenizer, read(o.train), o)
    lengths = [len(r[1]) for r in rows]
    per_epoch = (len(rows) + o.batch - 1) // o.batch
    steps = int(np.ceil(per_epoch * o.epochs))
    optimizer = optimizer_of(model, o)
    step, total, seconds, state_path = 0, 0.0, 0.0, out / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        step, seconds = state["step"], state["seconds"]
        print(f"going on from step {step}", flush=True)
    print(f"{len(rows)} windows, {sum(lengths) / len(rows):.1f} tokens on average, "
          f"{steps} steps", flush=True)
    last = min(steps, step + o.max_steps) if o.max_steps > 0 else steps
    batches, begin, first = [], time.time(), step
    while step < last:
        if not batches or step % per_epoch == 0:
            batches = batches_of(lengths, o.batch, 1000003 * o.seed + step // per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, o)
        total += train_step(model, optimizer, rows, batches[step % per_epoch],
                            tokenizer.pad_token_id)
        step += 1
        if step % 50 == 0 or step == last:
            speed = (time.time() - begin) / (step - first)
            print(f"step {step}/{steps}: mean loss {total / (step - first):.4f}, "
                  f"{speed:.3f} s a step, {(last - step) * speed / 60:.1f} min left", flush=True)
        if step % o.save_steps == 0 or step == last:
            save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                  "rng": torch.get_rng_state(), "step": step,
                  "seconds": seconds + time.time() - begin}, state_path)
    return step == steps, seconds + time.time() - begin


@torch.no_grad()
def evaluate(model, tokenizer, o, out):
    model.eval()
    questions = read(o.dev, o.max_eval_samples)
    rows = encode(tokenizer, questions, o)
    for q in questions:
        q["windows"] = []
    logits = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i][1]))
    for begin in range(0, len(order), o.eval_batch):
        batch = order[begin:begin + o.eval_batch]
        found = model(**tensors(rows, batch, tokenizer.pad_token_id))
        for k, i in enumerate(batch):
            n = len(rows[i][1])
            logits[i] = (found.start_logits[k, :n].tolist(), found.end_logits[k, :n].tolist())
    for row, (start, end) in zip(rows, logits):
        places = row[5]
        first = next((k for k, p in enumerate(places) if p is not None), 0)
        questions[row[0]]["windows"].append(
            {"first": first, "offsets": [p for p in places if p is not None],
             "start": start, "end": end})
    rules = {"n_best_size": o.n_best_size, "max_answer_length": o.max_answer_length,
             "negative": o.version_2_with_negative,
             "null_score_diff_threshold": o.null_score_diff_threshold}
    files = check_qa.expected_files(questions, rules)
    for name, text in files.items():
        (out / f"eval_{name}.json").write_text(text, encoding="utf-8")
    predictions = json.loads(files["predictions"])
    odds = json.loads(files.get("null_odds", "{}"))
    for q in questions:
        q["prediction"], q["null_odds"] = predictions[q["id"]], odds.get(q["id"], 0.0)
    return check_qa.expected_scores(questions, o.version_2_with_negative)


def main():
    o = parse()
    out = Path(o.output)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    tokenizer = AutoTokenizer.from_pretrained(o.model)
    model = AutoModelForQuestionAnswering.from_pretrained(o.model, dtype=torch.float32)
    results = {"arguments": vars(o)}
    if not o.eval_only:
        done, results["train_seconds"] = train(model, tokenizer, o, out)
        if not done:
            return
        model.save_pretrained(out / "model")
        tokenizer.save_pretrained(out / "model")
    begin = time.time()
    results.update(evaluate(model, tokenizer, o, out))
    results["eval_seconds"] = time.time() - begin
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({k: v for k, v in results.items() if k.startswith("eval_")}))


if __name__ == "__main__":
    main()
