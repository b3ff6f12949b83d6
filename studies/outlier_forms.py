#!/usr/bin/env python3
"""Which form of outliers keeps int8 close to fp32 on a language model: its loss, form by form.

    studies/outlier_forms.py --model FOLDER --gguf NAME.gguf --text LINES.jsonl [--rows 12]
        [--length 256] [--calibrate 8] [--out RESULTS.jsonl]

A simulation in PyTorch: the inputs and weights of all linear layers but the output are mapped to
dynamic fixed point, rounded to nearest, the rest is fp32.  Weights have exponents by row.  For the
inputs: exponents by tensor, by row (token) or by block (64 x 64); and

  plain    nothing is told apart
  feature  features whose largest magnitude is over THRESHOLD times the median feature's
  static   the same, found in --calibrate other rows and kept
  element  elements over THRESHOLD times the mean magnitude of their row (tensor)
  both     static with a threshold of 5, and of the rest elements over THRESHOLD times the mean

Outliers have BITS and exponents of their own.  Printed for each: the difference of the loss to
fp32's, the share of features (of elements) that are outliers, on average and in the worst layer, and
how many features a gathered product of 64 rows would need (those with an outlier in these rows).
Development only: needs torch, transformers, gguf.
"""
import argparse
import json
import os

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PIECE = 64
FORMS = [(group, "plain", 0.0, 0) for group in ("tensor", "row")]
FORMS += [(group, form, 5.0, 12) for group in ("tensor", "row")
          for form in ("feature", "static", "element")]
FORMS += [("row", form, threshold, 12) for form in ("static", "element")
          for threshold in (3.0, 8.0, 16.0)]
FORMS += [("row", "static", 5.0, bits) for bits in (9, 10, 11, 13, 14)]
FORMS += [("block", "plain", 0.0, 0), ("block", "static", 5.0, 12), ("row", "static", 2.0, 12)]
FORMS += [("row", "both", threshold, 12) for threshold in (8.0, 16.0, 32.0)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("model", "gguf", "text"):
        parser.add_argument(f"--{name}", required=True)
    for name, default in (("rows", 12), ("length", 256), ("calibrate", 8), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out")
    parser.add_argument("--forms", default="", help="only those whose text has this, e.g. block")
    return parser.parse_args()


def mapped(x, bits, dim):
    """Dynamic fixed point, rounded to nearest, one power of two along dim."""
    largest = x.abs().amax(dim=dim, keepdim=True)
    unit = torch.exp2(torch.floor(torch.log2(largest.clamp_min(2.0 ** -100))) - (bits - 2))
    limit = 2 ** (bits - 1) - 1
    return (x / unit).round().clamp(-limit, limit) * unit


def mapped_blocks(x, bits):
    """The same with one exponent for each 64 x 64."""
    rows, cols = x.shape
    padded = torch.nn.functional.pad(x, (0, -cols % PIECE, 0, -rows % PIECE))
    tiles = padded.view(padded.shape[0] // PIECE, PIECE, padded.shape[1] // PIECE, PIECE)
    return mapped(tiles, bits, (1, 3)).reshape(padded.shape)[:rows, :cols]


class Input:
    """The input of one linear layer: how it is mapped now, and what was seen."""

    def __init__(self, linear):
        self.weight = mapped(linear.weight.data, 8, 1)
        self.bias = linear.bias
        self.features = linear.in_features
        self.largest = torch.zeros(linear.in_features)  # of the calibration
        self.form = None
        self.shares, self.gathered = [], []

    def outliers(self, x):
        """A mask of x[rows][features]."""
        group, form, threshold, _ = self.form
        if form == "element":
            typical = x.abs().mean(1, keepdim=True) if group == "row" else x.abs().mean()
            return x.abs() > threshold * typical
        largest = x.abs().amax(0) if form == "feature" else self.largest
        listed = largest > (5.0 if form == "both" else threshold) * largest.median()
        if form != "both":
            return listed.expand_as(x)
        rest = x.abs().masked_fill(listed, 0)
        return listed | (rest > threshold * rest.mean(1, keepdim=True))

    def __call__(self, x):
        flat = x.reshape(-1, self.features)
        if self.form == "watch":
            self.largest = torch.maximum(self.largest, flat.abs().amax(0))
            value = flat
        elif self.form is None:
            value = flat
        else:
            group, form, _, bits = self.form
            def to_format(part, width):
                if group == "block":
                    return mapped_blocks(part, width)
                return mapped(part, width, 1 if group == "row" else (0, 1))
            if form == "plain":
                value = to_format(flat, 8)
            else:
                out = self.outliers(flat)
                self.shares.append(out.float().mean().item())
                self.gathered += [piece.any(0).float().mean().item() for piece in out.split(PIECE)]
                value = to_format(flat.masked_fill(out, 0), 8)
                value = value + to_format(flat.masked_fill(~out, 0), bits)
        weight = self.exact if self.form in (None, "watch") else self.weight
        return torch.nn.functional.linear(value, weight, self.bias).view(*x.shape[:-1], -1)


def main():
    o = parse()
    torch.set_num_threads(o.threads)
    tokenizer = AutoTokenizer.from_pretrained(o.model, gguf_file=o.gguf)
    model = AutoModelForCausalLM.from_pretrained(o.model, gguf_file=o.gguf,
                                                 dtype=torch.float32).eval()
    with open(o.text, encoding="utf-8") as file:
        text = "\n\n".join("\n".join(json.loads(line).values()) for line, _ in zip(file, range(400)))
    ids = tokenizer(text, return_tensors="pt").input_ids[0]
    need = (o.rows + o.calibrate) * o.length
    ids = ids[:need].view(-1, o.length)
    inputs = []
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and "lm_head" not in name:
            one = Input(layer)
            one.exact = layer.weight.data
            layer.forward = one
            inputs.append(one)

    def loss(rows):
        with torch.no_grad():
            found = [model(input_ids=rows[i:i + 4], labels=rows[i:i + 4]).loss.item()
                     for i in range(0, len(rows), 4)]
        return sum(found) / len(found)

    def use(form):
        for one in inputs:
            one.form, one.shares, one.gathered = form, [], []

    use("watch")
    loss(ids[o.rows:])
    use(None)
    exact = loss(ids[:o.rows])
    print(f"| exponents | form | threshold | bits | loss - fp32 | outliers, % | worst layer, % | "
          f"features to gather, % |\n|---|---|---|---|---|---|---|---|")
    for form in FORMS:
        if o.forms not in f"{form[0]} {form[1]} {form[2]:g} {form[3]}":
            continue
        use(form)
        line = {"model": o.gguf, "text": os.path.basename(o.text), "rows": o.rows,
                "length": o.length, "fp32": exact, "group": form[0], "form": form[1],
                "threshold": form[2], "bits": form[3], "difference": loss(ids[:o.rows]) - exact}
        shares = [sum(one.shares) / max(len(one.shares), 1) for one in inputs]
        gathered = [sum(one.gathered) / max(len(one.gathered), 1) for one in inputs]
        line.update(share=sum(shares) / len(shares), worst=max(shares),
                    gathered=sum(gathered) / len(gathered))
        print(f"| {form[0]} | {form[1]} | {form[2]:g} | {form[3]} | {line['difference']:+.4f} | "
              f"{100 * line['share']:.2f} | {100 * line['worst']:.1f} | "
              f"{100 * line['gathered']:.1f} |", flush=True)
        if o.out:
            with open(o.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
