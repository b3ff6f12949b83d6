"""Compare question answering of Mantissa with Python: the official formulas of SQuAD's scores and
the post-processing of transformers' run_qa.py, both written out below as their rules say.

    check_qa.py [--quick] BUILD [DATA [MODEL]]
        BUILD  a build folder with the test programs
        DATA   the folder with dev-v1.1.json, dev-v2.0-half.json and train-v1.1.json; default:
               $MANTISSA_TEST_DATA/squad
        MODEL  a folder with a BERT tokenizer, default $MANTISSA_TEST_MODEL; without one, or without
               transformers, windows are not compared

  text     str.lower, the normalisation of answers and str.lstrip over all code points that this
           Python knows, and over random texts
  scores   exact match and F1 of random and hostile predictions for all questions of both files:
           equal to the last bit
  search   predictions, n best and null odds of random logits for 1,000 questions of each file:
           equal files but for the last digits of probabilities
  windows  token ids, types, places and targets of questions against transformers' tokenizer and
           the rules of run_qa.py: equal
  --quick  fewer windows, and one set of rules

Needs numpy 2; uses the metrics of an installed transformers as a second opinion on scores.
"""
import collections
import json
import os
import random
import re
import string
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np

QUESTIONS = 1000
HOSTILE = ["", " ", "the", "a an the", "...", "\u0130stanbul", "\u03a3\u039f\u03a6\u039f\u03a3",
           "A\u03a3.", "\u00a0x\u3000y\u001f", "\u2013a\u2013", "\u00e9a", "_a_", "a_b", "'the'",
           "THE  THE", "\u00b2the", "\u200bthe", "\U0001f600 a \U0001f600", "\ufeffthe", "u.s.a"]


# ------------------------------------------------------------------------ official scores ----


def normalise(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1_of(prediction, answer, negative):
    p, a = normalise(prediction).split(), normalise(answer).split()
    if negative and (not p or not a):
        return int(p == a)
    common = sum((collections.Counter(p) & collections.Counter(a)).values())
    if common == 0:
        return 0
    precision, recall = 1.0 * common / len(p), 1.0 * common / len(a)
    return (2 * precision * recall) / (precision + recall)


def question_scores(question, negative):
    answers = question["answers"]
    if negative:
        answers = [a for a in answers if normalise(a)] or [""]
    prediction = question["prediction"]
    return (max(int(normalise(prediction) == normalise(a)) for a in answers),
            max(f1_of(prediction, a, negative) for a in answers))


def percent(values):
    """As Python before 3.12 adds: without compensation."""
    total = 0.0
    for value in values:
        total += value
    return 100.0 * total / len(values)


def best_threshold(questions, scores):
    """The rule of the official script: above a threshold of null odds nothing is answered."""
    current = best = sum(not q["answers"] for q in questions)
    threshold = 0.0
    for i in sorted(range(len(questions)), key=lambda i: questions[i]["null_odds"]):
        if questions[i]["answers"]:
            current += scores[i]
        elif questions[i]["prediction"]:
            current += -1
        if current > best:
            best, threshold = current, questions[i]["null_odds"]
    return 100.0 * best / len(questions), threshold


def expected_scores(questions, negative):
    exact, f1 = zip(*(question_scores(q, negative) for q in questions))
    if not negative:
        return {"eval_exact_match": percent(exact), "eval_f1": percent(f1)}
    result = {}
    for name, keep in (("", lambda q: True), ("HasAns_", lambda q: q["answers"]),
                       ("NoAns_", lambda q: not q["answers"])):
        chosen = [i for i, q in enumerate(questions) if keep(q)]
        if chosen:
            result[f"eval_{name}exact"] = percent([exact[i] for i in chosen])
            result[f"eval_{name}f1"] = percent([f1[i] for i in chosen])
            result[f"eval_{name}total"] = len(chosen)
    for name, values in (("exact", exact), ("f1", f1)):
        best, threshold = best_threshold(questions, values)
        result[f"eval_best_{name}"], result[f"eval_best_{name}_thresh"] = best, threshold
    return result


# ------------------------------------------------------------------------ post-processing ----


def best_tokens(logits, n):
    """Descending; of equal logits the later token first: a stable argsort from its end."""
    return np.argsort(logits, kind="stable")[::-1][:n].tolist()


def search(question, rules):
    """(answer, n best, null odds) by the rules of run_qa.py."""
    spans, null = [], None
    negative = rules["negative"]
    for window in question["windows"]:
        start = np.array(window["start"], dtype=np.float32)
        end = np.array(window["end"], dtype=np.float32)
        score = start[0] + end[0]
        if null is None or null["score"] > score:
            null = {"place": (0, 0), "score": score, "start_logit": start[0], "end_logit": end[0]}
        places = dict(enumerate(window["offsets"], window["first"]))
        for s in best_tokens(start, rules["n_best_size"]):
            for e in best_tokens(end, rules["n_best_size"]):
                if s in places and e in places and s <= e < s + rules["max_answer_length"]:
                    spans.append({"place": (places[s][0], places[e][1]),
                                  "score": start[s] + end[e],
                                  "start_logit": start[s], "end_logit": end[e]})
    if negative:
        spans.append(null)
    spans = sorted(spans, key=lambda x: x["score"], reverse=True)[:rules["n_best_size"]]
    if negative and all(x["place"] != (0, 0) for x in spans):
        spans.append(null)
    context = question["context"].encode()
    scores = [x["score"] for x in spans]
    best = [{"start_logit": float(x["start_logit"]), "end_logit": float(x["end_logit"]),
             "text": context[x["place"][0]:x["place"][1]].decode()} for x in spans]
    if not best or (len(best) == 1 and not best[0]["text"]):
        best.insert(0, {"text": "empty", "start_logit": 0.0, "end_logit": 0.0})
        scores.insert(0, 0.0)
    scores = np.array(scores)
    powers = np.exp(scores - np.max(scores))
    for item, probability in zip(best, powers / powers.sum()):
        item["probability"] = float(probability)
    if not negative:
        return best[0]["text"], best, None
    top = next(x for x in best if x["text"])
    odds = null["score"] - np.float32(top["start_logit"]) - np.float32(top["end_logit"])
    none = odds > np.float32(rules["null_score_diff_threshold"])
    return "" if none else top["text"], best, float(odds)


def expected_files(questions, rules):
    found = {q["id"]: search(q, rules) for q in questions}
    files = {"predictions": {k: v[0] for k, v in found.items()},
             "nbest_predictions": {k: v[1] for k, v in found.items()}}
    if rules["negative"]:
        files["null_odds"] = {k: v[2] for k, v in found.items()}
    return {name: json.dumps(value, indent=4) + "\n" for name, value in files.items()}


# ------------------------------------------------------------------------------- checks ----


def run(program, *arguments, data):
    """The program's JSON output for JSON input."""
    done = subprocess.run([program, *arguments], input=json.dumps(data), text=True,
                          capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {arguments[0]}: {done.stderr}")
    return json.loads(done.stdout)


def known_characters():
    """All that a JSON text may have and this Python has in its tables."""
    for code in range(1, sys.maxunicode + 1):
        c = chr(code)
        if not 0xD800 <= code <= 0xDFFF and unicodedata.category(c) != "Cn":
            yield c


def texts():
    """Each code point by itself, beside articles, between words and beside a capital sigma."""
    rng = random.Random(1)
    characters = list(known_characters())
    for c in characters:
        yield c
        yield f"a{c}the{c} x{c}\u03a3 \u03a3{c} A{c}\u03a3{c}. A\u03a3{c}a"
    pool = "aAn tThHeE.,-_'\u03a3\u0130\u00e9\u0301\u00a0\u2019 " + "".join(characters[200:900:7])
    for _ in range(20000):
        yield "".join(rng.choice(pool) for _ in range(rng.randrange(12)))
    for _ in range(20000):
        yield "".join(rng.choice(characters) for _ in range(rng.randrange(8)))


def check_text(program):
    everything, wrong = list(texts()), 0
    for begin in range(0, len(everything), 100000):
        part = everything[begin:begin + 100000]
        for text, found in zip(part, run(program, "--normalise", data=part)):
            wanted = [text.lower(), normalise(text), text.lstrip()]
            if found != wanted:
                wrong += 1
                if wrong <= 20:
                    print(f"text {text!a}: expected {wanted!a}, found {found!a}")
    print(f"text: {len(everything)} texts (Unicode {unicodedata.unidata_version}), {wrong} wrong")
    return wrong


def read_questions(path):
    for article in json.loads(path.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            for q in paragraph["qas"]:
                yield {"id": q["id"], "context": paragraph["context"],
                       "answers": [a["text"] for a in q["answers"]]}


def random_prediction(rng, question):
    words = question["context"].split()
    at = rng.randrange(len(words))
    choice = rng.randrange(8)
    if choice < 3 and question["answers"]:
        text = rng.choice(question["answers"])
        return [text, text.upper() + "!", "the " + text + " " + words[at]][choice]
    if choice == 3:
        return rng.choice(HOSTILE)
    if choice == 4:
        return ""
    return " ".join(words[at:at + rng.randrange(1, 12)])


def second_opinion(questions, negative, found):
    """Differences from transformers' squad_evaluate, if that is there."""
    try:
        from transformers.data.metrics.squad_metrics import squad_evaluate
        from transformers.data.processors.squad import SquadExample
    except ImportError:
        return 0
    if not negative:  # its rules are those of 2.0 also without negative questions
        return 0
    examples = [SquadExample(q["id"], "", q["context"], None, None, "",
                             answers=[{"text": a} for a in q["answers"]],
                             is_impossible=not q["answers"]) for q in questions]
    theirs = squad_evaluate(examples, {q["id"]: q["prediction"] for q in questions})
    wrong = 0
    for key in ("exact", "f1", "total", "HasAns_exact", "NoAns_f1"):
        if abs(theirs[key] - found["eval_" + key]) > 1e-9:
            wrong += 1
            print(f"transformers {key}: {theirs[key]}, found {found['eval_' + key]}")
    return wrong


def check_scores(program, path, negative):
    rng = random.Random(2)
    questions = list(read_questions(path))
    wrong = 0
    for kind in ("random", "hostile answers", "all empty"):
        for q in questions:
            q["prediction"] = "" if kind == "all empty" else random_prediction(rng, q)
            q["null_odds"] = round(rng.gauss(0, 3), 1 if kind == "random" else 9)
            if kind == "hostile answers" and q["answers"] and rng.random() < 0.5:
                q["answers"] = [rng.choice(HOSTILE) for _ in q["answers"]]
        found = run(program, "--score", data={"negative": negative, "questions": questions})
        wanted = expected_scores(questions, negative)
        for key in wanted.keys() | found.keys():
            if found.get(key) != wanted.get(key):
                wrong += 1
                print(f"{path.name} {kind} {key}: expected {wanted.get(key)}, "
                      f"found {found.get(key)}")
        wrong += second_opinion(questions, negative, found)
        print(f"scores: {path.name}, {kind}: {len(questions)} questions, " +
              ", ".join(f"{k[5:]} {found[k]!r}" for k in found if not k.endswith("total")))
    return wrong


def random_windows(rng, question):
    """Overlapping parts of the words of a context, with places in bytes, and logits."""
    encoded = question["context"].encode()
    places = [list(m.span()) for m in re.finditer(rb"\S+", encoded)]
    size, first = int(rng.integers(10, 120)), int(rng.integers(3, 12))
    windows = []
    for begin in range(0, max(1, len(places) - size // 3), max(1, size - size // 3)):
        part = places[begin:begin + size]
        tokens = first + len(part) + 1
        logits = rng.normal(0, 3, (2, tokens)).astype(np.float32)
        logits[:, 0] += rng.integers(-4, 5)
        windows.append({"first": first, "offsets": part, "start": logits[0].tolist(),
                        "end": logits[1].tolist()})
    return windows


def same_but_probabilities(found, wanted):
    """Whether two texts of JSON are equal but for probabilities, which are nearly so."""
    pattern = re.compile(r'("probability": )([-+.\de]+)')
    values = [[float(m[1]) for m in pattern.findall(t)] for t in (found, wanted)]
    if pattern.sub(r"\1", found) != pattern.sub(r"\1", wanted):
        return False
    return np.allclose(values[0], values[1], rtol=2e-6, atol=1e-37)


def check_search(program, path, rules):
    rng = np.random.default_rng(3)
    questions = list(read_questions(path))
    questions = [questions[i] for i in sorted(rng.choice(len(questions), QUESTIONS, False))]
    for q in questions:
        q["windows"] = random_windows(rng, q)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        run(program, "--search", folder, data={"rules": rules, "questions": questions})
        for name, wanted in expected_files(questions, rules).items():
            found = (Path(folder) / f"eval_{name}.json").read_text()
            if not same_but_probabilities(found, wanted):
                wrong += 1
                pairs = zip(found.split("\n"), wanted.split("\n"))
                line, pair = next((i, p) for i, p in enumerate(pairs) if p[0] != p[1])
                print(f"{name}: line {line + 1}: expected {pair[1]!r}, found {pair[0]!r}")
    windows = sum(len(q["windows"]) for q in questions)
    print(f"search: {path.name}, {rules}: {len(questions)} questions, {windows} windows, "
          f"{wrong} files wrong")
    return wrong


def target_of(offsets, context, answer):
    """(first token, last token) by run_qa.py's rules; context: the range of the paragraph's tokens.
    Where run_qa.py runs over the end in looking for the first one, the last one is taken."""
    if answer is None or not context:
        return 0, 0
    begin, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    if offsets[context[0]][0] > begin or offsets[context[-1]][1] < end:
        return 0, 0
    first = max(i for i in context if offsets[i][0] <= begin)
    return first, min(i for i in context if offsets[i][1] >= end)


def expected_rows(tokenizer, number, question, context, answer, length, overlap):
    rows = tokenizer(question.lstrip(), context, truncation="only_second", max_length=length,
                     stride=overlap, return_overflowing_tokens=True, return_offsets_mapping=True)
    places = [0]  # byte of each code point
    for c in context:
        places.append(places[-1] + len(c.encode()))
    for i, ids in enumerate(rows["input_ids"]):
        offsets, parts = rows["offset_mapping"][i], rows.sequence_ids(i)
        inside = [k for k, part in enumerate(parts) if part == 1]
        yield [number, ids, rows["token_type_ids"][i], *target_of(offsets, inside, answer),
               [[places[b], places[e]] if part == 1 else None
                for (b, e), part in zip(offsets, parts)]]


def check_windows(build, model, path, length, overlap, first, n):
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(model)
    program = str(Path(build) / "tests" / "test_question_windows")
    command = [program, "--dump", model, str(length), str(overlap), str(path), str(first), str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    questions = [(q["question"], p["context"], (q["answers"] or [None])[0])
                 for article in json.loads(path.read_text())["data"]
                 for p in article["paragraphs"] for q in p["qas"]]
    wanted = [row for i, q in enumerate(questions[first:first + n], first)
              for row in expected_rows(tokenizer, i, *q, length, overlap)]
    wrong = sum(f != w for f, w in zip(found, wanted)) + abs(len(found) - len(wanted))
    for f, w in zip(found, wanted):
        if f != w:
            print(f"question {w[0]}: expected {w}\nfound {f}")
            break
    inside = sum(w[3] > 0 for w in wanted)
    print(f"windows: {path.name}, length {length}, overlap {overlap}: {n} questions, "
          f"{len(wanted)} windows, {inside} with an answer, {wrong} wrong")
    return wrong


def check_all_windows(build, folder, model, quick):
    try:
        import transformers  # noqa: F401
    except ImportError:
        model = ""
    if not model:
        print("windows: skipped, no model folder or no transformers")
        return 0
    part = 10 if quick else 1
    return (check_windows(build, model, folder / "dev-v1.1.json", 384, 128, 0, 10570 // part)
            + check_windows(build, model, folder / "dev-v2.0-half.json", 160, 64, 0, 6078 // part)
            + check_windows(build, model, folder / "train-v1.1.json", 384, 128, 40000,
                            20000 // part))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--quick"]
    quick = len(arguments) + 1 < len(sys.argv)
    if not 1 <= len(arguments) <= 3 or any(a.startswith("-") for a in arguments):
        sys.exit(__doc__)
    program = str(Path(arguments[0]) / "tests" / "test_answers")
    data = os.environ.get("MANTISSA_TEST_DATA", "")
    folder = Path(arguments[1]) if len(arguments) > 1 else Path(data) / "squad"
    model = arguments[2] if len(arguments) > 2 else os.environ.get("MANTISSA_TEST_MODEL", "")
    plain, negative = folder / "dev-v1.1.json", folder / "dev-v2.0-half.json"
    wrong = check_all_windows(arguments[0], folder, model, quick)
    wrong += check_text(program)
    wrong += check_scores(program, plain, False) + check_scores(program, negative, True)
    all_rules = ((20, 30, 0.0), (3, 2, -1.3), (1, 30, 0.7))
    for n_best, length, threshold in all_rules[:1] if quick else all_rules:
        rules = {"n_best_size": n_best, "max_answer_length": length,
                 "null_score_diff_threshold": threshold}
        wrong += check_search(program, plain, {**rules, "negative": False})
        wrong += check_search(program, negative, {**rules, "negative": True})
    print(f"question answering: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
