#!/usr/bin/env python3
"""Compare ModernBERT, trained by Mantissa, with transformers, PEFT and tokenizers.

    check_modernbert.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are tiny and random, with windows shorter than the rows and heads for three classes, a
score, and spans; their tokenizer is a byte-level BPE that is trained here, made as ModernBERT's:
NFC, ByteLevel, [CLS] A [SEP] B [SEP], runs of spaces as added tokens, [MASK] with lstrip.

  tokens   ids and types of single texts, pairs and cut rows, real and hostile, are those of tokenizers
  full     20 steps of all parameters: losses to 1e-3 of themselves; transformers opens the folder
           that was written without a missing tensor; its logits are those of `mantissa predict` to
           1e-4 (fp32), its answers' losses those of a training that stands still
  keys     a config.json as transformers 4 wrote it gives the same logits
  adapters as check_encoder_adapters.py, of which this gate takes the comparisons
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import shutil
import subprocess
import sys

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers
from transformers import (ModernBertConfig, ModernBertForQuestionAnswering,
                          ModernBertForSequenceClassification, PreTrainedTokenizerFast)

import check_encoder_adapters as encoders
import model_checks
from check_tokenizer import hostile_texts

TARGETS = ["Wqkv", "Wo", "Wi", "dense"]
MODERNBERT = encoders.Family("modernbert", ModernBertConfig, None,
                             ModernBertForSequenceClassification, ModernBertForQuestionAnswering,
                             PreTrainedTokenizerFast, {})
SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


# ------------------------------------------------------------------------------------- models

def make_tokenizer(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([" ".join(encoders.WORDS) + ". Él est naïve?"] * 5, trainer)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)])
    tokenizer.add_special_tokens([AddedToken(s, lstrip=s == "[MASK]", special=True)
                                  for s in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(s, tokenizer.token_to_id(s)) for s in ("[CLS]", "[SEP]")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]", mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=True)
    fast.save_pretrained(folder)
    return fast


def make_model(folder, family, kind, labels):
    folder.mkdir()
    tokenizer = make_tokenizer(folder)
    config = ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=24, max_position_embeddings=128, local_attention=10,
        initializer_range=0.2, classifier_pooling="mean" if kind == "score" else "cls",
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, eos_token_id=None,
        cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id)
    if kind == "spans":
        model = family.questions(config)
    else:
        config.num_labels = labels
        if labels == len(encoders.NAMES):
            config.id2label = dict(enumerate(encoders.NAMES))
            config.label2id = {name: i for i, name in enumerate(encoders.NAMES)}
        config.problem_type = "regression" if labels == 1 else "single_label_classification"
        model = family.texts(config)
    model.save_pretrained(folder)
    return tokenizer


def class_of(kind):
    return MODERNBERT.questions if kind == "spans" else MODERNBERT.texts


def open_model(folder, family, kind, **words):
    assert family is MODERNBERT
    return class_of(kind).from_pretrained(folder, attn_implementation="sdpa", **words).eval()


# -------------------------------------------------------------------------------- comparisons

def check_tokens(checks, mantissa, case):
    print("\ntokens")
    texts = [t for t in hostile_texts() if not set(t) & set("\n\t\r\0")]
    texts += case.texts + ["a [MASK] b", "x    [MASK]  y", "[CLS]z[SEP]", "e\u0301 a      b", ""]
    # to transformers an empty second text is none
    pairs = [f"{a}\t{b}" for a, b in zip(texts, reversed(texts)) if b]
    for name, lines, most in (("single", texts, 0), ("pairs", pairs, 0), ("cut", texts, 12),
                              ("cut pairs", pairs, 17)):
        file = case.work / "lines.txt"
        file.write_bytes("".join(line + "\n" for line in lines).encode("utf-8"))
        out = subprocess.run([mantissa.program, "tokenize", case.model, "--input", file, "--format",
                              "jsonl", "--max_length", str(most)], capture_output=True, check=True)
        found = [json.loads(line) for line in out.stdout.splitlines()]
        words = {"truncation": "longest_first", "max_length": most} if most else {}
        wrong = len(found) != len(lines)
        for line, row in zip(lines, found):
            theirs = case.tokenizer(*line.split("\t"), return_token_type_ids=True, **words)
            wrong += (row["input_ids"] != theirs["input_ids"]
                      or row["token_type_ids"] != theirs["token_type_ids"])
        checks.check(wrong == 0, f"{name}: {len(lines)} lines, {wrong} differ")


class Full(model_checks.Command):
    """Training of all parameters, and prediction with the folder it wrote."""

    def logits(self, model, file):
        out = self.run("predict", model, "--test_file", file, "--precision", "fp32",
                       "--max_seq_length", encoders.LENGTH)
        head, *rows = (line.split("\t") for line in out.splitlines())
        chosen = [i for i, name in enumerate(head) if name.startswith("logit")]
        chosen = chosen or [head.index("score")]
        return [[float(row[i]) for i in chosen] for row in rows]


def check_full(checks, program, case):
    print(f"\n{case.kind}: all parameters")
    command = Full(program, encoders.STEPS, encoders.BATCH)
    out = case.work / "full"
    found = command.train(case.model, case.file, out, 1e-3, "--max_seq_length", encoders.LENGTH,
                          *case.words)
    ours = open_model(case.model, case.family, case.kind)
    rate, encoders.RATE = encoders.RATE, 1e-3
    checks.losses(found, encoders.torch_train(ours, case.batch, len(case.texts)))
    encoders.RATE = rate
    written, report = class_of(case.kind).from_pretrained(out, output_loading_info=True)
    checks.check(not any(report[key] for key in ("missing_keys", "unexpected_keys",
                                                 "mismatched_keys")), "transformers opens it whole")
    if case.kind == "spans":
        still = command.train(out, case.file, case.work / "still", 0, "--max_seq_length",
                              encoders.LENGTH, *case.words)
        checks.near("losses", still, encoders.torch_losses(written.eval(), case.batch,
                                                           len(case.texts)),
                    encoders.LOGIT_TOLERANCE)
        return
    wanted = encoders.torch_logits(written.eval(), case.tokenizer, case.texts)
    checks.near("logits", command.logits(out, case.file), wanted, encoders.LOGIT_TOLERANCE)
    check_old_keys(checks, command, case, out, wanted)


def check_old_keys(checks, command, case, folder, wanted):
    """The same folder with the keys of transformers 4."""
    old = case.work / "old"
    shutil.copytree(folder, old)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ropes = config.pop("rope_parameters")
    config.pop("layer_types")
    config.update({"global_attn_every_n_layers": 3, "position_embedding_type": "absolute",
                   "global_rope_theta": ropes["full_attention"]["rope_theta"],
                   "local_rope_theta": ropes["sliding_attention"]["rope_theta"]})
    (old / "config.json").write_text(json.dumps(config), encoding="utf-8")
    checks.near("logits with the keys of transformers 4", command.logits(old, case.file), wanted,
                encoders.LOGIT_TOLERANCE)


def check_all(checks, mantissa, folder):
    encoders.make_model, encoders.open_model = make_model, open_model  # the rest is the same
    encoders.LENGTH = 64  # longer than any row
    cases = {kind: encoders.Case(checks, mantissa, folder, MODERNBERT, kind)
             for kind in ("classes", "score", "spans")}
    check_tokens(checks, mantissa, cases["spans"])
    for case in cases.values():
        check_full(checks, mantissa.program, case)
        # PEFT knows only qa_outputs of a head for answers
        more = {"modules_to_save": ["classifier"]} if case.kind == "spans" else {}
        case.check_training("Wqkv, Wo", r=8, lora_alpha=16, target_modules=["Wqkv", "Wo"], **more)
        case.check_training("all", r=4, lora_alpha=8, target_modules=TARGETS, **more)
        case.check_new("--lora_r", "3")


if __name__ == "__main__":
    sys.exit(model_checks.run_gate(__doc__, encoders.Checks, encoders.Mantissa, check_all))
