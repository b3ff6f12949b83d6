#!/usr/bin/env bash
# Make the data of ./demo --llm: dialogues in which the assistant answers as a dictionary does.
#
# usage: tools/make_dictionary_data.sh FOLDER [WORDNET_FOLDER]
#
# Reads index.noun and data.noun as Debian's package wordnet-base installs them (WordNet licence,
# free), writes FOLDER/train.jsonl (1800 rows) and FOLDER/validation.jsonl (60 rows of other words):
#
#     user: What does hammer mean?
#     assistant: hammer (artifact): a hand tool with a heavy rigid head and a handle
#
# The words are single nouns that WordNet's own corpus has often, in their most frequent sense; of
# a sense with several such nouns the first is used.  The definition is the gloss up to its first
# example or semicolon.  The rows are ordered by a hash of the synset's number, so the split is the
# same on every machine.
set -euo pipefail
export LC_ALL=C

case ${1:-} in
"" | -h | --help)
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac
folder=$1
source=${2:-/usr/share/wordnet}
train_rows=1800
validation_rows=60

for file in index.noun data.noun; do
    if [ ! -r "$source/$file" ]; then
        echo "cannot read $source/$file: is the package wordnet-base installed?" >&2
        exit 1
    fi
done
mkdir -p "$folder"
rows=$(mktemp "$folder/rows.XXXXXX")
trap 'rm -f "$rows"' EXIT

# wndb(5).  index.noun: lemma pos synset_cnt p_cnt symbols... sense_cnt tagsense_cnt offsets...
# data.noun: synset_offset lex_filenum ss_type ... | gloss
awk '
BEGIN {
    names = "act animal artifact attribute body cognition communication event feeling food group " \
            "location motive object person phenomenon plant possession process quantity relation " \
            "shape state substance time"
    count = split(names, name, " ")
}
/^ / { next }                                   # the licence
FNR == NR {
    if ($1 !~ /^[a-z][a-z][a-z]+$/ || $(6 + $4) < 1) next
    if (!($(7 + $4) in word)) word[$(7 + $4)] = $1
    next
}
$1 in word {
    file = $2 + 0                               # 3: the few top concepts, left out
    if (file < 4 || file > 3 + count) next
    text = substr($0, index($0, " | ") + 3)
    if (match(text, /[";]/)) text = substr(text, 1, RSTART - 1)
    gsub(/\([^)]*\)/, "", text)                 # where it is used, and asides
    gsub(/[\t ]+/, " ", text)
    gsub(/^[ :,]+|[ :,]+$/, "", text)
    if (length(text) < 12 || length(text) > 90 || text ~ /[\\()]| of$/) next
    noun = word[$1]
    if (!index($0, " " noun " ")) next          # written otherwise: a name
    hash = $1 + 0                               # three steps of the minimal standard generator
    for (i = 0; i < 3; i++) hash = (hash * 16807 + 12345) % 2147483647
    printf "%.0f\t{\"messages\": [{\"role\": \"user\", \"content\": \"What does %s mean?\"}, ", hash, noun
    printf "{\"role\": \"assistant\", \"content\": \"%s (%s): %s\"}]}\n", noun, name[file - 3], text
}' "$source/index.noun" "$source/data.noun" | sort -n -k1,1 -k2 >"$rows"

need=$((train_rows + validation_rows))
have=$(wc -l <"$rows")
if [ "$have" -lt "$need" ]; then
    echo "$source: expected at least $need definitions, found $have" >&2
    exit 1
fi
head -n "$validation_rows" "$rows" | cut -f2 >"$folder/validation.jsonl.new"
sed -n "$((validation_rows + 1)),${need}p" "$rows" | cut -f2 >"$folder/train.jsonl.new"
mv "$folder/validation.jsonl.new" "$folder/validation.jsonl"
mv "$folder/train.jsonl.new" "$folder/train.jsonl"
