#!/usr/bin/env bash
# Make the demo's data set: WordNet 3.0's definitions of nouns, each labelled with its
# lexicographer's category (animal, artifact, feeling, ...; 25 in all).
#
# usage: tools/make_demo_data.sh FOLDER [WORDNET_FOLDER]
#
# Reads data.noun as Debian's package wordnet-base installs it (WordNet licence, free), writes
# FOLDER/train.tsv (20,000 rows) and FOLDER/validation.tsv (4,000 other rows): text, label.
# A definition is the gloss up to its first example; equal definitions are used once.  The rows
# are ordered by a hash of the synset's number, so the split is the same on every machine.
set -euo pipefail
export LC_ALL=C

folder=$1
source=${2:-/usr/share/wordnet}/data.noun
train_rows=20000
validation_rows=4000

if [ ! -r "$source" ]; then
    echo "cannot read $source: is the package wordnet-base installed?" >&2
    exit 1
fi
mkdir -p "$folder"
rows=$(mktemp "$folder/rows.XXXXXX")
trap 'rm -f "$rows"' EXIT

# data.noun, wndb(5): synset_offset lex_filenum ss_type ... | gloss
awk '
BEGIN {
    names = "act animal artifact attribute body cognition communication event feeling food group " \
            "location motive object person phenomenon plant possession process quantity relation " \
            "shape state substance time"
    count = split(names, name, " ")
}
/^ / { next }                                   # the licence
{
    file = $2 + 0                               # 3: the few top concepts, left out
    if (file < 4 || file > 3 + count) next
    text = substr($0, index($0, " | ") + 3)
    quote = index(text, "\"")                   # the first example
    if (quote > 0) text = substr(text, 1, quote - 1)
    gsub(/[\t ]+/, " ", text)
    gsub(/^[ ;:,]+|[ ;:,]+$/, "", text)
    if (length(text) < 12 || text in seen) next
    seen[text] = 1
    hash = $1 + 0                               # three steps of the minimal standard generator
    for (i = 0; i < 3; i++) hash = (hash * 16807 + 12345) % 2147483647
    printf "%.0f\t%s\t%s\n", hash, text, name[file - 3]
}' "$source" | sort -n -k1,1 -k2 >"$rows"

need=$((train_rows + validation_rows))
have=$(wc -l <"$rows")
if [ "$have" -lt "$need" ]; then
    echo "$source: expected at least $need definitions, found $have" >&2
    exit 1
fi
{ printf 'text\tlabel\n' && head -n "$validation_rows" "$rows" | cut -f2,3; } \
    >"$folder/validation.tsv.new"
{ printf 'text\tlabel\n' && sed -n "$((validation_rows + 1)),${need}p" "$rows" | cut -f2,3; } \
    >"$folder/train.tsv.new"
mv "$folder/validation.tsv.new" "$folder/validation.tsv"
mv "$folder/train.tsv.new" "$folder/train.tsv"
