#!/usr/bin/env python3
"""Compare Mantissa's BERT tokenizer with Hugging Face's, token by token: ids, types, byte offsets.

    check_tokenizer.py ENCODER MODEL_DIR DATA_DIR [--quick]

ENCODER    the program tests/unit/test_wordpiece, used as `ENCODER --encode MODEL_DIR`
MODEL_DIR  a folder with the files of a BERT tokenizer
DATA_DIR   a folder with glue/TASK/{train,dev}.tsv and squad/*-v1.1.json

Suites: real lines and pairs (with truncation at 32 and 128); truncation to every small length;
windows of SQuAD's questions and contexts; every code point alone and between two letters; hostile strings; malformed UTF-8; and, with
vocabularies made for it, every code point as a token of its own under each setting of the
normaliser, random sequences of marks, added tokens, vocab.txt without tokenizer.json; and what a training run writes for
folders whose files contradict one another, read by transformers.
Exit status 1 on any difference.

Needs: tokenizers, transformers.
"""

import argparse
import codecs
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

csv.field_size_limit(1 << 30)


class Encoder:
    """The program under test: all requests of a suite go through one process."""

    def __init__(self, program):
        self.program = program

    def run(self, model_dir, requests):
        """requests: (bytes_a, bytes_b or None, max_length[, overlap]).

        Returns (ids, types, begins, ends) of each; with an overlap, of its windows one behind the
        other, each with (first_b,), (count_b,), (skipped_b,) behind, or [] if they are refused.
        """
        lines = []
        for a, b, max_length, *overlap in requests:
            fields = [str(max_length), a.hex()] + ([] if b is None else [b.hex()])
            lines.append("\t".join(fields + [str(n) for n in overlap]))
        result = subprocess.run(
            [self.program, "--encode", model_dir],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise SystemExit(f"{self.program}: {result.stdout[-500:]}{result.stderr[-500:]}")
        out = [
            tuple([int(x) for x in field.split()] for field in line.split("\t") if line)
            for line in result.stdout.split("\n")[:-1]
        ]
        if len(out) != len(requests):
            raise SystemExit(f"{self.program}: {len(out)} answers to {len(requests)} requests")
        return out


def decode(data):
    """bytes -> (text, U+FFFD for malformed bytes; byte offset of each character and the end)."""
    malformed = {}  # offset -> bytes

    def replace(error):
        malformed[error.start] = error.end - error.start
        return "\ufffd", error.end

    codecs.register_error("record", replace)
    text, offsets, at = data.decode("utf-8", errors="record"), [0], 0
    for char in text:
        at += malformed.get(at, len(char.encode()))
        offsets.append(at)
    return text, offsets


def byte_offsets(text):
    """Byte offset of each character of a well-formed text, and of its end."""
    offsets, at = [0], 0
    for char in text:
        at += len(char.encode("utf-8"))
        offsets.append(at)
    return offsets


def expected_windows(encoding, offsets_a, offsets_b, max_length, overlap):
    """Hugging Face's windows in bytes, as Encoder.run gives them."""
    out, skipped = [], 0
    for window in [encoding] + encoding.overflowing:
        out.extend(expected([window], [(offsets_a, offsets_b)])[0])
        count = window.sequence_ids.count(1)
        first = window.sequence_ids.index(1) if count > 0 else len(window.ids) - 1
        out.extend(([first], [count], [skipped]))
        skipped += max_length - (len(window.ids) - count) - overlap
    return tuple(out)


def expected(encodings, texts):
    """Hugging Face's answers in bytes.  texts: (offsets_a, offsets_b) of each request."""
    out = []
    for encoding, (offsets_a, offsets_b) in zip(encodings, texts):
        begins, ends = [], []
        for (begin, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
            table = offsets_b if sequence == 1 else offsets_a
            begins.append(0 if sequence is None else table[begin])
            ends.append(0 if sequence is None else table[end])
        out.append((list(encoding.ids), list(encoding.type_ids), begins, ends))
    return out


class Report:
    def __init__(self):
        self.failed = 0

    def compare(self, suite, requests, got, want):
        bad = [i for i in range(len(requests)) if got[i] != want[i]]
        self.failed += len(bad)
        tokens = sum(len(w[k]) for w in want for k in range(0, len(w), 7))
        print(
            f"{suite}: {len(requests)} texts, {tokens} tokens, {len(bad)} differences", flush=True
        )
        for i in bad[:5]:
            print(
                f"  {requests[i]!r:.300}\n    found    {got[i]!r:.300}\n"
                f"    expected {want[i]!r:.300}"
            )


class Suite:
    """One model folder: Hugging Face's backend beside the program."""

    def __init__(self, encoder, report, model_dir, backend):
        self.encoder, self.report, self.model_dir, self.backend = (
            encoder,
            report,
            model_dir,
            backend,
        )
        self.backend.no_padding()
        self.backend.no_truncation()

    def check(self, name, texts, max_length=0):
        """texts: str, or pairs of str."""
        if max_length:
            self.backend.enable_truncation(max_length, strategy="longest_first")
        encodings = self.backend.encode_batch(texts)
        self.backend.no_truncation()
        pairs = [t if isinstance(t, tuple) else (t, None) for t in texts]
        requests = [(a.encode(), None if b is None else b.encode(), max_length) for a, b in pairs]
        tables = [(byte_offsets(a), None if b is None else byte_offsets(b)) for a, b in pairs]
        self.report.compare(
            name, requests, self.encoder.run(self.model_dir, requests), expected(encodings, tables)
        )

    def windows(self, question, context, max_length, overlap):
        """Hugging Face's windows; () where it refuses, or would give rows that are too long."""
        room = max_length - self.backend.num_special_tokens_to_add(True)
        tables = byte_offsets(question), byte_offsets(context)
        try:
            # The library checks the overlap against a room of its own, for a text that may fit.
            checked = min(overlap, room - 1)
            self.backend.enable_truncation(max_length, stride=checked, strategy="only_second")
            encoding = self.backend.encode(question, context)
            # Only a second window has an overlap: without one the library does not ask for it.
            if encoding.overflowing and checked != overlap:
                return ()
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return ()
        if max(len(w.ids) for w in [encoding] + encoding.overflowing) > max_length:
            return ()
        return expected_windows(encoding, *tables, max_length, overlap)

    def check_windows(self, name, pairs, settings):
        """Overlapping windows as run_qa.py asks for them.  settings: (max_length, overlap)."""
        for max_length, overlap in settings:
            requests = [(a.encode(), b.encode(), max_length, overlap) for a, b in pairs]
            want = [self.windows(a, b, max_length, overlap) for a, b in pairs]
            self.backend.no_truncation()
            got = self.encoder.run(self.model_dir, requests)
            several = sum(len(w) > 7 for w in want)
            refused = sum(len(w) == 0 for w in want)
            self.report.compare(
                f"{name}, max_length {max_length}, overlap {overlap}: {several} of several "
                f"windows, {refused} refused",
                requests,
                got,
                want,
            )

    def check_bytes(self, name, blobs):
        """Malformed UTF-8: Hugging Face sees U+FFFD in its place."""
        decoded = [decode(blob) for blob in blobs]
        encodings = self.backend.encode_batch([text for text, _ in decoded])
        requests = [(blob, None, 0) for blob in blobs]
        self.report.compare(
            name,
            requests,
            self.encoder.run(self.model_dir, requests),
            expected(encodings, [(table, None) for _, table in decoded]),
        )


def tsv_rows(path, header):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return (rows[0], rows[1:]) if header else (None, rows)


def real_texts(data_dir, limit):
    """(single texts, pairs) of GLUE and SQuAD."""
    singles, pairs = [], []
    glue = os.path.join(data_dir, "glue")
    tasks = {
        "SST-2": ("sentence",),
        "QQP": ("question1", "question2"),
        "RTE": ("sentence1", "sentence2"),
        "MRPC": ("#1 String", "#2 String"),
        "QNLI": ("question", "sentence"),
        "STS-B": ("sentence1", "sentence2"),
    }
    for task, names in tasks.items():
        for part in ("dev.tsv", "train.tsv"):
            header, rows = tsv_rows(os.path.join(glue, task, part), True)
            columns = [header.index(name) for name in names]
            for row in rows[:limit]:
                if len(row) <= max(columns):
                    continue
                values = tuple(row[c].replace("\0", "") for c in columns)
                singles.extend(values)
                if len(values) == 2:
                    pairs.append(values)
    _, rows = tsv_rows(os.path.join(glue, "CoLA", "train.tsv"), False)
    singles.extend(row[3] for row in rows[:limit])
    for name in ("dev-v1.1.json", "train-v1.1.json"):
        with open(os.path.join(data_dir, "squad", name), encoding="utf-8") as file:
            for article in json.load(file)["data"]:
                for paragraph in article["paragraphs"][: limit // 100]:
                    singles.append(paragraph["context"])
                    pairs.append((paragraph["qas"][0]["question"], paragraph["context"]))
    return singles, pairs


def question_pairs(data_dir):
    """Every (question, context) of the SQuAD dev set, the question stripped as run_qa.py does."""
    with open(os.path.join(data_dir, "squad", "dev-v1.1.json"), encoding="utf-8") as file:
        return [
            (qa["question"].lstrip(), paragraph["context"])
            for article in json.load(file)["data"]
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
        ]


def hostile_pairs():
    """Texts of few tokens and of many, and strange ones."""
    words = [" ".join("abcdefghij"[:n]) for n in (0, 1, 2, 3, 5, 10)]
    strange = hostile_texts()[:120]
    return (
        [(a, b) for a in words for b in words]
        + list(zip(strange, strange[1:]))
        + [("a", "the word " * 5000), ("who " * 400, "b"), ("who " * 400, "b " * 1000)]
    )


def code_points():
    return [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def hostile_texts():
    """Strings chosen to break a tokenizer; no NUL, since texts are C strings."""
    marks = "\u0301\u0323\u0327\u0345\u0334\u0338\u1dfa\u302e\u3099\U0001d165\U0001d16e"
    texts = [
        "",
        " ",
        "\t\n\r\v\f",
        "\u00a0\u2003\u3000",
        "a\u200db\u200cc\ufeff",
        "\ufffd a\ufffdb",
        "naïve café résumé Ångström",
        "nai\u0308ve cafe\u0301",
        "e\u0301\u0323\u0327 \u1e69 s\u0323\u0307",
        "İstanbul IŞIK ığdır",
        "ΟΔΥΣΣΕΥΣ ΣΑΣ σς",
        "Straße STRASSE ẞ ß",
        "ﬁ ﬂ ﬀ ﬃ ﬅ ĳ ǆ ǅ Ǆ",
        "ＦＵＬＬ　ｗｉｄｔｈ！？",
        "한국어 \u1112\u1161\u11ab \uac00\u11a8 각",
        "日本語のテキスト。漢字かな交じり",
        "中文字符测试，混合English文字",
        "\U00020000\U0002a700\U0002b820\U0002ceb0\U0002f800\uf900",
        "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪",
        "שלום עולם مرحبا بالعالم العَرَبِيَّة",
        "हिन्दी देवनागरी தமிழ் ไทย ລາວ",
        "Tiếng Việt đầy đủ dấu thanh",
        "ÀÉÎÕÜ àéîõü ÇÑØ çñø Łódź Đ",
        "\u0344\u0340\u0341\u0343 \u2126\u212a\u212b",
        "x\u0660\u06f1\u0967 ²³ ½ ⅷ Ⅷ ①",
        "a\u00adb co\u00adop",
        "\u202eright to left\u202c \u2066x\u2069",
        "[CLS] a [SEP] b [MASK] [PAD] [UNK]",
        "[MASK][MASK] x[MASK]y [mask] [ MASK ] [MASK",
        "[[MASK]] [UNK]\u0301 ",
        "\u0301[SEP]\u0301 \u0301",
        "don't can't it's U.S.A. $5.00 a+b=c <x> ^~`|",
        "a" * 99,
        "a" * 100,
        "a" * 101,
        "b" * 5000,
        "é" * 100,
        "é" * 101,
        "e\u0301" * 100,
        "e\u0301" * 101,
        "中" * 200,
        "!" * 300,
        "\u0301" * 300,
        "a" + marks * 40 + "b",
        "unaffable " * 50,
        "##ing ## # ##",
        "\x01\x02\x7f\x80\x9f x\x85y \x1c\x1d\x1e\x1f",
        "\ue000\uf8ff\U000f0000\U0010ffff",
        "\u0378\u0379 \u2fe0",
        "\u1680\u180e\u2028\u2029\u202f\u205f",
    ]
    rng = random.Random(1)
    alphabet = (
        "abcdeXYZ012 .,'-!" * 4
        + "éÉßŞİıΣς"
        + marks * 2
        + "\u200d\u00ad\u3000\ufffd\ufe0f"
        + "中文字가각한\u1100\u1161"
        + "שםעرحبआक्षำ"
        + "👍🏽ﬁＡ\u0345\u1dc0\u08d3\u08d4\U00011938\u09cb"
    )
    pieces = list(alphabet) + ["[SEP]", "[MASK]", "[CLS]", "[UNK", "##", "ing", "the"]
    texts += ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 60))) for _ in range(4000)]
    return texts


def malformed_blobs():
    """Byte strings that are not UTF-8."""
    blobs = [
        b"\x80",
        b"a\xffb",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80\xed\xb0\x80 x",
        b"\xe4\xb8",
        b"caf\xc3 \xa9",
        b"\xf4\x90\x80\x80y",
        b"\xf8\x88\x80\x80\x80",
        b"\xf0\x9f\x91",
        b"\xe4\xb8\xe4\xb8\xad",
        b"a\xc3",
    ]
    rng = random.Random(2)
    good = "déjà vu 中文 👍🏽 the [MASK] e\u0301".encode()
    for _ in range(5000):
        blob = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(blob))
            action = rng.randrange(3)
            if action == 0:
                blob[at] = rng.randint(1, 255)
            elif action == 1 and len(blob) > 4:
                del blob[at]
            else:
                blob.insert(at, rng.randint(128, 255))
        blobs.append(bytes(blob))
    blobs += [bytes(rng.randint(1, 255) for _ in range(rng.randint(1, 40))) for _ in range(3000)]
    return blobs


SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_backend(tokens, normalizer, added=()):
    vocab = {token: i for i, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    backend.add_special_tokens(SPECIALS)
    for token in added:
        (backend.add_special_tokens if token.special else backend.add_tokens)([token])
    return backend


def check_all_code_points(encoder, report, folder, quick):
    """A vocabulary of single characters: what a code point becomes shows in the ids."""
    assigned = [
        chr(c)
        for c in code_points()
        if unicodedata.category(chr(c)) not in ("Cn", "Co")
        and not chr(c).isspace()
        and c not in (0x85, 0xFFFD)
    ]
    assigned = [c for c in assigned if not (quick and 0x3400 <= ord(c) < 0xF900)]
    newer = [chr(c) for c in range(0x80, 0x20000) if unicodedata.category(chr(c)) == "Cn"]
    chars = sorted(set(assigned + newer))
    tokens = SPECIALS + chars + ["##" + c for c in chars]
    marks = [c for c in chars if unicodedata.combining(c)] + [
        "\u0344",
        "\u1e69",
        "\uac01",
        "\u0390",
        "\U0001d15e",
    ]
    rng = random.Random(3)
    sequences = [
        "".join(
            rng.choice("aé中ạ x") if rng.random() < 0.3 else rng.choice(marks)
            for _ in range(rng.randint(2, 12))
        )
        for _ in range(20000)
    ]
    for lower, strip, chinese, clean in (
        (True, None, True, True),
        (False, None, True, True),
        (True, False, False, True),
        (False, True, True, False),
    ):
        rules = normalizers.BertNormalizer(
            clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower
        )
        backend = make_backend(tokens, rules)
        backend.save(os.path.join(folder, "tokenizer.json"))
        suite = Suite(encoder, report, folder, backend)
        name = f"lower={lower} strip={strip} chinese={chinese} clean={clean}"
        everything = code_points()[:0x30000] if quick else code_points()
        suite.check(f"every code point a token, {name}", [f"a{chr(c)}b" for c in everything])
        suite.check(f"sequences of marks, {name}", sequences)


def check_added_tokens(encoder, report, folder):
    tokens = SPECIALS + [
        "a",
        "b",
        "##b",
        "c",
        "##c",
        "new",
        "x",
        "##x",
        "y",
        "e",
        "中",
        "[",
        "]",
        "<",
        ">",
    ]
    added = [
        AddedToken("<Left>", lstrip=True, special=True, normalized=False),
        AddedToken("<r>", rstrip=True, special=True, normalized=False),
        AddedToken("NewWord", normalized=True),
        AddedToken("café", normalized=True),
        AddedToken("NewWordLong", normalized=True),
        AddedToken("中文", normalized=True),
        AddedToken("raw Tok", normalized=False),
        AddedToken("both", lstrip=True, rstrip=True, normalized=True),
        AddedToken("bo", normalized=True),
    ]
    rng = random.Random(4)
    pieces = [
        "a",
        "b",
        " ",
        "  ",
        "\u3000",
        "<Left>",
        "<r>",
        "newword",
        "NEWWORD",
        "NewWordLong",
        "CAFE\u0301",
        "cafe",
        "中文",
        "中",
        "raw Tok",
        "raw tok",
        "both",
        "BOTH",
        "bo",
        "\u0301",
        "[SEP]",
        "x",
        "\n",
        "\x01",
    ]
    texts = ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 12))) for _ in range(20000)]
    for lower in (True, False):
        backend = make_backend(tokens, normalizers.BertNormalizer(lowercase=lower), added)
        backend.save(os.path.join(folder, "tokenizer.json"))
        Suite(encoder, report, folder, backend).check(f"added tokens, lower={lower}", texts)


def check_vocab_txt(encoder, report, folder, model_dir, texts):
    """The same vocabulary as vocab.txt, with each setting of tokenizer_config.json."""
    vocab = AutoTokenizer.from_pretrained(model_dir).get_vocab()
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8", newline="\n") as file:
        file.writelines(token + "\n" for token in sorted(vocab, key=vocab.get))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "bert"}, file)
    for config in (
        {},
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"do_lower_case": False, "strip_accents": True},
    ):
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"tokenizer_class": "BertTokenizer", **config}, file)
        backend = AutoTokenizer.from_pretrained(folder)._tokenizer
        Suite(encoder, report, folder, backend).check(f"vocab.txt, {config}", texts)


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def rewritten_folders(folder, texts):
    """Model folders whose files contradict one another, as (name, model folder)."""
    chars = sorted({c for text in texts for c in text if not c.isspace()})
    lower = sorted({c for char in chars for c in char.lower() + unicodedata.normalize("NFD", char)})
    pieces = [*dict.fromkeys([*chars, *lower])]
    rules = {"lowercase": True, "strip_accents": None, "handle_chinese_chars": True}
    settings = [
        ("cased json", {"lowercase": False}, None, {}),
        ("cased json, empty config", {"lowercase": False}, {}, {}),
        ("accents json", {"strip_accents": False}, {}, {}),
        ("cased json without accents", {"lowercase": False, "strip_accents": True}, {}, {}),
        ("json without Chinese", {"handle_chinese_chars": False}, {}, {}),
        ("cased config", {}, {"do_lower_case": False}, {}),
        ("accents config", {}, {"strip_accents": False, "do_lower_case": True}, {}),
        ("config without Chinese", {}, {"tokenize_chinese_chars": False}, {}),
        ("unclean json", {"clean_text": False}, {}, {}),
        ("unclean cased json", {"clean_text": False, "lowercase": False}, {}, {}),
        ("prefix", {}, {}, {"continuing_subword_prefix": "@@"}),
        ("short words", {"lowercase": False}, {}, {"max_input_chars_per_word": 7}),
        ("no post-processor", {}, {}, {"post_processor": None}),
    ]
    classes = (None, "BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast")
    for name, changed, config, model in settings:
        for class_name in classes[: 1 if config is None else 4]:
            path = os.path.join(folder, f"{name} {class_name}")
            os.makedirs(path)
            prefix = model.get("continuing_subword_prefix", "##")
            tokens = [*SPECIALS, *pieces, *(prefix + c for c in pieces)]
            made = make_backend(tokens, normalizers.BertNormalizer())
            root = json.loads(made.to_str())
            root["normalizer"].update({**rules, **changed})
            root["model"].update({k: v for k, v in model.items() if k in root["model"]})
            root.update({k: v for k, v in model.items() if k in root and k != "model"})
            write_json(path, "tokenizer.json", root)
            write_json(path, "config.json", {"model_type": "bert"})
            if config is not None:
                named = {} if class_name is None else {"tokenizer_class": class_name}
                write_json(path, "tokenizer_config.json", {**named, **config})
            yield f"{name}, class {class_name}", path
    for name, config in (
        ("vocab.txt", None),
        ("vocab.txt, cased", {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}),
        ("vocab.txt, accents", {"strip_accents": False}),
    ):
        path = os.path.join(folder, name)
        os.makedirs(path)
        with open(os.path.join(path, "vocab.txt"), "w", encoding="utf-8", newline="\n") as file:
            file.writelines(t + "\n" for t in [*SPECIALS, *pieces, *("##" + c for c in pieces)])
        write_json(path, "config.json", {"model_type": "bert"})
        if config is not None:
            write_json(path, "tokenizer_config.json", config)
        yield name, path


def check_rewritten(encoder, report, folder):
    """What a training run writes gives transformers the tokens of the folder it began with."""
    texts = [
        "Caf\u00e9 CAF\u00c9 cafe\u0301 na\u00efve Na\u00cfVE",
        "ABC abc \u00c5ngstr\u00f6m \u0130stanbul \u03a3\u03c3",
        "\u4e2d\u6587ABC\u5b57 \u6f22",
        "a\u00adb c\x01d\u200be\ufffdf",
        "unaffable Unaffable UNAFFABLE words",
        "[MASK] x [SEP]y [mask]",
    ]
    for name, path in rewritten_folders(folder, texts):
        out = path + " written"
        os.makedirs(out)
        write_json(out, "config.json", {"model_type": "bert"})
        result = subprocess.run(
            [encoder.program, "--rewrite", path, out], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise SystemExit(f"{name}: {result.stdout}{result.stderr}")
        backend = AutoTokenizer.from_pretrained(out)._tokenizer
        Suite(encoder, report, path, backend).check(
            f"written, {name}", texts + list(zip(texts, texts[1:]))
        )
        again = encoder.run(out, [(t.encode(), None, 0) for t in texts])
        first = encoder.run(path, [(t.encode(), None, 0) for t in texts])
        report.compare(f"read again, {name}", texts, again, first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("encoder")
    parser.add_argument("model_dir")
    parser.add_argument("data_dir")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    arguments = parser.parse_args()
    encoder, report = Encoder(arguments.encoder), Report()
    suite = Suite(
        encoder,
        report,
        arguments.model_dir,
        AutoTokenizer.from_pretrained(arguments.model_dir)._tokenizer,
    )

    singles, pairs = real_texts(arguments.data_dir, 500 if arguments.quick else 3000)
    suite.check("GLUE and SQuAD texts", singles)
    for max_length in (0, 32, 128):
        suite.check(f"GLUE and SQuAD pairs, max_length {max_length}", pairs, max_length)
    suite.check("GLUE and SQuAD texts, max_length 16", singles, 16)
    for max_length in range(3, 24):
        suite.check(
            f"pairs, max_length {max_length}",
            list(zip(singles[:200], singles[300:500])) + pairs[:100],
            max_length,
        )
    questions = question_pairs(arguments.data_dir)
    suite.check_windows(
        "SQuAD questions", questions[:: 10 if arguments.quick else 1], [(384, 128)]
    )
    suite.check_windows(
        "SQuAD questions",
        questions[:: 40 if arguments.quick else 4],
        [(64, 16), (64, 40), (40, 0), (32, 15), (128, 100), (512, 200)],
    )
    suite.check_windows(
        "hostile pairs",
        hostile_pairs(),
        [(n, overlap) for n in (4, 5, 6, 7, 8, 13, 384) for overlap in (0, 1, 2, 3, 128, 400)],
    )
    suite.check("hostile texts", hostile_texts())
    suite.check_bytes("malformed UTF-8", malformed_blobs())
    every = code_points()[:: 10 if arguments.quick else 1]
    suite.check("every code point alone", [chr(c) for c in every])
    suite.check("every code point between letters", [f"a{chr(c)}b" for c in every])
    with tempfile.TemporaryDirectory() as folder:
        check_all_code_points(encoder, report, folder, arguments.quick)
    with tempfile.TemporaryDirectory() as folder:
        check_added_tokens(encoder, report, folder)
    with tempfile.TemporaryDirectory() as folder:
        check_rewritten(encoder, report, folder)
    with tempfile.TemporaryDirectory() as folder:
        check_vocab_txt(
            encoder, report, folder, arguments.model_dir, hostile_texts() + singles[:500]
        )
    print(f"differences: {report.failed}")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
