#!/usr/bin/env bash
# info of a GGUF file: what it says, also of files that are cut or none; and that a file which is not
# a whole model is refused by every command, and never written over.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

# number VALUE BYTES: little-endian
number() {
    local i value=$1
    for ((i = 0; i < $2; i++)); do
        # shellcheck disable=SC2059 # an octal escape is the format
        printf "\\$(printf '%03o' $((value >> (8 * i) & 255)))"
    done
}

text() { # TEXT
    number ${#1} 8
    printf '%s' "$1"
}

# key NAME u32|text VALUE
key() {
    text "$1"
    if [ "$2" = u32 ]; then
        number 4 4
        number "$3" 4
    else
        number 8 4
        text "$3"
    fi
}

tensor() { # NAME NE0 NE1 TYPE OFFSET
    text "$1"
    number 2 4
    number "$2" 8
    number "$3" 8
    number "$4" 4
    number "$5" 8
}

texts() { # NAME TEXT...
    text "$1"
    shift
    number 9 4
    number 8 4
    number $# 8
    for word in "$@"; do text "$word"; done
}

small=$work/small.gguf
{
    printf GGUF
    number 3 4
    number 3 8
    number 13 8
    key general.architecture text llama
    key general.name text $'Tiny \033[31mred'
    key llama.block_count u32 2
    key llama.embedding_length u32 64
    key llama.attention.head_count u32 4
    key llama.attention.head_count_kv u32 2
    key llama.feed_forward_length u32 128
    key llama.context_length u32 512
    text llama.rope.freq_base
    number 6 4
    number $((0x461c4000)) 4 # 10000
    key tokenizer.ggml.model text gpt2
    key tokenizer.ggml.pre text smollm
    texts tokenizer.ggml.tokens a b c
    key split.count u32 3
    tensor token_embd.weight 64 3 2 0
    tensor output_norm.weight 64 1 0 128
    tensor blk.0.x 256 1 13 384
} >"$small"
size=$(wc -c <"$small")
head -c $(((32 - size % 32) % 32 + 384 + 176)) /dev/zero >>"$small"

run 0 info "$small" --json
has out '"model": {"format": "GGUF version 3", "architecture": "llama"'
for part in '"layers": 2' '"hidden_size": 64' '"heads": 4' '"key_value_heads": 2' \
    '"intermediate_size": 128' '"positions": 512' '"vocab_size": 3' '"rope_base": 10000.0' \
    '"tokenizer": "gpt2", "tokenizer_kind": "byte-level BPE", "tokenizer_splits_as": "smollm"' \
    '"files_of_the_model": 3' '"parameters": 512, "tensors": 3, "bytes_on_disk": 540' \
    '"Q4_0": {"tensors": 1, "bytes": 108, "can_be_read": true}' \
    '"Q5_K": {"tensors": 1, "bytes": 176, "can_be_read": false}' '"training": "no: '; do
    has out "$part"
done
run 0 info "$small"
has out "name                             Tiny "
! grep -q $'\033' "$work/out" || fail "a control character of the file reached the terminal"
grep -qE '^  Q4_0$' "$work/out" || fail "the name of a type is changed"
grep -qE '^training +no: .*/small.gguf: one of 3 files of a model: only models in one file' \
    "$work/out" || fail "no training"
# the ending does not matter, nor the options of a run
cp "$small" "$work/renamed"
run 0 info --model_name_or_path "$work/renamed" --per_device_train_batch_size 4
has out "architecture                     llama"

# ---- what is no GGUF file, or not all of it
for bytes in $((size - 20)) $((size + 200)) 100 20; do
    head -c "$bytes" "$small" >"$work/cut.gguf"
    refuse 1 "$work/cut.gguf: " info "$work/cut.gguf"
    has err "cut or damaged"
done
: >"$work/empty.gguf"
refuse 1 "$work/empty.gguf: expected a GGUF file of at least 24 bytes, found 0" \
    info "$work/empty.gguf"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98362432\n' \
    >"$work/pointer.gguf"
refuse 1 "$work/pointer.gguf: this is a Git LFS pointer, not the file itself of 98362432 bytes" \
    info "$work/pointer.gguf"
refuse 1 "$work/none.gguf: cannot open" info "$work/none.gguf"
mkdir "$work/folder.gguf"
refuse 1 "$work/folder.gguf/config.json: cannot open" info "$work/folder.gguf"
echo '{"model_type": "bert"}' >"$work/config.json"
refuse 1 'expected a GGUF file, which begins with "GGUF", found "{"mo"' info "$work/config.json"

# ---- it is no whole model
printf 'text\tlabel\na\tb\n' >"$work/rows.tsv"
part="$small: one of 3 files of a model: only models in one file are supported"
refuse 1 "$part" train --model_name_or_path "$small" --train_file "$work/rows.tsv" \
    --output_dir "$work/new"
refuse 1 "$part" eval --model_name_or_path "$small" --validation_file "$work/rows.tsv"
refuse 1 "$part" predict "$small"
refuse 1 "$small: key tokenizer.ggml.merges: expected, but absent" tokenize "$small"
[ ! -e "$work/new/config.json" ] || fail "a refused run wrote a model"

# ---- the file is not written over
cp "$small" "$work/same"
echo text >"$work/texts"
refuse 2 "the result would be written over $small, which is read" \
    tokenize "$small" --input "$work/texts" --output "$small"
cmp -s "$small" "$work/same" || fail "a model file was changed"
mkdir "$work/two"
cp "$small" "$work/two/a.gguf"
cp "$small" "$work/two/b.gguf"
refuse 2 "$work/two: expected config.json or one GGUF file, found several" info "$work/two"
rm "$work/two/b.gguf"
run 0 info "$work/two"
has out "architecture                     llama"
