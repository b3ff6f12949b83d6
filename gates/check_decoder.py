#!/usr/bin/env python3
"""Compare language models, fine-tuning and LoRA of Mantissa with PyTorch, transformers and PEFT.

    check_decoder.py [MANTISSA]

MANTISSA  the command, default: $MANTISSA_BUILD/mantissa

The models are tiny and random: norms are not ones, biases not zeros, and weights so large that a
loss says something.  Each has a byte-level BPE tokenizer of its own, trained on the LICENSE, and the
texts are that file's paragraphs and some lines in other scripts.

  llama    keys and values in groups, rotary positions scaled as Llama 3's, a BOS before each text
  tied     Llama with tied words, bfloat16 on disk
  qwen2    biases of query, key and value, tied words
  mistral  heads wider than hidden_size / heads, a vocabulary larger than the tokenizer's
  window   Mistral with a window of attention, shorter than most rows
  qwen3    q and k normed, a window in the last layer
  gemma3   more norms, with 1 + gamma, scaled words, windows with rotary positions of their own
  falcon   as 7B: attention and MLP in parallel, one head of keys and values
  falcon40 as 40B: groups of heads, two norms
  falconrw as falcon-rw: ALiBi, one after the other, biases

  eval     eval_loss of each form of rows (text, prompt and completion, ...) by the rules of
           src/tasks/language_modeling.h: fp32 to 1e-5, int16 to 1e-3, int8 to INT8_EVAL
  lora     20 steps from one adapter that PEFT made: all linear layers, rsLoRA, some of the layers.
           Losses in fp32 to 1e-3 of themselves; the folder that was written: PEFT opens it without a
           word, AutoPeftModelForCausalLM and AutoModelForCausalLM find its base; logits against
           PEFT's own training to 1e-2, loss against `mantissa eval` to 1e-5.  int8: mean loss of the
           last five steps, and of SEEDS, for gradients are rounded by chance, to INT8_LORA
  new      an adapter that Mantissa began: PEFT opens it, and with rate 0 and B = 0 the loss is
           the model's
  folder   a model trained into an adapter's folder leaves nothing of that, and the other way round
  full     20 steps of all parameters in fp32: losses to 1e-3, the folder in transformers, its loss
           against `mantissa eval` to 1e-5 and its logits against PyTorch's own training to 1e-2
Exit status 1 if anything differs by more, 77 if the command is not given.

Needs numpy, peft, safetensors, tokenizers, torch and transformers.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import peft
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)
from transformers import (AutoModelForCausalLM, FalconConfig, FalconForCausalLM, Gemma3ForCausalLM,
                          Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, PreTrainedTokenizerFast, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

import model_checks

STEPS, BATCH, LENGTH, VOCABULARY = 20, 4, 96, 500
LORA_RATE, FULL_RATE = 5e-3, 1e-3
EVAL_TOLERANCE, LOSS_TOLERANCE, LOGIT_TOLERANCE = 1e-5, 1e-3, 1e-2
INT16_EVAL, INT8_EVAL, INT8_LORA = 1e-3, 3e-2, 3e-2
SEEDS = (1, 2, 3)
IGNORED = -100
KINDS = ("llama", "tied", "qwen2", "mistral", "window", "qwen3", "gemma3", "falcon", "falcon40",
         "falconrw")
BEGIN, END = "<|begin|>", "<|endoftext|>"
# How transformers' tokenizers of Llama 3 and Qwen2 cut a text before BPE.
LLAMA_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
               r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN_SPLIT = LLAMA_SPLIT.replace("{1,3}", "")
OTHER_TEXTS = ("Caf\u00e9 na\u00efve \u00dcber \u0141\u00f3d\u017a, cafe\u0301 and 12345 things.",
               "\u4e2d\u6587\u5b57 \ud55c\uad6d\uc5b4 \u0441\u043b\u043e\u0432\u043e \U0001f44d\U0001f3fd",
               "if (x[i] >= 10) {\n    return f\"{x:.3f}\";\n}\n\n\n", "It's 1,024.5 and they'll say so.")
WITH_INPUT = ("Below is an instruction that describes a task, paired with an input that provides "
              "further context. Write a response that appropriately completes the request.\n\n"
              "### Instruction:\n%s\n\n### Input:\n%s\n\n### Response:\n")
WITHOUT_INPUT = ("Below is an instruction that describes a task. Write a response that "
                 "appropriately completes the request.\n\n### Instruction:\n%s\n\n### Response:\n")


# ---------------------------------------------------------------------------------- the models

def make_tokenizer(kind, texts):
    """A byte-level BPE tokenizer as those of Llama 3 and Qwen2, and of GPT-2 with single digits."""
    made = Tokenizer(models.BPE())
    split = {"llama": LLAMA_SPLIT, "qwen2": QWEN_SPLIT}.get(kind)
    if split is None:
        parts = [pre_tokenizers.Digits(individual_digits=True),
                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    else:
        parts = [pre_tokenizers.Split(Regex(split), behavior="isolated"),
                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    made.pre_tokenizer = pre_tokenizers.Sequence(parts)
    made.decoder = decoders.ByteLevel()
    if kind == "qwen2":
        made.normalizer = normalizers.NFC()
    made.train_from_iterator([*texts, WITH_INPUT, WITHOUT_INPUT], trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2, show_progress=False, special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.add_special_tokens([AddedToken(BEGIN, special=True), AddedToken(END, special=True)])
    if kind == "llama":
        made.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B",
            special_tokens=[(BEGIN, made.token_to_id(BEGIN))])
    return made


def model_of(kind, tokenizer):
    common = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                  max_position_embeddings=512, initializer_range=0.15,
                  vocab_size=tokenizer.get_vocab_size(), bos_token_id=tokenizer.token_to_id(BEGIN),
                  eos_token_id=tokenizer.token_to_id(END))
    if kind == "llama":
        rope = {"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
        return LlamaForCausalLM(LlamaConfig(**common, num_key_value_heads=2, rms_norm_eps=1e-5,
                                            rope_parameters=rope))
    if kind == "tied":
        return LlamaForCausalLM(LlamaConfig(**common, num_key_value_heads=4,
                                            tie_word_embeddings=True)).to(torch.bfloat16)
    if kind == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**common, num_key_value_heads=2,
                                            tie_word_embeddings=True))
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**common, num_key_value_heads=2, head_dim=24,
                                            use_sliding_window=True, sliding_window=11,
                                            max_window_layers=1))
    if kind == "gemma3":
        types = ["sliding_attention", "full_attention"]
        return Gemma3ForCausalLM(Gemma3TextConfig(**common, num_key_value_heads=1, head_dim=16,
                                                  sliding_window=13, layer_types=types,
                                                  pad_token_id=None, query_pre_attn_scalar=24))
    if kind.startswith("falcon"):
        del common["intermediate_size"]
        more = {"falcon": {"ffn_hidden_size": 96},
                "falcon40": {"new_decoder_architecture": True, "num_kv_heads": 2},
                "falconrw": {"alibi": True, "parallel_attn": False, "multi_query": False,
                             "bias": True, "hidden_size": 72, "num_attention_heads": 6}}[kind]
        return FalconForCausalLM(FalconConfig(**{**common, **more}))
    if kind == "window":
        return MistralForCausalLM(MistralConfig(**common, num_key_value_heads=2,
                                                sliding_window=19))
    common["vocab_size"] += 11
    return MistralForCausalLM(MistralConfig(**common, num_key_value_heads=1, head_dim=24,
                                            sliding_window=None))


def make_model(kind, folder, texts):
    """A folder as transformers writes it; its tokenizer."""
    tokenizer = make_tokenizer(kind, texts)
    model = model_of(kind, tokenizer)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and name.endswith("weight"):
                p.copy_((kind != "gemma3") + 0.3 * torch.randn(p.shape))
            elif name.endswith("bias"):
                p.copy_(0.5 * torch.randn(p.shape))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN,
                            eos_token=END).save_pretrained(folder)
    return tokenizer


def words_of(folder):
    """How to open a model: with the plainest attention, but Falcon's adds ALiBi twice."""
    config = json.loads((Path(folder) / "config.json").read_text())
    return {"dtype": torch.float32,
            "attn_implementation": "sdpa" if config["model_type"] == "falcon" else "eager"}


def open_model(folder):
    """The model in fp32, and what from_pretrained said of its tensors."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True,
                                                       **words_of(folder))
    return model.eval(), {key: sorted(value) for key, value in info.items() if value}


# ------------------------------------------------------------------------------------ the rows

def read_texts():
    """Paragraphs."""
    text = (Path(__file__).resolve().parent.parent / "LICENSE").read_text(encoding="utf-8")
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    return [block for block in blocks if len(block) > 20] + list(OTHER_TEXTS)


def make_rows(texts):
    """form -> rows, as dictionaries; of some rows the prompt alone is as long as a row may be."""
    pairs = [(text[:len(text) // 3], text[len(text) // 3:]) for text in texts]
    return {
        "text": [{"text": text} for text in texts],
        "prompt": [{"prompt": a, "completion": b} for a, b in pairs],
        "instruction": [{"instruction": a[:40], "input": a[40:60] if i % 2 else "", "output": b}
                        for i, (a, b) in enumerate(pairs)],
        "question": [{"question": a, "answer": b} for a, b in pairs],
    }


def split_row(row):
    """(prompt or None, the rest)"""
    if "text" in row:
        return None, row["text"]
    if "prompt" in row:
        return row["prompt"], row["completion"]
    if "question" in row:
        return row["question"] + "\n", row["answer"]
    prompt = (WITH_INPUT % (row["instruction"], row["input"]) if row["input"] else
              WITHOUT_INPUT % row["instruction"])
    return prompt, row["output"]


def encode(tokenizer, rows, length):
    """[(ids, labels)] by the rules of language_modeling.h."""
    end, out = tokenizer.token_to_id(END), []
    for row in rows:
        prompt, rest = split_row(row)
        ids, learned = tokenizer.encode((prompt or "") + rest).ids, 0
        if prompt is not None:
            alone = tokenizer.encode(prompt).ids
            same = [a == b for a, b in zip(ids, alone)] + [False]
            learned = same.index(False)
        ids = (ids + [end] if not ids or ids[-1] != end else ids)[:length]
        labels = [IGNORED] * min(learned, len(ids)) + ids[learned:]
        if len(ids) >= 2 and learned < len(ids):
            out.append((ids, labels))
    return out


def encode_text(tokenizer, text, length):
    """A file of plain text: rows of `length` tokens, all learned."""
    ids = tokenizer.encode(text).ids
    return [(ids[i:i + length], ids[i:i + length])
            for i in range(0, len(ids) - length + 1, length)]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
                    encoding="utf-8")
    return path


def batch_of(rows):
    width = max(len(ids) for ids, _ in rows)

    def pad(lists, value):
        return torch.tensor([items + [value] * (width - len(items)) for items in lists])

    return {"input_ids": pad([ids for ids, _ in rows], 0),
            "attention_mask": pad([[1] * len(ids) for ids, _ in rows], 0),
            "labels": pad([labels for _, labels in rows], IGNORED)}


# ---------------------------------------------------------------------------------- both sides

class Checks(model_checks.Checks):
    def near(self, name, found, wanted, tolerance):
        self.check(abs(found - wanted) <= tolerance, f"{name}: {found:.7f}, wanted {wanted:.7f}, "
                   f"difference {abs(found - wanted):.2e} (at most {tolerance:g})")


class Mantissa(model_checks.Command):
    def __init__(self, program):
        super().__init__(program, STEPS, BATCH, ("--max_seq_length", LENGTH))

    def eval(self, model, file, precision, *words):
        """(loss, tokens)"""
        out = json.loads(self.run("eval", model, "--validation_file", file, "--precision",
                                  precision, "--json", *words))
        return out["eval_loss"], out["eval_tokens"]


def torch_eval(model, rows):
    """(loss, tokens): transformers' loss of each row, weighted by its tokens."""
    total = tokens = 0
    with torch.no_grad():
        for row in rows:
            batch = batch_of([row])
            count = int((batch["labels"][:, 1:] != IGNORED).sum())
            total += model(**batch).loss.item() * count
            tokens += count
    return total / tokens, tokens


def torch_train(model, rows, rate):
    """The losses of the steps; the rows in their order, epoch after epoch."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    batches = [rows[i:i + BATCH] for i in range(0, len(rows), BATCH)]
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch_of(batches[step % len(batches)])).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def logits_of(model, rows):
    with torch.no_grad():
        return np.concatenate([model(input_ids=torch.tensor([ids])).logits[0].numpy()
                               for ids, _ in rows])


# --------------------------------------------------------------------------------- comparisons

class Model:
    """A folder, its tokenizer, and the rows that it is asked about."""

    def __init__(self, name, folder, texts):
        self.name, self.folder = name, folder / name
        self.tokenizer = make_model(name, self.folder, texts)
        self.forms = make_rows(texts)
        self.train_file = write_jsonl(folder / f"{name}_train.jsonl", self.forms["prompt"])
        self.train_rows = encode(self.tokenizer, self.forms["prompt"], LENGTH)


def check_losses(checks, found, wanted):
    errors = [abs(f - w) / abs(w) for f, w in zip(found, wanted)]
    assert len(found) == len(wanted) == STEPS
    checks.check(max(errors) <= LOSS_TOLERANCE, f"losses of {STEPS} steps, {wanted[0]:.4f} to "
                 f"{wanted[-1]:.4f}: largest difference {max(errors):.2e} (at most "
                 f"{LOSS_TOLERANCE:g})")


def check_logits(checks, name, found, wanted):
    error = np.abs(found - wanted).max()
    checks.check(error <= LOGIT_TOLERANCE, f"{name}: logits {wanted.min():.1f} to "
                 f"{wanted.max():.1f}, largest difference {error:.2e} (at most {LOGIT_TOLERANCE:g})")


def check_eval(checks, mantissa, m, folder):
    model, info = open_model(m.folder)
    print(f"\n{m.name}: evaluation")
    files = {form: (write_jsonl(folder / f"{m.name}_{form}.jsonl", rows),
                    encode(m.tokenizer, rows, LENGTH)) for form, rows in m.forms.items()}
    text = "\n".join(row["text"] for row in m.forms["text"]) + "\n"
    (folder / f"{m.name}.txt").write_text(text, encoding="utf-8")
    files["plain text"] = (folder / f"{m.name}.txt", encode_text(m.tokenizer, text, LENGTH))
    for form, (file, rows) in files.items():
        wanted, tokens = torch_eval(model, rows)
        for precision, tolerance in (("fp32", EVAL_TOLERANCE), ("int16", INT16_EVAL),
                                     ("int8", INT8_EVAL)):
            found, counted = mantissa.eval(m.folder, file, precision)
            if precision == "fp32":
                checks.check(counted == tokens, f"{form}: {counted} tokens of {len(rows)} rows")
            checks.near(f"{form}, {precision}", found, wanted, tolerance)


def make_adapter(m, folder, **settings):
    """An adapter with random A and B as PEFT writes it."""
    config = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, bias="none", **settings)
    model = get_peft_model(open_model(m.folder)[0], config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.copy_(0.05 * torch.randn(p.shape))
    model.save_pretrained(folder)


def open_adapter(checks, m, folder, name, load):
    """What `load` makes of a folder; it may say nothing, and must take every tensor."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = load()
    said = [str(w.message) for w in said if not issubclass(w.category, FutureWarning)]
    checks.check(not said, f"{name} opens it without a word {said or ''}")
    tensors = load_file(folder / "adapter_model.safetensors")
    held = {key.replace(".default", ""): value.numpy() for key, value in model.state_dict().items()
            if "lora_" in key}
    prefix = "" if isinstance(model, PeftModel) else "base_model.model."
    held = {prefix + key: value for key, value in held.items()}
    checks.check(held.keys() == tensors.keys() and
                 all(np.array_equal(held[key], tensors[key]) for key in tensors),
                 f"{name} has its {len(tensors)} tensors")
    return model.eval()


def check_adapter_folder(checks, m, folder):
    """The model as PEFT opens the folder."""
    words = words_of(m.folder)
    model = open_adapter(checks, m, folder, "PeftModel",
                         lambda: PeftModel.from_pretrained(open_model(m.folder)[0], folder))
    result = peft.set_peft_model_state_dict(model, peft.load_peft_weights(folder))
    missing = [key for key in result.missing_keys if "lora_" in key]
    checks.check(not missing and not result.unexpected_keys,
                 f"no key is missing or unexpected {missing or ''}{result.unexpected_keys or ''}")
    wanted = logits_of(model, m.train_rows[:4])
    for kind in (AutoPeftModelForCausalLM, AutoModelForCausalLM):
        other = open_adapter(checks, m, folder, kind.__name__,
                             lambda: kind.from_pretrained(folder, **words))
        error = np.abs(logits_of(other, m.train_rows[:4]) - wanted).max()
        checks.check(error <= EVAL_TOLERANCE, f"{kind.__name__}: logits to {error:.2e} (at most "
                     f"{EVAL_TOLERANCE:g})")
    return model


def check_lora(checks, mantissa, m, folder, name, **settings):
    print(f"\n{m.name}: LoRA, {name}")
    start, out = folder / f"{m.name} {name}, before", folder / f"{m.name} {name}"
    make_adapter(m, start, **settings)
    method = ("--method", "lora", "--adapter_name_or_path", start)
    found = mantissa.train(m.folder, m.train_file, out, LORA_RATE, "--precision", "fp32", *method)
    ours = PeftModel.from_pretrained(open_model(m.folder)[0], start, is_trainable=True)
    before, _ = torch_eval(ours, m.train_rows)
    loss, _ = mantissa.eval(m.folder, m.train_file, "fp32", "--adapter_name_or_path", start)
    checks.near("loss of PEFT's adapter", loss, before, EVAL_TOLERANCE)
    wanted = torch_train(ours, m.train_rows, LORA_RATE)
    check_losses(checks, found, wanted)
    written = check_adapter_folder(checks, m, out)
    check_logits(checks, "against PEFT's training", logits_of(written, m.train_rows),
                 logits_of(ours.eval(), m.train_rows))
    loss, _ = mantissa.eval(m.folder, m.train_file, "fp32", "--adapter_name_or_path", out)
    checks.near("loss of the adapter written", loss, torch_eval(written, m.train_rows)[0],
                EVAL_TOLERANCE)
    int8 = [mantissa.train(m.folder, m.train_file, folder / f"{m.name} {name}, int8 {seed}",
                           LORA_RATE, "--precision", "int8", "--seed", seed, *method)[-5:]
            for seed in SEEDS]
    checks.near("int8, last five losses", np.mean(int8), np.mean(wanted[-5:]), INT8_LORA)


def check_new(checks, mantissa, m, folder, name, *words):
    """An adapter with B = 0, made here."""
    print(f"\n{m.name}: a new adapter, {name}")
    out = folder / f"{m.name} new {name}"
    mantissa.train(m.folder, m.train_file, out, 0, "--precision", "fp32", "--method", "lora",
                   *words)
    model = check_adapter_folder(checks, m, out)
    tensors = load_file(out / "adapter_model.safetensors")
    checks.check(all(value.any() == ("lora_A" in key) for key, value in tensors.items()),
                 "A is not zero, B is")
    wanted, _ = torch_eval(open_model(m.folder)[0], m.train_rows)
    checks.near("loss of the model without it", torch_eval(model, m.train_rows)[0], wanted,
                EVAL_TOLERANCE)


def check_full(checks, mantissa, m, folder):
    print(f"\n{m.name}: all parameters")
    out = folder / f"{m.name} full"
    found = mantissa.train(m.folder, m.train_file, out, FULL_RATE, "--precision", "fp32")
    ours, _ = open_model(m.folder)
    check_losses(checks, found, torch_train(ours, m.train_rows, FULL_RATE))
    written, info = open_model(out)
    checks.check(not info, f"transformers: no tensor is missing or unexpected {info or ''}")
    checks.check(type(written) is type(ours), f"class {type(written).__name__}")
    check_logits(checks, "against PyTorch's training", logits_of(written, m.train_rows),
                 logits_of(ours, m.train_rows))
    loss, _ = mantissa.eval(out, m.train_file, "fp32")
    checks.near("loss of the folder written", loss, torch_eval(written, m.train_rows)[0],
                EVAL_TOLERANCE)


def check_replaced(checks, mantissa, m, folder):
    """A run that takes the folder of another kind of run leaves nothing of that one."""
    print(f"\n{m.name}: one folder, a model, an adapter and a model")
    out = folder / f"{m.name} replaced"
    lora = ("--method", "lora", "--target_modules", "q_proj")
    for words in ((), lora, ()):
        mantissa.train(m.folder, m.train_file, out, FULL_RATE, "--precision", "fp32",
                       "--overwrite_output_dir", "1", *words)
        names = {path.name for path in out.iterdir()}
        wanted, other = {"config.json", "model.safetensors"}, {"adapter_config.json",
                                                               "adapter_model.safetensors"}
        if words:
            wanted, other = other, wanted
        checks.check(wanted <= names and not other & names, f"{', '.join(sorted(wanted))} alone")
        model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
        adapters = [key for key in model.state_dict() if "lora_" in key]
        checks.check(bool(adapters) == bool(words), f"transformers: {len(adapters)} tensors of "
                     "adapters")
    loss, _ = mantissa.eval(out, m.train_file, "fp32")
    checks.near("its loss", torch_eval(model, m.train_rows)[0], loss, EVAL_TOLERANCE)


# ---------------------------------------------------------------------------------------- main

def check_all(checks, mantissa, folder):
    texts = read_texts()
    kinds = KINDS
    every = {name: Model(name, folder, texts) for name in kinds}
    for m in every.values():
        check_eval(checks, mantissa, m, folder)
    for m in every.values():
        check_lora(checks, mantissa, m, folder, "all linear layers", r=8, lora_alpha=16,
                   target_modules="all-linear")
    for name in ("llama", "mistral"):
        check_lora(checks, mantissa, every[name], folder, "rsLoRA", r=4, lora_alpha=8,
                   use_rslora=True, target_modules="all-linear")
        check_lora(checks, mantissa, every[name], folder, "q_proj, v_proj", r=8, lora_alpha=16,
                   target_modules=["q_proj", "v_proj"])
    for name in ("falcon40", "falconrw"):
        check_lora(checks, mantissa, every[name], folder, "query_key_value", r=8, lora_alpha=16,
                   target_modules=["query_key_value"])
    check_new(checks, mantissa, every["falcon"], folder, "some", "--target_modules",
              "query_key_value,dense_4h_to_h")
    check_new(checks, mantissa, every["qwen2"], folder, "all")
    check_new(checks, mantissa, every["qwen2"], folder, "rsLoRA", "--use_rslora", "1", "--lora_r",
              "3")
    check_new(checks, mantissa, every["qwen2"], folder, "some", "--target_modules",
              "k_proj,up_proj,down_proj")
    check_replaced(checks, mantissa, every["llama"], folder)
    for m in every.values():
        check_full(checks, mantissa, m, folder)


if __name__ == "__main__":
    sys.exit(model_checks.run_gate(__doc__, Checks, Mantissa, check_all))
