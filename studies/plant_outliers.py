#!/usr/bin/env python3
"""A copy of a BERT folder that computes the same, but whose linear layers read outlier features.

    studies/plant_outliers.py --model MODEL_DIR --output FOLDER [--kind offset,value,last]
                              [--factor 100] [--share 0.005] [--seed 1] [--check [FILE_OF_TEXTS]]

Small models have few outliers, and large ones do not fit a study: so they are planted.  In each
layer norm (or value projection) max(1, share * features) features are drawn, each with a sign.

offset  BERT normalises behind the sum, so what leaves a layer norm goes to linear layers and into
        the next sum, and no gain can be taken back.  A constant can: c = factor * typical is added
        to beta[k], c W[:,k] taken from the biases of the layers that read it, and c from bias[k] of
        the layer whose output is added to it.  typical = sqrt(mean(beta^2 + gamma^2)), the root
        mean square of what leaves the layer norm.  c is the same for all tokens.  In every layer
        norm.
value   Rows of the value projection times the factor, columns of attention's output projection
        divided by it.
last    gamma and beta of the last layer norm times the factor, columns of its readers divided by
        it.

Between c and its -c nothing may be dropped: the copy's config.json says hidden_dropout_prob 0, else
the function in training is another one (dropout takes -c away and leaves c).  It says
attention_probs_dropout_prob 0, too, so that a run has all of dropout or none.

There are no outlier tokens: rows of the word embedding go through a layer norm at once, which takes
any scale away, and a constant of one token alone cannot be taken back by a bias, which all share.

The same function is not the same training: the gradient of a column W[:,k] that reads a planted
feature is about `factor` times larger, and a step of AdamW on it moves the output so many times
farther.  A planted model is compared with itself in fp32, not with the model it was made of.

What 8 bits lose in a planted model, beside what features of a row share (FORMATS.md (2)):
offset  the error of W[:,k] times c moves an output by the same for all tokens; beta has one
        exponent, so --norm_bits 8 leaves nothing of the others.
value   with --exponent_group tensor the large rows set the exponent of query, key and value.
last    the small columns of the readers, in the weights as in 1 / factor; so for value, too.

Sums are in float64, the file is F32.  --check runs both folders in PyTorch: all hidden states
(planted scales taken off) and outputs.  In float64, before the weights are rounded, they may differ
by 1e-9 of their root mean square; in fp32 by 1e-5 * factor of it: planted numbers are `factor`
times the others and rounded to 2^-24 of themselves, in the weights and after the operations of all
layers; 1e-5 is 170 such roundings in one direction.  Needs numpy and safetensors; --check torch and
transformers.
"""
import argparse
import json
import os
import shutil
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

KINDS = ["offset", "value", "last"]
# What reads the last layer norm, beside the pooler; and what else a folder may hold.
HEADS = ["qa_outputs", "cls.predictions.transform.dense"]
TOKEN_HEAD = "BertForTokenClassification"  # whose `classifier` reads it, too
OTHERS = ["classifier.", "cls.predictions.bias", "cls.predictions.transform.LayerNorm.",
          "cls.predictions.decoder.", "cls.seq_relationship."]
WEIGHT_FILES = (".safetensors", ".bin", ".h5", ".pt", ".pth", ".msgpack", ".ot", ".onnx")
TEXTS = ["The cat sat on the mat.", "No.", "Shares of the company rose 4.5% to $21.30 on Friday.",
         "What does a layer norm do to a feature that is a hundred times larger than the others?",
         "In 1854 the town had 1,203 inhabitants, most of them weavers; forty years later it had "
         "more than 20,000, a harbour, two railways and a newspaper of its own.",
         "He said that she said that they had said nothing, which nobody believed."]


class Planter:
    """The weights in float64, and what was done to each hidden state: h' = gain * h + shift."""

    def __init__(self, weights, config, o):
        self.weights = weights
        self.prefix = "bert." if "bert.embeddings.LayerNorm.weight" in weights else ""
        self.layers, self.width = config["num_hidden_layers"], config["hidden_size"]
        self.count = max(1, round(o.share * self.width))
        self.factor, self.rng = o.factor, np.random.default_rng(o.seed)
        self.gain = np.ones((self.layers + 1, self.width))
        self.shift = np.zeros((self.layers + 1, self.width))
        readers = [self.prefix + "pooler.dense"] + HEADS
        known = readers + OTHERS + [self.prefix + n for n in ("embeddings.", "encoder.")]
        strange = [n for n in weights if not n.startswith(tuple(known))]
        if strange:
            sys.exit(f"plant_outliers: {strange[0]}: not known what it reads")
        if TOKEN_HEAD in config["architectures"]:
            readers.append("classifier")
        self.last_readers = [r for r in readers if r + ".weight" in weights]

    def at(self, layer, name):
        return f"{self.prefix}encoder.layer.{layer}.{name}"

    def draw(self, where):
        """Features and their signs."""
        features = np.sort(self.rng.choice(self.width, self.count, replace=False))
        signs = self.rng.choice([-1.0, 1.0], self.count)
        print(f"{where}: " + ", ".join(f"{k} ({'+' if s > 0 else '-'})"
                                       for k, s in zip(features, signs)))
        return features, signs

    def plant_offset(self, norm, readers, partner, state):
        """In one layer norm; partner: the layer whose output is added to it, or None; state: the
        number of the hidden state that it makes, or None."""
        w = self.weights
        k, signs = self.draw(norm)
        typical = np.sqrt(np.mean(w[norm + ".weight"] ** 2 + w[norm + ".bias"] ** 2))
        c = self.factor * typical * signs
        w[norm + ".bias"][k] += c
        for reader in readers:
            w[reader + ".bias"] -= w[reader + ".weight"][:, k] @ c
        if partner is not None:
            w[partner + ".bias"][k] -= c
        if state is not None:
            self.shift[state, k] += c

    def offset(self):
        for layer in range(self.layers + 1):
            norm = self.at(layer - 1, "output.LayerNorm") if layer > 0 else \
                self.prefix + "embeddings.LayerNorm"
            if layer == self.layers:
                self.plant_offset(norm, self.last_readers, None, layer)
                continue
            self.plant_offset(norm, [self.at(layer, f"attention.self.{n}")
                                     for n in ("query", "key", "value")],
                              self.at(layer, "attention.output.dense"), layer)
            self.plant_offset(self.at(layer, "attention.output.LayerNorm"),
                              [self.at(layer, "intermediate.dense")],
                              self.at(layer, "output.dense"), None)

    def value(self):
        w = self.weights
        for layer in range(self.layers):
            name = self.at(layer, "attention.self.value")
            k, signs = self.draw(name)
            w[name + ".weight"][k] *= self.factor * signs[:, None]
            w[name + ".bias"][k] *= self.factor * signs
            w[self.at(layer, "attention.output.dense.weight")][:, k] /= self.factor * signs

    def last(self):
        w = self.weights
        norm = self.at(self.layers - 1, "output.LayerNorm")
        k, signs = self.draw(norm)
        for part in (w[norm + ".weight"], w[norm + ".bias"], self.gain[-1], self.shift[-1]):
            part[k] *= self.factor * signs
        for reader in self.last_readers:
            w[reader + ".weight"][:, k] /= self.factor * signs


def outputs_of(architecture, folder, texts, dtype, weights=None):
    """Hidden states, [tokens][features], and the other outputs, flat, as float64 arrays by name."""
    import torch
    import transformers
    transformers.utils.logging.disable_progress_bar()
    model = getattr(transformers, architecture).from_pretrained(folder, dtype=torch.float32,
                                                                attn_implementation="eager")
    model = model.to(dtype).eval()
    if weights is not None:
        state = {n: torch.from_numpy(v) for n, v in weights.items()}
        left = model.load_state_dict(state, strict=False)
        if [n for n in left.missing_keys if "position_ids" not in n and "decoder" not in n]:
            sys.exit(f"plant_outliers: {left.missing_keys}: not in the file")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = {}
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
            given = dict(model(**ids, output_hidden_states=True))
            for i, state in enumerate(given.pop("hidden_states")):
                given[f"hidden_state {i}"] = state[0]
            given.pop("last_hidden_state", None)  # the last of them
            for name, value in given.items():
                value = value.double().numpy()
                found.setdefault(name, []).append(value if "hidden" in name else value.reshape(-1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def compare(plain, planted, planter, bound, title):
    """Whether all differences are within the bound; prints the largest of each output."""
    worst = 0.0
    for name, value in plain.items():
        other = planted[name]
        if "hidden" in name:
            state = int(name.split()[1])
            other = (other - planter.shift[state]) / planter.gain[state]
        largest, size = np.abs(other - value).max(), np.sqrt(np.mean(value ** 2))
        print(f"{title:8} {name:16} root mean square {size:.4f}, largest difference {largest:.2e}, "
              f"relative {largest / size:.2e}")
        worst = max(worst, largest / size) if np.isfinite(largest) else np.inf
    same = worst <= bound
    print(f"{title}: {worst:.2e} of at most {bound:.0e}: {'the same' if same else 'FAILED'}")
    return same


def check(o, planter, architecture):
    import torch
    texts = TEXTS
    if o.check:
        with open(o.check, encoding="utf-8") as file:
            texts = [line.strip() for line in file if line.strip()]
    exact = compare(outputs_of(architecture, o.model, texts, torch.float64),
                    outputs_of(architecture, o.model, texts, torch.float64, planter.weights),
                    planter, 1e-9, "float64")
    single = compare(outputs_of(architecture, o.model, texts, torch.float32),
                     outputs_of(architecture, o.output, texts, torch.float32),
                     planter, 1e-5 * max(1.0, o.factor), "fp32")
    if not (exact and single):
        sys.exit("plant_outliers: the copy is not the same function")


def write(o, planter, others, config):
    os.makedirs(o.output, exist_ok=True)
    for name in sorted(os.listdir(o.model)):
        source = os.path.join(o.model, name)
        if os.path.isfile(source) and name != "config.json" and not name.endswith(WEIGHT_FILES):
            shutil.copyfile(source, os.path.join(o.output, name))
    weights = {n: np.ascontiguousarray(v, np.float32) for n, v in planter.weights.items()}
    save_file({**weights, **others}, os.path.join(o.output, "model.safetensors"), {"format": "pt"})
    config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    # A folder that was trained here may have lists of outliers: without the planted ones.
    config.get("mantissa", {}).pop("outlier_features", None)
    with open(os.path.join(o.output, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--output", required=True)
    p.add_argument("--kind", default="offset", help="one or several, separated by commas")
    p.add_argument("--factor", type=float, default=100.0)
    p.add_argument("--share", type=float, default=0.005, help="of the features, at least one")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--check", nargs="?", const="", metavar="FILE_OF_TEXTS")
    o = p.parse_args()
    kinds = o.kind.split(",")
    if not set(kinds) <= set(KINDS) or len(set(kinds)) < len(kinds):
        p.error(f"--kind: expected some of {', '.join(KINDS)}, found {o.kind}")
    if not (0 < o.factor < float("inf")) or not 0 <= o.share <= 1:
        p.error("--factor is above 0, --share is 0 to 1")
    if os.path.realpath(o.output) == os.path.realpath(o.model):
        p.error("--output is the model itself")
    with open(os.path.join(o.model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    if config.get("model_type") != "bert":
        p.error(f"{o.model}: expected model_type bert, found {config.get('model_type')}")
    tensors = load_file(os.path.join(o.model, "model.safetensors"))
    floats = {n: v.astype(np.float64) for n, v in tensors.items() if v.dtype == np.float32}
    planter = Planter(floats, config, o)
    for kind in kinds:
        getattr(planter, kind)()
    write(o, planter, {n: v for n, v in tensors.items() if n not in floats}, config)
    if o.check is not None:
        check(o, planter, config["architectures"][0])


if __name__ == "__main__":
    main()
