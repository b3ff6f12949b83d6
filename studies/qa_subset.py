#!/usr/bin/env python3
"""A part of a SQuAD file: some questions, drawn with a seed, in the official form.

    studies/qa_subset.py --input train-v1.1.json --output subset.json [--questions 20000] [--seed 1]
                         [--all_offsets]

Questions that carry "offset_guessed": true (the place of their answer is not certain) are left out
unless --all_offsets is given.  The order of the file is kept; articles and paragraphs without a
question that was drawn are dropped.  The same arguments give the same bytes.
"""
import argparse
import json
import random


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--questions", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all_offsets", action="store_true")
    return parser.parse_args()


def main():
    o = parse()
    with open(o.input, encoding="utf-8") as file:
        data = json.load(file)
    ids = [q["id"] for article in data["data"] for p in article["paragraphs"] for q in p["qas"]
           if o.all_offsets or not q.get("offset_guessed")]
    if len(ids) < o.questions:
        raise SystemExit(f"{o.input}: expected {o.questions} questions, found {len(ids)}")
    drawn = set(random.Random(o.seed).sample(ids, o.questions))
    articles = []
    for article in data["data"]:
        paragraphs = [{**p, "qas": [q for q in p["qas"] if q["id"] in drawn]}
                      for p in article["paragraphs"]]
        paragraphs = [p for p in paragraphs if p["qas"]]
        if paragraphs:
            articles.append({**article, "paragraphs": paragraphs})
    with open(o.output, "w", encoding="utf-8") as file:
        json.dump({**data, "data": articles}, file)
    print(f"{o.output}: {o.questions} of {len(ids)} questions, seed {o.seed}, "
          f"{len(articles)} articles, {sum(len(a['paragraphs']) for a in articles)} paragraphs")


if __name__ == "__main__":
    main()
