#!/usr/bin/env python3
"""Compare encoders fine-tuned by Mantissa with transformers, and their low-rank adapters with PEFT.

    check_encoder_adapters.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are tiny and random BERTs, RoBERTas, DistilBERTs and ELECTRAs, with heads for three
classes, a score, and spans; their tokenizers have a word for each word of the rows, but RoBERTa's,
which is byte-level.  Dropout is 0.

  full    20 steps of all parameters: losses to 1e-3 of themselves; transformers opens the folder
          that was written without a word about its tensors, and has the logits of `mantissa
          predict` to 1e-4
  new     the model as it was pre-trained, without the head: transformers opens what a training with
          a rate of 0 writes, with the same logits; the head has the deviation initializer_range

  start   the folder of an adapter that PEFT made: `mantissa predict` gives PEFT's logits (fp32, to
          1e-4), and so for a head of other labels than the model's
  train   20 steps from that adapter: losses to 1e-3 of themselves; PEFT opens the folder that was
          written and holds its tensors; its logits are those of `mantissa predict` to 1e-4, and
          its tensors those of PEFT's own training to 1e-2.  Of spans the loss of each batch stands
          for the logits.  int8: mean loss of the last five steps to 0.05, of the other
          families int16 to 0.005 (the noise of int8: tests/golden/test_golden_encoder.c)
  merge   the folder that `mantissa merge` writes has, in transformers, the logits of the adapter
  ranks   --rank_weighting matryoshka against PyTorch with the diagonal of low_rank.h: losses;
          each rank of `mantissa predict --rank` against PEFT with that slice: logits to 1e-4
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import subprocess
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (AutoTokenizer, BertConfig, BertForMaskedLM, BertForQuestionAnswering,
                          BertForSequenceClassification, BertTokenizerFast, DistilBertConfig,
                          DistilBertForMaskedLM, DistilBertForQuestionAnswering,
                          DistilBertForSequenceClassification, DistilBertTokenizerFast,
                          ElectraConfig, ElectraForPreTraining, ElectraForQuestionAnswering,
                          ElectraForSequenceClassification, ElectraTokenizerFast, RobertaConfig,
                          RobertaForMaskedLM, RobertaForQuestionAnswering,
                          RobertaForSequenceClassification, RobertaTokenizerFast)

import model_checks

STEPS, BATCH, LENGTH, RATE = 20, 4, 32, 5e-3
LOSS_TOLERANCE, TRAINED_TOLERANCE, LOGIT_TOLERANCE = 1e-3, 1e-2, 1e-4
RANK, RANKS = 8, (1, 2, 4, 8)
NAMES = ("bad", "fair", "good")
WORDS = ("the a cat dog horse house tree small large green red old new sees runs sleeps near in "
         "under on river road who what where is it").split()


# ---------------------------------------------------------------------------- models and rows

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 48, "max_position_embeddings": 64, "hidden_dropout_prob": 0.0,
         "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}


@dataclass
class Family:
    """What of transformers makes up a family of encoders."""
    name: str
    config: type
    pretrained: type
    texts: type
    questions: type
    tokenizer: type
    settings: dict
    few: tuple = ("query", "value")  # targets of adapters: PEFT's own, and all
    all: tuple = ("query", "key", "value", "dense")
    saved: tuple = ()  # without which PEFT fails on all-linear


BERT = Family("bert", BertConfig, BertForMaskedLM, BertForSequenceClassification,
              BertForQuestionAnswering, BertTokenizerFast, SIZES)
FAMILIES = (
    BERT,
    Family("roberta", RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification,
           RobertaForQuestionAnswering, RobertaTokenizerFast,
           SIZES | {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 66}),
    Family("distilbert", DistilBertConfig, DistilBertForMaskedLM,
           DistilBertForSequenceClassification, DistilBertForQuestionAnswering,
           DistilBertTokenizerFast,
           {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "dropout": 0.0,
            "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0,
            "max_position_embeddings": 64, "initializer_range": 0.2},
           ("q_lin", "v_lin"), ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"), ("pre_classifier",)),
    Family("electra", ElectraConfig, ElectraForPreTraining, ElectraForSequenceClassification,
           ElectraForQuestionAnswering, ElectraTokenizerFast, SIZES | {"embedding_size": 20},
           all=("query", "key", "value", "dense", "embeddings_project")),
)


def make_tokenizer(folder, family):
    if family.name != "roberta":
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, ".", "?"]
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        return family.tokenizer(str(folder / "vocab.txt"))
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator([" ".join([*WORDS, *WORDS]) + ".?"], vocab_size=600, min_frequency=1,
                                special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    model = json.loads(trained.to_str())["model"]
    tokenizer = family.tokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]])
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_model(folder, family, kind, labels):
    folder.mkdir()
    tokenizer = make_tokenizer(folder, family)
    config = family.config(vocab_size=len(tokenizer), **family.settings)
    if kind == "spans":
        model = family.questions(config)
    elif kind == "pretrained":
        model = family.pretrained(config)
    else:
        config.num_labels = labels
        if labels == len(NAMES):
            config.id2label = dict(enumerate(NAMES))
            config.label2id = {name: i for i, name in enumerate(NAMES)}
        config.problem_type = "regression" if labels == 1 else "single_label_classification"
        model = family.texts(config)
    model.save_pretrained(folder)
    return tokenizer


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


def open_model(folder, family, kind, **words):
    class_of = family.questions if kind == "spans" else family.texts
    return class_of.from_pretrained(folder, attn_implementation="eager", **words).eval()


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
        if adapter is not None:
            words = ("--adapter_name_or_path", adapter, *words)
        out = self.run("predict", model, "--test_file", file, "--precision", "fp32",
                       "--max_seq_length", LENGTH, "--label_column_name", "label", *words)
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

    def __init__(self, checks, mantissa, folder, family, kind):
        self.checks, self.mantissa, self.family, self.kind = checks, mantissa, family, kind
        self.name = f"{family.name}, {kind}"
        self.work = folder / self.name
        self.model = self.work / "model"
        self.work.mkdir()
        labels = {"classes": 3, "score": 1, "spans": 0}[kind]
        self.tokenizer = make_model(self.model, family, kind, labels)
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
        model = get_peft_model(open_model(self.model, self.family, self.kind, **words), config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if p.requires_grad and "lora_A" not in key:
                    p.add_(0.1 * torch.randn(p.shape))
        model.save_pretrained(folder)
        return folder

    def open_adapter(self, folder, train=False, **words):
        """What PEFT makes of a folder: it says nothing, and holds each tensor."""
        base = open_model(self.model, self.family, self.kind, **words)
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
        print(f"\n{self.name}: {name}")
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
        precision, bound = ("int8", 5e-2) if self.family is BERT else ("int16", 5e-3)
        found = self.mantissa.train(self.model, self.file, self.work / f"{name}, {precision}",
                                    *self.words, "--precision", precision, *method)
        self.checks.near(f"{precision}, last five losses", np.mean(found[-5:]),
                         np.mean(wanted[-5:]), bound)

    def check_full(self):
        print(f"\n{self.name}: all parameters")
        out = self.work / "full"
        found = self.mantissa.train(self.model, self.file, out, *self.words)
        model = open_model(self.model, self.family, self.kind)
        self.checks.losses(found, torch_train(model, self.batch, len(self.texts)))
        self.check_folder(out)

    def check_folder(self, out):
        """What transformers makes of a folder with a whole model."""
        class_of = self.family.questions if self.kind == "spans" else self.family.texts
        model, info = class_of.from_pretrained(out, attn_implementation="eager",
                                               output_loading_info=True)
        self.checks.check(not any(info.values()), f"{out.name}: transformers has all its tensors, "
                          f"and no others {info if any(info.values()) else ''}")
        tokenizer = AutoTokenizer.from_pretrained(out)
        self.checks.check(tokenizer(self.texts)["input_ids"] ==
                          self.tokenizer(self.texts)["input_ids"], f"{out.name}: its tokenizer")
        if self.kind == "spans":
            found = self.mantissa.train(out, self.file, self.work / f"{out.name}, still",
                                        *self.words, rate=0)
            self.checks.near(f"{out.name}: losses", found,
                             torch_losses(model, self.batch, len(self.texts)), LOGIT_TOLERANCE)
        else:
            self.checks.near(f"{out.name}: logits", self.mantissa.logits(out, None, self.file),
                             torch_logits(model.eval(), self.tokenizer, self.texts),
                             LOGIT_TOLERANCE)
        return model

    def check_new_head(self):
        print(f"\n{self.name}: a new head")
        start, out = self.work / "pretrained", self.work / "new head"
        make_model(start, self.family, "pretrained", 0)
        self.mantissa.train(start, self.file, out, *self.words, rate=0)
        model = self.check_folder(out)
        body = load_file(start / "model.safetensors")
        new = [p for name, p in model.named_parameters() if name not in body and p.dim() == 2]
        spread = torch.cat([p.flatten() for p in new]).std().item()
        bound = 5 * 0.2 / (2 * sum(p.numel() for p in new)) ** 0.5
        self.checks.check(abs(spread - 0.2) <= bound, f"its {len(new)} matrices have the deviation "
                          f"{spread:.3f} (0.2 to {bound:.3f})")

    def check_merge(self):
        print(f"\n{self.name}: merged")
        adapter, out = self.work / "all", self.work / "merged"
        subprocess.run([self.mantissa.program, "merge", self.model, "--adapter_name_or_path",
                        adapter, "--output_dir", out], capture_output=True, check=True)
        merged = open_model(out, self.family, self.kind)
        model = self.open_adapter(adapter)
        names = ("start_logits", "end_logits") if self.kind == "spans" else ("logits",)
        ours, theirs = [], []
        with torch.no_grad():
            for i in range(len(self.texts)):
                for m, outputs in ((merged, ours), (model.base_model, theirs)):
                    found = m(**self.batch([i]))
                    outputs += [found[name].flatten() for name in names]
        self.checks.near("merged: logits", torch.cat(ours).numpy(), torch.cat(theirs).numpy(),
                         LOGIT_TOLERANCE)

    def check_new(self, *words):
        """An adapter with B = 0 and the model's own outputs, made here."""
        print(f"\n{self.name}: a new adapter {' '.join(words)}")
        out = self.work / f"new {' '.join(words)}"
        self.mantissa.train(self.model, self.file, out, *self.words, "--method", "lora", *words,
                            rate=0)
        self.same_function(out, self.open_adapter(out))
        tensors = load_file(out / "adapter_model.safetensors")
        self.checks.check(all(bool(v.any()) == ("lora_A" in k) for k, v in tensors.items()
                              if "lora_" in k), "A is not zero, B is")


def check_other_labels(case):
    """A folder of PEFT with more labels than the model's config.json has."""
    print(f"\n{case.name}: five labels")
    folder = case.make_adapter("five labels", labels=5, r=4, target_modules=[case.family.few[0]])
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
    print(f"\n{case.name}: matryoshka")
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

def check_family(checks, mantissa, folder, family):
    """The least of what there is for each family."""
    cases = {kind: Case(checks, mantissa, folder, family, kind)
             for kind in ("classes", "score", "spans")}
    for case in cases.values():
        case.check_full()
        case.check_new_head()
        case.check_training(", ".join(family.few), r=8, lora_alpha=16,
                            target_modules=list(family.few))
        case.check_training("all", r=4, lora_alpha=8, target_modules=list(family.all))
        case.check_new("--lora_r", "3")
        case.check_merge()
    cases["classes"].check_training("all-linear, rsLoRA", r=4, lora_alpha=8, use_rslora=True,
                                    target_modules="all-linear",
                                    modules_to_save=list(family.saved) or None)
    check_other_labels(cases["classes"])
    return cases


def check_all(checks, mantissa, folder):
    cases = {family.name: check_family(checks, mantissa, folder, family) for family in FAMILIES}
    cases["bert"]["classes"].check_training("some", r=4, target_modules=[
        "layer.1.attention.self.query", "layer.1.attention.self.value", "2.output.dense",
        "layer.0.attention.self.key", "pooler.dense"])
    check_matryoshka(cases["bert"]["classes"])


if __name__ == "__main__":
    sys.exit(model_checks.run_gate(__doc__, Checks, Mantissa, check_all))
