#!/usr/bin/env bash
# mantissa tokenize on vocabularies of its own: both formats, pairs, truncation, bad input, --decode.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

model=$work/model
mkdir "$model"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' good bad day '##s' ',' >"$model/vocab.txt"

printf 'Good days, x\n\r\n' >"$work/lines"
run 0 tokenize "$model" --input "$work/lines"
printf '%s\t%s\t%s\t%s\t%s\t%s\n' line token id type begin end \
    1 '[CLS]' 2 0 0 0 1 good 5 0 0 4 1 day 7 0 5 8 1 '##s' 8 0 8 9 1 , 9 0 9 10 \
    1 '[UNK]' 1 0 11 12 1 '[SEP]' 3 0 0 0 2 '[CLS]' 2 0 0 0 2 '[SEP]' 3 0 0 0 >"$work/expected"
cmp "$work/out" "$work/expected" || fail "tsv"

printf 'good day\tbad days\n' >"$work/lines"
run 0 tokenize --model-name-or-path="$model" --input "$work/lines" --format jsonl --max_length 6 \
    --output "$work/result"
[ ! -s "$work/out" ] || fail "--output still wrote to standard output"
cat >"$work/expected" <<'EOF'
{"tokens": ["[CLS]", "good", "[SEP]", "bad", "day", "[SEP]"], "input_ids": [2, 5, 3, 6, 7, 3], "token_type_ids": [0, 0, 0, 1, 1, 1], "offsets": [[0, 0], [0, 4], [0, 0], [0, 3], [4, 7], [0, 0]]}
EOF
cmp "$work/result" "$work/expected" || fail "jsonl"

# A NUL, and bytes that are not UTF-8, do not end or break a line.
printf 'go\0od \xff day\n' >"$work/lines"
run 0 tokenize "$model" --input "$work/lines"
[ "$(cut -f2 "$work/out" | tr '\n' ' ')" = "token [CLS] good day [SEP] " ] || fail "NUL, bad UTF-8"

# Byte-pair encoding: of a folder without a model class that is known, and back.
pairs=$work/pairs
mkdir "$pairs"
echo '{"architectures": ["SomethingNewForCausalLM"], "model_type": "something_new"}' >"$pairs/config.json"
cat >"$pairs/tokenizer.json" <<'EOF'
{"added_tokens": [{"id": 7, "content": "<end>", "special": true, "normalized": false}],
 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
 "decoder": {"type": "ByteLevel"},
 "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "\u0120": 2, "\u010a": 3, "ab": 4, "\u0120ab": 5, "\u0100": 6},
           "merges": ["a b", "\u0120 ab"]}}
EOF
printf 'ab abb<end>\n' >"$work/lines"
run 0 tokenize "$pairs" --input "$work/lines" --format jsonl
cat >"$work/expected_pairs" <<'EOF'
{"tokens": ["ab", "Ġab", "b", "<end>"], "input_ids": [4, 5, 1, 7], "token_type_ids": [0, 0, 0, 0], "offsets": [[0, 2], [2, 5], [5, 6], [6, 11]]}
EOF
cmp "$work/out" "$work/expected_pairs" || fail "byte-pair encoding"
printf '4 5\t1 7\n\n 0 6 3 1 \n' >"$work/lines"
run 0 tokenize "$pairs" --input "$work/lines" --decode
printf '%s\t%s\n' line text 1 'ab abb<end>' 2 '' 3 'a\u0000\nb' >"$work/expected_pairs"
cmp "$work/out" "$work/expected_pairs" || fail "--decode"
run 0 tokenize "$pairs" --input "$work/lines" --decode --skip_special_tokens --format jsonl
printf '{"text": "%s"}\n' 'ab abb' '' 'a\u0000\u000ab' >"$work/expected_pairs"
cmp "$work/out" "$work/expected_pairs" || fail "--decode --skip_special_tokens"
for bad in '4 x' '4,5' '-1' '99999999999' '1.0'; do
    printf '0\n%s\n' "$bad" >"$work/lines"
    run 1 tokenize "$pairs" --input "$work/lines" --decode
    has err "$work/lines:2: expected token ids with blanks between"
done
printf '8\n' >"$work/lines"
run 2 tokenize "$pairs" --input "$work/lines" --decode
has err "token id 8 is outside 0 to 7"
printf '1\n' >"$work/lines"
run 1 tokenize "$model" --input "$work/lines" --decode
has err "type WordPiece does not decode"

# A link given as --output stays, and the file it leads to is replaced, whole or not at all.
mkdir "$work/deep"
echo old >"$work/deep/target"
ln -s deep/target "$work/link"
ln -s link "$work/link2"
ln -s deep/new "$work/dangling"
printf 'good\n' >"$work/lines"
run 0 tokenize "$model" --input "$work/lines"
cp "$work/out" "$work/good"
run 0 tokenize "$model" --input "$work/lines" --output "$work/link2"
cmp "$work/deep/target" "$work/good" || fail "the target of a link was not written"
if ! [ -L "$work/link" ] || ! [ -L "$work/link2" ]; then fail "a link was replaced"; fi
run 0 tokenize "$model" --input "$work/lines" --output "$work/dangling"
cmp "$work/deep/new" "$work/good" || fail "the target of a dangling link was not written"
printf 'good\na\tb\tc\n' >"$work/lines"
run 1 tokenize "$model" --input "$work/lines" --output "$work/link2"
cmp "$work/deep/target" "$work/good" || fail "a failed run changed the target of a link"
[ "$(ls "$work/deep" | tr '\n' ' ')" = "new target " ] || fail "left behind: $(ls "$work/deep")"

# Standard output by its name: as the shell opened it.
printf 'good\n' >"$work/lines"
names=(/proc/self/fd/1 /dev/fd/1)
[ "$(id -u)" -eq 0 ] || names+=(/dev/stdout) # a command that replaces it must not have the right to
for name in "${names[@]}"; do
    echo kept >"$work/named"
    "$mantissa" tokenize "$model" --input "$work/lines" --output "$name" >>"$work/named" ||
        fail "--output $name"
    cmp "$work/named" <(echo kept && cat "$work/good") || fail "--output $name: another result"
    "$mantissa" tokenize "$model" --input "$work/lines" --output "$name" | cmp - "$work/good" ||
        fail "--output $name to a pipe: another result"
done

# The first signal ends it, between two lines.
yes good | "$mantissa" tokenize "$model" --output "$work/endless" >"$work/out" 2>"$work/err" &
job=$!
for ((i = 0; i < 600; i++)); do
    ! compgen -G "$work/endless.tmp-*" >/dev/null || break
    sleep 0.05
done
kill -TERM "$job"
for ((i = 0; i < 600; i++)); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.05
done
kill -KILL "$job" 2>/dev/null || true
status=0
wait "$job" || status=$?
[ "$status" -eq 130 ] || fail "SIGTERM: exit status $status, expected 130"
[ -z "$(find "$work" -name 'endless*')" ] || fail "an interrupted run left a result"

# What fails leaves an earlier result alone and no temporary file behind.
printf 'good\na\tb\tc\n' >"$work/lines"
run 1 tokenize "$model" --input "$work/lines" --output "$work/result"
has err "$work/lines:2: expected one text, or two with one tab between them"
cmp "$work/result" "$work/expected" || fail "a failed run changed --output"
[ -z "$(find "$work" -name 'result.tmp*')" ] || fail "temporary file left behind"
printf 'good\n' >"$work/lines"
refuse 1 "cannot write" tokenize "$model" --input "$work/lines" --output "$work/none/result"
run 1 tokenize "$model" --input "$work/lines" --output /dev/full
has err "cannot write /dev/full: No space left on device"
refuse 1 "cannot read $work/none" tokenize "$model" --input "$work/none"
refuse 2 "maximum length 1" tokenize "$model" --input "$work/lines" --format jsonl --max_length 1
: >"$model/vocab.txt"
refuse 1 "vocab.txt" tokenize "$model" --input "$work/lines"
