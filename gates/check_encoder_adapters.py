#!/usr/bin/env python3
"""Compare low-rank adapters of BERT encoders, trained by Mantissa, with PEFT.

    check_encoder_adapters.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are tiny and random, with heads for three classes, a score, and spans; their tokenizer
has a word for each word of the rows.  Dropout is 0.

  start   the folder of an adapter that PEFT made: `mantissa predict` gives PEFT's logits (fp32, to
          1e-4), and so for a head of other labels than the model's
  train   20 steps from that adapter: losses to 1e-3 of themselves; PEFT opens the folder that was
          written and holds its tensors; its logits are those of `mantissa predict` to 1e-4, and
          its tensors those of PEFT's own training to 1e-2.  Of spans the loss of each batch stands
          for the logits.  int8: mean loss of the last five steps to INT8_LOSS
  ranks   --rank_weighting matryoshka against PyTorch with the diagonal of low_rank.h: losses;
          each rank of `mantissa predict --rank` against PEFT with that slice: logits to 1e-4
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import sys
import warnings

import numpy as np
import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForQuestionAnswering, BertForSequenceClassification,
                          BertTokenizerFast)

import model_checks

STEPS, BATCH, LENGTH, RATE = 20, 4, 32, 5e-3
LOSS_TOLERANCE, TRAINED_TOLERANCE, LOGIT_TOLERANCE, INT8_LOSS = 1e-3, 1e-2, 1e-4, 5e-2
RANK, RANKS = 8, (1, 2, 4, 8)
NAMES = ("bad", "fair", "good")
WORDS = ("the a cat dog horse house tree small large green red old new sees runs sleeps near in "
         "under on river road who what where is it").split()


# ---------------------------------------------------------------------------- models and rows

def make_model(folder, kind, labels):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, ".", "?"]
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=3,
                        num_attention_heads=4, intermediate_size=48, max_position_embeddings=64,
                        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                        initializer_range=0.2)
    if kind == "spans":
        model = BertForQuestionAnswering(config)
    else:
        config.num_labels = labels
        if labels == len(NAMES):
            config.id2label = dict(enumerate(NAMES))
            config.label2id = {name: i for i, name in enumerate(NAMES)}
        config.problem_type = "regression" if labels == 1 else "single_label_classification"
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return BertTokenizerFast(str(folder / "vocab.txt"))


def open_model(folder, kind, **words):
    class_of = BertForQuestionAnswering if kind == "spans" else BertForSequenceClassification
    return class_of.from_pretrained(folder, attn_implementation="eager", **words).eval()


def make_texts(generator, n):
    return [" ".join(generator.choice(WORDS, size=generator.integers(3, 20))) + "."
            for _ in range(n)]


def write_rows(folder, name, texts, labels):
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n"
                            for t, y in zip(texts, labels)), encoding="utf-8")
    return path


def write_questions(folder, texts, generator):
    """A file in the form of SQuAD, and (question, text, first and last character) of each."""
    rows, data = [], []
    for i, text in enumerate(texts):
        words = text[:-1].split()
        first = int(generator.integers(len(words)))
        last = min(first + int(generator.integers(3)), len(words) - 1)
        begin = len(" ".join(words[:first])) + (first > 0)
        answer = " ".join(words[first:last + 1])
        rows.append((f"where is the {words[0]}?", text, begin, begin + len(answer)))
        data.append({"paragraphs": [{"context": text, "qas": [
            {"id": f"q{i}", "question": rows[-1][0],
             "answers": [{"text": answer, "answer_start": begin}]}]}]})
    path = folder / "questions.json"
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return path, rows


def encode_texts(tokenizer, texts, labels, kind):
    dtype = torch.float32 if kind == "score" else torch.long

    def batch(chosen):
        words = tokenizer([texts[i] for i in chosen], truncation=True, max_length=LENGTH,
                          padding=True, return_tensors="pt")
        return {**words, "labels": torch.tensor([labels[i] for i in chosen], dtype=dtype)}

    return batch


def encode_questions(tokenizer, rows):
    def batch(chosen):
        words = tokenizer([rows[i][0] for i in chosen], [rows[i][1] for i in chosen],
                          padding=True, return_tensors="pt")
        starts = [words.char_to_token(k, rows[i][2], 1) for k, i in enumerate(chosen)]
        ends = [words.char_to_token(k, rows[i][3] - 1, 1) for k, i in enumerate(chosen)]
        return {**words, "start_positions": torch.tensor(starts),
                "end_positions": torch.tensor(ends)}

    return batch


# ---------------------------------------------------------------------------------- both sides

class Checks(model_checks.Checks):
    def near(self, name, found, wanted, tolerance):
        error = np.abs(np.asarray(found) - np.asarray(wanted)).max()
        self.check(error <= tolerance, f"{name}: {np.min(wanted):.4f} to {np.max(wanted):.4f}, "
                   f"largest difference {error:.2e} (at most {tolerance:g})")

    def losses(self, found, wanted, name="losses"):
        found, wanted = np.array(found), np.array(wanted)
        assert found.shape == wanted.shape
        error = (np.abs(found - wanted) / np.abs(wanted)).max()
        self.check(error <= LOSS_TOLERANCE, f"{name} of {len(found)} steps, {wanted[0]:.4f} to "
                   f"{wanted[-1]:.4f}: largest difference {error:.2e} (at most "
                   f"{LOSS_TOLERANCE:g})")


class Mantissa(model_checks.Command):
    def __init__(self, program):
        super().__init__(program, STEPS, BATCH)

    def train(self, model, file, out, *words, rate=RATE):
        return super().train(model, file, out, rate, "--max_seq_length", LENGTH, *words)

    def logits(self, model, adapter, file, *words):
        out = self.run("predict", model, "--adapter_name_or_path", adapter, "--test_file", file,
                       "--precision", "fp32", "--max_seq_length", LENGTH, "--label_column_name",
                       "label", *words)
        head, *rows = (line.split("\t") for line in out.splitlines())
        chosen = [i for i, name in enumerate(head) if name.startswith("logit")]
        chosen = chosen or [head.index("score")]
        return np.array([[float(row[i]) for i in chosen] for row in rows])


def batches(n):
    rows = list(range(n))
    parts = [rows[i:i + BATCH] for i in range(0, n, BATCH)]
    return [parts[step % len(parts)] for step in range(STEPS)]


def loss_of(model, batch, chosen):
    """Row by row: transformers lets padding take part in the softmax over the tokens of a span.
    PeftModelForQuestionAnswering leaves token_type_ids out; the model within does not."""
    model = model.base_model if isinstance(model, PeftModel) else model
    return sum(model(**batch([i])).loss for i in chosen) / len(chosen)


def torch_losses(model, batch, n):
    with torch.no_grad():
        return [loss_of(model, batch, chosen).item() for chosen in batches(n)]


def torch_train(model, batch, n):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    losses = []
    for chosen in batches(n):
        optimizer.zero_grad()
        loss = loss_of(model, batch, chosen)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def torch_logits(model, tokenizer, texts):
    with torch.no_grad():
        return np.concatenate([model(**tokenizer(text, truncation=True, max_length=LENGTH,
                                                 return_tensors="pt")).logits.numpy()
                               for text in texts])


# --------------------------------------------------------------------------------- comparisons

class Case:
    """A model with a head, its rows, and what both sides make of them."""

    def __init__(self, checks, mantissa, folder, kind):
        self.checks, self.mantissa, self.kind = checks, mantissa, kind
        self.work = folder / kind
        self.model = self.work / "model"
        self.work.mkdir()
        labels = {"classes": 3, "score": 1, "spans": 0}[kind]
        self.tokenizer = make_model(self.model, kind, labels)
        generator = np.random.default_rng(7)
        self.texts = make_texts(generator, 24)
        if kind == "spans":
            self.file, rows = write_questions(self.work, self.texts, generator)
            self.batch = encode_questions(self.tokenizer, rows)
        else:
            values = generator.integers(0, 3, 24) if labels == 3 else generator.normal(size=24)
            values = values.tolist()
            self.file = write_rows(self.work, "rows", self.texts,
                                   [NAMES[y] for y in values] if labels == 3 else values)
            self.batch = encode_texts(self.tokenizer, self.texts, values, kind)
        self.words = ["--precision", "fp32"]
        if kind == "spans":
            self.words += ["--task_name", "squad", "--doc_stride", 4]

    def make_adapter(self, name, labels=None, **settings):
        """A folder as PEFT writes it, with a B and outputs that are not those of the model."""
        folder = self.work / name
        config = LoraConfig(task_type="QUESTION_ANS" if self.kind == "spans" else "SEQ_CLS",
                            lora_dropout=0.0, bias="none", **settings)
        words = {} if labels is None else {"num_labels": labels, "ignore_mismatched_sizes": True}
        model = get_peft_model(open_model(self.model, self.kind, **words), config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if p.requires_grad and "lora_A" not in key:
                    p.add_(0.1 * torch.randn(p.shape))
        model.save_pretrained(folder)
        return folder

    def open_adapter(self, folder, train=False, **words):
        """What PEFT makes of a folder: it says nothing, and holds each tensor."""
        base = open_model(self.model, self.kind, **words)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = PeftModel.from_pretrained(base, folder, is_trainable=train)
        said = [str(w.message) for w in said if not issubclass(w.category, FutureWarning)]
        self.checks.check(not said, f"{folder.name}: PEFT opens it without a word {said or ''}")
        held = peft.get_peft_model_state_dict(model)
        tensors = load_file(folder / "adapter_model.safetensors")
        same = held.keys() == tensors.keys() and all(torch.equal(held[k], tensors[k])
                                                     for k in tensors)
        self.checks.check(same, f"{folder.name}: PEFT has its {len(tensors)} tensors")
        return model if train else model.eval()

    def same_function(self, folder, model):
        """`mantissa` with the folder computes what the model does."""
        if self.kind == "spans":
            found = self.mantissa.train(self.model, self.file, self.work / f"{folder.name}, still",
                                        *self.words, "--method", "lora", "--adapter_name_or_path",
                                        folder, rate=0)
            self.checks.near(f"{folder.name}: losses", found,
                             torch_losses(model, self.batch, len(self.texts)), LOGIT_TOLERANCE)
        else:
            self.checks.near(f"{folder.name}: logits",
                             self.mantissa.logits(self.model, folder, self.file),
                             torch_logits(model, self.tokenizer, self.texts), LOGIT_TOLERANCE)

    def check_training(self, name, **settings):
        print(f"\n{self.kind}: {name}")
        start, out = self.make_adapter(f"{name}, before", **settings), self.work / name
        ours = self.open_adapter(start, train=True)
        self.same_function(start, ours)
        method = ("--method", "lora", "--adapter_name_or_path", start)
        found = self.mantissa.train(self.model, self.file, out, *self.words, *method)
        wanted = torch_train(ours, self.batch, len(self.texts))
        self.checks.losses(found, wanted)
        written = self.open_adapter(out)
        self.same_function(out, written)
        theirs = peft.get_peft_model_state_dict(ours)
        theirs.pop("base_model.model.qa_outputs.bias", None)  # without a gradient: noise moves it
        mine = peft.get_peft_model_state_dict(written)
        error = max((value - mine[key]).abs().max().item() for key, value in theirs.items())
        self.checks.check(error <= TRAINED_TOLERANCE, f"tensors against PEFT's training: largest "
                          f"difference {error:.2e} (at most {TRAINED_TOLERANCE:g})")
        int8 = self.mantissa.train(self.model, self.file, self.work / f"{name}, int8", *self.words,
                                   "--precision", "int8", *method)
        self.checks.near("int8, last five losses", np.mean(int8[-5:]), np.mean(wanted[-5:]),
                         INT8_LOSS)

    def check_new(self, *words):
        """An adapter with B = 0 and the model's own outputs, made here."""
        print(f"\n{self.kind}: a new adapter {' '.join(words)}")
        out = self.work / f"new {' '.join(words)}"
        self.mantissa.train(self.model, self.file, out, *self.words, "--method", "lora", *words,
                            rate=0)
        self.same_function(out, self.open_adapter(out))
        tensors = load_file(out / "adapter_model.safetensors")
        self.checks.check(all(bool(v.any()) == ("lora_A" in k) for k, v in tensors.items()
                              if "lora_" in k), "A is not zero, B is")


def check_other_labels(case):
    """A folder of PEFT with more labels than the model's config.json has."""
    print(f"\n{case.kind}: five labels")
    folder = case.make_adapter("five labels", labels=5, r=4, target_modules=["query"])
    case.same_function(folder, case.open_adapter(folder, num_labels=5,
                                                 ignore_mismatched_sizes=True))


def slice_adapter(folder, rank, out):
    """The first ranks as a folder of their own."""
    out.mkdir()
    tensors = load_file(folder / "adapter_model.safetensors")
    for key, value in tensors.items():
        if "lora_A" in key:
            tensors[key] = value[:rank].clone()
        elif "lora_B" in key:
            tensors[key] = value[:, :rank].clone()
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config["r"] = rank
    (out / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return out


def weigh_ranks(model, alpha):
    """Let a model of PEFT compute x A' P B' with P_i = sum of alpha / sqrt(r), r >= i."""
    weights = torch.tensor([sum(alpha / r ** 0.5 for r in RANKS if r > i) for i in range(RANK)])
    for module in model.modules():
        if hasattr(module, "lora_A") and "default" in getattr(module, "scaling", {}):
            module.scaling["default"] = 1.0
            module.lora_A["default"].register_forward_hook(lambda m, x, y: y * weights)


def check_matryoshka(case):
    print(f"\n{case.kind}: matryoshka")
    settings = {"r": RANK, "lora_alpha": 2, "use_rslora": True,
                "target_modules": ["query", "key", "value", "dense"]}
    start, out = case.make_adapter("matryoshka, before", **settings), case.work / "matryoshka"
    found = case.mantissa.train(case.model, case.file, out, *case.words, "--method", "dylora",
                                "--rank_weighting", "matryoshka", "--ranks",
                                ",".join(map(str, RANKS)), "--adapter_name_or_path", start)
    ours = case.open_adapter(start, train=True)
    weigh_ranks(ours, 2)
    case.checks.losses(found, torch_train(ours, case.batch, len(case.texts)))
    for rank in range(1, RANK + 1):
        part = slice_adapter(out, rank, case.work / f"matryoshka, rank {rank}")
        model = case.open_adapter(part)
        case.checks.near(f"rank {rank}: logits", case.mantissa.logits(
            case.model, out, case.file, "--rank", rank),
            torch_logits(model, case.tokenizer, case.texts), LOGIT_TOLERANCE)


# ---------------------------------------------------------------------------------------- main

def check_all(checks, mantissa, folder):
    cases = {kind: Case(checks, mantissa, folder, kind) for kind in ("classes", "score", "spans")}
    for case in cases.values():
        case.check_training("query, value", r=8, lora_alpha=16)
        case.check_training("all", r=4, lora_alpha=8,
                            target_modules=["query", "key", "value", "dense"])
        case.check_new("--lora_r", "3")
    cases["classes"].check_training("all-linear, rsLoRA", r=4, lora_alpha=8, use_rslora=True,
                                    target_modules="all-linear")
    cases["classes"].check_training("some", r=4, target_modules=[
        "layer.1.attention.self.query", "layer.1.attention.self.value", "2.output.dense",
        "layer.0.attention.self.key", "pooler.dense"])
    check_other_labels(cases["classes"])
    check_matryoshka(cases["classes"])


if __name__ == "__main__":
    sys.exit(model_checks.run_gate(__doc__, Checks, Mantissa, check_all))
