#!/usr/bin/env python3
"""Make the golden values of tests/golden/test_golden_modernbert.c with transformers.

    make_golden_modernbert.py [FOLDER [NAME ...]]

FOLDER is tests/golden/data of this repository if not given; NAME: only these.  Tiny random ModernBERTs, one folder
each as transformers writes it, with golden.safetensors beside: one batch (lengths, ids one row behind the other,
targets), the outputs (of tokens: one row behind the other), the loss, and its gradients by all parameters.  PyTorch
computes in double precision, all rows in one batch that is padded, with an attention mask.  Versions are in the
metadata.

  modernbert   classes by the first token; windows shorter than a row, whose rows are two blocks long; no biases
  modernmean   a score by the mean of all tokens; all biases, layer_types, other activation functions
  modernspans  answers; windows as wide as the rows
  moderntokens a class for each token, of which some have none

Needs safetensors, torch and transformers.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (ModernBertConfig, ModernBertForQuestionAnswering,
                          ModernBertForSequenceClassification, ModernBertForTokenClassification)

SMALL = {"hidden_size": 32, "intermediate_size": 20, "num_hidden_layers": 4,
         "num_attention_heads": 4, "vocab_size": 61, "max_position_embeddings": 256,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
         "sep_token_id": 2}
CASES = {
    "modernbert": (ModernBertForSequenceClassification,
                   {**SMALL, "num_labels": 3, "local_attention": 24,
                    "global_attn_every_n_layers": 3}, [150, 9, 41]),
    "modernmean": (ModernBertForSequenceClassification,
                   {**SMALL, "num_hidden_layers": 3, "num_labels": 1, "local_attention": 7,
                    "classifier_pooling": "mean", "classifier_bias": True, "norm_bias": True,
                    "attention_bias": True, "mlp_bias": True, "norm_eps": 1e-3,
                    "hidden_activation": "silu", "classifier_activation": "relu",
                    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                    "rope_parameters": {
                        "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                        "sliding_attention": {"rope_type": "default", "rope_theta": 30.0}}},
                   [17, 1, 30, 8]),
    "modernspans": (ModernBertForQuestionAnswering, {**SMALL, "num_labels": 2}, [33, 12]),
    "moderntokens": (ModernBertForTokenClassification,
                     {**SMALL, "num_hidden_layers": 3, "num_labels": 5, "local_attention": 8}, [21, 1, 14]),
}


def loss_of(kind, model, logits, lengths):
    """The loss, its targets by name, and the outputs one row behind the other."""
    if kind is ModernBertForQuestionAnswering:
        begin = torch.tensor([n // 3 for n in lengths])
        end = torch.tensor([n // 2 for n in lengths])
        loss = sum(torch.nn.functional.cross_entropy(logits[side][i:i + 1, :n], t[i:i + 1])
                   for side, t in enumerate((begin, end)) for i, n in enumerate(lengths))
        outputs = torch.cat([torch.stack([side[i, :n] for side in logits], -1)
                             for i, n in enumerate(lengths)])
        return loss / (2 * len(lengths)), {"begin": begin.int(), "end": end.int()}, outputs
    if kind is ModernBertForTokenClassification:
        outputs = torch.cat([logits[i, :n] for i, n in enumerate(lengths)])
        tags = torch.arange(len(outputs)) * 7 % model.config.num_labels
        tags[::4] = -100
        return torch.nn.functional.cross_entropy(outputs, tags), {"tags": tags.int()}, outputs
    if model.config.num_labels == 1:
        score = torch.linspace(-1, 2, len(lengths))
        loss = torch.nn.functional.mse_loss(logits[:, 0], score.double())
        return loss, {"score": score}, logits
    label = torch.arange(len(lengths)) % model.config.num_labels
    return torch.nn.functional.cross_entropy(logits, label), {"label": label.int()}, logits


def make(folder, kind, config, lengths):
    torch.manual_seed(sum(map(ord, folder.name)))
    # the softmax of eager attention is float, in which padding far from all tokens has NaN
    model = kind._from_config(ModernBertConfig(**config), attn_implementation="sdpa")
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and name.endswith("weight"):
                p.normal_(1.0, 0.2)
            else:
                p.normal_(0.0, 0.1 if p.dim() == 1 else p.shape[1]**-0.5)
    model.save_pretrained(folder)
    model = model.double().eval()
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, n in enumerate(lengths):
        ids[i, :n] = torch.randint(3, config["vocab_size"], (n,))
        mask[i, :n] = 1
    out = model(input_ids=ids, attention_mask=mask)
    logits = out.logits if "logits" in out else (out.start_logits, out.end_logits)
    loss, targets, outputs = loss_of(kind, model, logits, lengths)
    loss.backward()
    values = {"lengths": torch.tensor(lengths), "ids": ids[mask == 1].int(),
              "loss": loss.detach().float().reshape(1),
              "outputs": outputs.detach().float().contiguous(), **targets}
    for name, p in model.named_parameters():
        values[f"grad.{name}"] = p.grad.float().contiguous()
    save_file(values, folder / "golden.safetensors",
              {"transformers": transformers.__version__, "torch": torch.__version__})


def main():
    top = Path(__file__).resolve().parent.parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else top / "tests" / "golden" / "data"
    for name in sys.argv[2:] or CASES:
        make(out / name, *CASES[name])


if __name__ == "__main__":
    main()
