#!/usr/bin/env bash
# predict, and what eval and info have in common with it: lines and data files, folders of others,
# scores as transformers' pipeline has them, answers while the input is still open.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

model=$work/model
run 0 train "${tiny[@]}" --output_dir "$model" --max_steps 20 --save_strategy no

# says WORDS...: predict succeeds; its rows without the header go to $work/rows.
says() {
    run 0 predict "$model" "$@"
    tail -n +2 "$work/out" >"$work/rows"
}

# same_rows NAME: as those of the plain lines.
same_rows() {
    cmp -s "$work/rows" "$work/plain" || fail "$1: other predictions than of plain lines"
}

# ---- data files: the same texts in every form
tail -n +2 "$task/dev.tsv" | cut -f 1 >"$work/lines"
says --input "$work/lines"
cp "$work/rows" "$work/plain"
[ "$(wc -l <"$work/plain")" -eq 20 ] || fail "not a row for each line"
says --test_file "$task/dev.tsv"
same_rows tsv
has err 'note: text in column "text"'
awk 'BEGIN { print "stars,review" } { printf "%d,\"%s\"\n", NR, $0 }' "$work/lines" >"$work/d.csv"
says --test_file "$work/d.csv" --text_column_names review
same_rows "csv, column by name"
refuse 1 'the model was trained on "text": '"$work"'/d.csv: expected a column "text", found' predict \
    "$model" --test_file "$work/d.csv" --label_column_name stars
unsaid=$work/unsaid # it does not say on which columns it was trained
cp -r "$model" "$unsaid"
sed -i '/"mantissa": {/,/}/d' "$unsaid/config.json"
length=$(sed -nE 's/.*"max_seq_length": ([0-9]+).*/\1/p' "$model/config.json")
as_trained=(--max_seq_length "$length" --test_file "$work/d.csv")
run 0 predict "$unsaid" "${as_trained[@]}" --label_column_name stars
tail -n +2 "$work/out" >"$work/rows"
same_rows "csv, all but the label"
has err 'note: text in column "review"'
run 0 predict "$unsaid" "${as_trained[@]}"
has err 'note: text in column "stars" and "review"'
awk '{ printf "{\"text\": \"%s\"}\n", $0 }' "$work/lines" >"$work/d.json"
says --test_file "$work/d.json"
same_rows json
says --test_file "$work/d.json" --max_predict_samples 3
cmp -s "$work/rows" <(head -n 3 "$work/plain") || fail "--max_predict_samples"
printf 'text\n"a cat\nsleeps"\n' >"$work/break.csv"
says --test_file "$work/break.csv"
[ "$(wc -l <"$work/rows")" -eq 1 ] || fail "a quoted line break split a text"
cp "$work/rows" "$work/plain"
printf 'a cat sleeps\n' >"$work/lines"
says --input "$work/lines"
same_rows "a quoted line break"
says --test_file "$work/d.json" --format jsonl --output "$work/result"
[ "$(wc -l <"$work/result")" -eq 20 ] || fail "--test_file with --output and --format jsonl"

# Pairs: a GLUE task, whose test file has columns of its own, and plain lines.
mkdir "$work/MRPC"
printf 'index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t11\t12\tA cat sleeps\tA "dog\n' \
    >"$work/MRPC/test.tsv"
says --task_name mrpc --data_dir "$work"
cp "$work/rows" "$work/plain"
printf 'A cat sleeps\tA "dog\n' >"$work/pairs.tsv"
says --input "$work/pairs.tsv"
same_rows "pairs of a GLUE task"

# Both sets of MNLI.
mkdir "$work/MNLI"
for part in "" mis; do
    printf 'index\tsentence1\tsentence2\n0\tA cat sleeps %s\tA dog\n' "$part" \
        >"$work/MNLI/test_${part}matched.tsv"
done
says --task_name mnli --data_dir "$work"
[ "$(wc -l <"$work/rows")" -eq 2 ] || fail "not both test sets of mnli"

for name in d.csv d.JSON d.jsonl; do
    refuse 2 "is given with --test_file" predict "$model" --input "$work/$name"
done
refuse 2 "not both" predict "$model" --input "$work/lines" --test_file "$work/d.csv"
refuse 2 "--text_column_names needs --test_file" predict "$model" --text_column_names text
refuse 2 "--max_predict_samples needs --test_file" predict "$model" --max_predict_samples 1
refuse 2 "--data_dir needs --task_name" predict "$model" --data_dir "$work"
refuse 1 "$work/none.csv" predict "$model" --test_file "$work/none.csv"
refuse 2 "expected a data file ending in" predict "$model" --test_file "$work/lines"
refuse 1 'expected a column "nothing"' predict "$model" --test_file "$work/d.csv" \
    --text_column_names nothing
refuse 2 "other data is given file by file" eval "$model" --data_dir "$work"

# ---- a .tsv file whose fields are quoted
sed 's/^\([^\t]*\)\t/"\1"\t/; 1s/"//g' "$task/dev.tsv" >"$work/quoted.tsv"
says --test_file "$work/quoted.tsv"
has err "quoted.tsv:2: a field in double quotes, in 20 rows"
run 0 eval "$model" --validation_file "$work/quoted.tsv"
has err "quoted.tsv:2: a field in double quotes, in 20 rows"
run 0 eval "$model" --validation_file "$task/dev.tsv"
! grep -q quotes "$work/err" || fail "a note about quotes that are not there"

# ---- cut rows are counted
says --test_file "$task/dev.tsv" --max_seq_length 12
has err "note: 16 of 20 rows were cut to --max_seq_length 12 tokens"
run 0 eval "$model" --validation_file "$task/dev.tsv" --max_seq_length 12
has err "dev.tsv: 16 of 20 rows were cut to --max_seq_length 12 tokens"
says --test_file "$task/dev.tsv" --max_seq_length 32
! grep -q "were cut" "$work/err" || fail "a note about rows that were not cut"

# ---- a folder that does not say how it was trained
other() { # SED-SCRIPT: $work/other is the model with another config.json
    rm -rf "$work/other"
    cp -r "$model" "$work/other"
    sed -i -e "$1" "$work/other/config.json"
}
other '/"mantissa": {/,/}/d; s/"max_position_embeddings": 32/"max_position_embeddings": 512/'
refuse 1 "tensor bert.embeddings.position_embeddings.weight" predict "$work/other" \
    --input "$work/lines"
other '/"mantissa": {/,/}/d'
assumed="note: $work/other does not say how it was trained"
for words in "predict --input $work/lines" "eval --validation_file $task/dev.tsv"; do
    read -ra words <<<"$words"
    run 0 "${words[@]}" --model_name_or_path "$work/other" --max_seq_length 24
    grep -qxF "$assumed; computed in int8 (--precision)" "$work/err" || fail "no note: precision"
    run 0 "${words[@]}" --model_name_or_path "$work/other" --max_seq_length 24 --precision fp32
    ! grep -q "does not say" "$work/err" || fail "a note about what was given"
done
other 's/"precision": "int8",//'
run 0 predict "$work/other" --input "$work/lines" --precision int8
! grep -q "does not say" "$work/err" || fail "a note about what is stored"
run 0 predict "$model" --input "$work/lines"
[ ! -s "$work/err" ] || fail "notes about nothing"

# ---- stored settings that cannot be
other 's/"max_seq_length": 24/"max_seq_length": 60000/'
for command in predict info; do
    refuse 1 "other/config.json: mantissa: max_seq_length: expected at most" "$command" "$work/other"
done
other 's/"precision": "int8"/"precision": "fp32"/'
refuse 1 "other/config.json: mantissa: " predict "$work/other"

# ---- scores: the softmax of all, the sigmoid of those above 0, or the output itself
score_is() { # AWK-EXPRESSION of the three logits a, b, c, and of m, the greatest
    says --input "$work/lines" --model_name_or_path "$work/other"
    awk -F '\t' "{ a = \$3; b = \$4; c = \$5; m = a > b ? a : b; m = m > c ? m : c
        d = \$2 - ($1); exit d > 1e-6 || d < -1e-6 }" "$work/rows" || fail "score is not $1"
}
says() {
    run 0 predict "$@"
    tail -n +2 "$work/out" >"$work/rows"
}
other 's/nothing/nothing/'
score_is "exp(m) / (exp(a) + exp(b) + exp(c))"
other 's/"single_label_classification"/"multi_label_classification"/'
run 0 predict "$work/other" --input "$work/lines" --format jsonl
sed -E 's/.*"labels": (\[[^]]*\]), "scores": (\[[^]]*\]), "logits": \[(.*)\]\}/\1\t\2\t\3/' "$work/out" |
    awk -F '\t' '{
        labels = scores = ""
        split("animal dish tool", name, " "); split($3, z, ", "); split($2, p, /[][, ]+/)
        for (k = 1; k <= 3; k++)
            if (z[k] > 0) {
                labels = labels (labels == "" ? "" : ", ") "\"" name[k] "\""
                d = p[++n + 1] - 1 / (1 + exp(-z[k]))
                if (d > 1e-6 || d < -1e-6) exit 1
            }
        n = 0
        if ($1 != "[" labels "]") exit 1
    }' || fail "not the labels with a logit above 0: $(cat "$work/out")"
refuse 1 "expected an array of labels, found text" eval "$work/other" \
    --validation_file "$task/dev.tsv"
run 0 train "${tiny[@]}" --train_file "$task/score.tsv" --validation_file "$task/score.tsv" \
    --do_regression --output_dir "$work/score" --max_steps 2 --save_strategy no
run 0 predict "$work/score" --input "$work/lines"
cp "$work/out" "$work/raw"
sed -i '/"problem_type"/d' "$work/score/config.json"
run 0 predict "$work/score" --input "$work/lines"
cmp -s "$work/out" "$work/raw" || fail "one label without problem_type is not the output itself"

# ---- a folder without a head
cp -r "$task/model" "$work/bare"
sed -i 's/classifier\.weight/classifiex.weight/' "$work/bare/model.safetensors"
sed -i 's/"max_position_embeddings": 32/&, "num_labels": 2/; /"id2label"/,/}/d; /"label2id"/,/}/d' \
    "$work/bare/config.json"
refuse 1 "no classification head" predict "$work/bare" --max_seq_length 16 --input "$work/lines"
for command in predict info; do
    refuse 1 "no such folder; a model is read from a local folder" "$command" "$work/none"
done

# ---- a line is answered before the next one is sent
coproc answers { "$mantissa" predict "$model" 2>"$work/err"; }
read -r -t 60 header <&"${answers[0]}" || fail "no header while the input is open"
[ "${header%%$'\t'*}" = label ] || fail "not a header: $header"
for text in "a cat sleeps" "a saw is made of steel"; do
    printf '%s\n' "$text" >&"${answers[1]}"
    read -r -t 60 answer <&"${answers[0]}" || fail "no answer while the input is open"
    [ -n "$answer" ] || fail "an empty answer"
done
printf 'a cat' >&"${answers[1]}" # no line yet, and the last one needs no line end
pid=$answers_PID
exec {last}<&"${answers[0]}" # bash forgets answers when the process has ended
exec {answers[1]}>&-
read -r -t 60 answer <&"$last" || fail "no answer to a last line without end"
wait "$pid" || fail "exit status $? at the end of the input"

# Lines longer than any buffer, NUL bytes, no line end at all.
head -c 300000 /dev/zero | tr '\0' 'x' >"$work/lines"
printf '\na \0cat\r\n\nend' >>"$work/lines"
run 0 predict "$model" --input "$work/lines"
[ "$(wc -l <"$work/out")" -eq 5 ] || fail "lines of unusual length"
: >"$work/lines"
run 0 predict "$model" --input "$work/lines"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "a header alone, of an empty input"

# ---- a terminal is told how far it came, when the answers go to a file
if command -v script >/dev/null; then
    for _ in $(seq 20); do cat "$task/dev.tsv"; done | cut -f 1 >"$work/lines"
    script -qec "'$mantissa' predict '$model' --input '$work/lines' --output '$work/result'" \
        /dev/null >"$work/out" </dev/null
    has out "predicting: 256"
    [ "$(wc -l <"$work/result")" -eq 421 ] || fail "rows of --output"
fi

# ---- help: defaults that the folder decides, and how files are read
for command in eval predict; do
    run 0 "$command" --help
    tr -s ' \n' ' ' <"$work/out" >"$work/help"
    has "$work/help" "[as the folder says, else int8]"
    has "$work/help" "if these are fewer [as the folder says, else 0]"
    has "$work/help" ".tsv (no quoting)"
done
run 0 train --help
! grep -q "as the folder says" "$work/out" || fail "train --help: the folder decides nothing"

# ---- info: the line of a run
run 0 info "${tiny[@]}" --model_name_or_path "$model" --output_dir o --learning_rate 3e-5 \
    --per_device_eval_batch_size 2 --gradient_accumulation_steps 2 --precision int12 --json
has out '"label_names": ["animal", "dish", "tool"]'
has out '"trained_with": {"activation_bits": 8'
has out '"training_memory": {"precision": "int12", "optim": "adamw", "rows_of_a_batch": 4, '
has out '"tokens_of_a_row": 24, "rows_of_an_evaluation_batch": 2, '
bytes() { # WORDS...: total bytes of info
    run 0 info "$model" --json --per_device_train_batch_size 1 "$@"
    sed -E 's/.*"total_bytes": ([0-9]+).*/\1/' "$work/out"
}
few=$(bytes --per_device_eval_batch_size 64)
many=$(bytes --per_device_eval_batch_size 64 --validation_file "$task/dev.tsv")
[ "$few" -lt "$many" ] || fail "info: an evaluation needs no memory"
run 0 info "$model" --task_name mrpc --data_dir "$work"
refuse 2 "unknown option" info "$model" --nonsense
