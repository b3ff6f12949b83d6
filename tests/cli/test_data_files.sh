#!/usr/bin/env bash
# Data files as they lie on people's disks: what other loaders read is read, and what is left out or
# taken for something is said.  The same file gives the same score in train, eval and predict.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
tab=$(printf '\t')
start=(--model_name_or_path "$task/model" --max_seq_length 24 --max_steps 1 --num_threads 2
    --save_strategy no)

# train FOLDER WORDS...: a run of one step into $work/FOLDER.
train() {
    run 0 train "${start[@]}" --output_dir "$work/$1" "${@:2}"
}

# number FILE KEY: its value in a file of results, or in what was printed.
number() {
    sed -nE "s/.*\"$2\": *([^,}]*).*/\\1/p" "$1"
}

# ---- GLUE: lines with another number of fields are left out and said once
mkdir "$work/QQP"
printf '%s\n' "id${tab}qid1${tab}qid2${tab}question1${tab}question2${tab}is_duplicate" \
    "1${tab}1${tab}2${tab}Is tea hot?${tab}Is tea warm?${tab}1" \
    "2${tab}3${tab}4${tab}cut in " "\"${tab}Who is two?${tab}0" \
    "3${tab}5${tab}6${tab}Is it late?${tab}Where is it?${tab}0" "" >"$work/QQP/train.tsv"
train qqp --task_name qqp --data_dir "$work" --do_eval false
has err "note: $work/QQP/train.tsv:3: expected 6 fields, found 4: 2 such lines were left out"
[ "$(grep -c 'left out' "$work/err")" -eq 1 ] || fail "more than one note"
[ "$(number "$work/qqp/train_results.json" train_samples)" -eq 2 ] || fail "not 2 rows"
# A user's own file with such a line is an error.
cp "$work/QQP/train.tsv" "$work/own.tsv"
refuse 1 "own.tsv:3: expected 6 fields, found 4" train "${start[@]}" --output_dir "$work/none" \
    --train_file "$work/own.tsv" --label_column_name is_duplicate

# ---- blank lines at the end of a .tsv file
printf 'text\tlabel\na\t1\nb\t0\n\n' >"$work/blank.tsv"
train blank --train_file "$work/blank.tsv"
[ "$(number "$work/blank/train_results.json" train_samples)" -eq 2 ] || fail "not 2 rows: blank"

# ---- blanks around labels and numbers
printf 'text,label\na, 3.5\nb, 2.25\nc, 1\nd, 4.75\n' >"$work/scores.csv"
train scores --train_file "$work/scores.csv"
has err 'label in column "label": a number'
printf 'text,label\na,1\nb,1 \nc,0\n' >"$work/classes.csv"
train classes --train_file "$work/classes.csv"
has err 'label in column "label": 2 classes'
printf 'text,label\na,x\nb,x \nc,y\n' >"$work/twins.csv"
train twins --train_file "$work/twins.csv"
has err 'label in column "label": 3 classes'
has err 'the classes "x" and "x " differ in nothing but blanks around them'

# ---- the columns of the training are those of eval and predict
awk 'BEGIN { print "claim,proof,label"; for (i = 0; i < 12; i++) {
    printf "The cat sleeps,A saw is made of steel,%s\n", "x"
    printf "The bread smells good,a mouse,%s\n", "y" } }' >"$work/train.csv"
awk -F , '{ print $2 "," $1 "," $3 }' "$work/train.csv" >"$work/turned.csv"
train pairs --train_file "$work/train.csv" --validation_file "$work/turned.csv" --max_steps 20
trained=$(number "$work/pairs/eval_results.json" eval_loss)
run 0 eval "$work/pairs" --validation_file "$work/turned.csv" --json
[ "$(number "$work/out" eval_loss)" = "$trained" ] || fail "eval took other columns than train"
run 0 eval "$work/pairs" --validation_file "$work/train.csv" --json
[ "$(number "$work/out" eval_loss)" = "$trained" ] || fail "eval: the order of columns matters"
run 0 eval "$work/pairs" --validation_file "$work/turned.csv" --json --text_column_names proof,claim
[ "$(number "$work/out" eval_loss)" != "$trained" ] || fail "eval: --text_column_names does not win"
run 0 predict "$work/pairs" --test_file "$work/train.csv"
cp "$work/out" "$work/straight"
run 0 predict "$work/pairs" --test_file "$work/turned.csv"
cmp "$work/straight" "$work/out" || fail "predict: the order of columns matters"
run 0 train --do_train false --do_predict --model_name_or_path "$work/pairs" \
    --test_file "$work/turned.csv" --output_dir "$work/labelled"
cmp <(tail -n +2 "$work/straight" | cut -f 1) \
    <(tail -n +2 "$work/labelled/predict_results.txt" | cut -f 2) || fail "train --do_predict"
sed '1s/claim/other/' "$work/turned.csv" >"$work/renamed.csv"
refuse 1 "--text_column_names is not given, and the model was trained on \"claim\" and \"proof\": $work/renamed.csv: expected a column \"claim\", found the columns \"proof\", \"other\", \"label\"" \
    eval "$work/pairs" --validation_file "$work/renamed.csv"
refuse 1 'the model was trained on "claim" and "proof"' predict "$work/pairs" \
    --test_file "$work/renamed.csv"
sed '1s/label/verdict/' "$work/turned.csv" >"$work/renamed.csv"
refuse 1 '--label_column_name is not given, and the model was trained on "label"' \
    eval "$work/pairs" --validation_file "$work/renamed.csv"
run 0 eval "$work/pairs" --validation_file "$work/renamed.csv" --label_column_name verdict --json
[ "$(number "$work/out" eval_loss)" = "$trained" ] || fail "eval: --label_column_name"
printf '%s\n' '{"author":"ann","country":"chile","review":"The cat sleeps","label":"p"}' \
    '{"author":"bob","country":"peru","review":"A saw","label":"n"}' >"$work/named.jsonl"
train named --train_file "$work/named.jsonl" --text_column_names review \
    --validation_file "$work/named.jsonl"
trained=$(number "$work/named/eval_results.json" eval_loss)
run 0 eval "$work/named" --validation_file "$work/named.jsonl" --json
[ "$(number "$work/out" eval_loss)" = "$trained" ] || fail "eval: not the column of the training"
run 0 eval "$work/named" --validation_file "$work/named.jsonl" --json \
    --text_column_names author,country
[ "$(number "$work/out" eval_loss)" != "$trained" ] || fail "eval: any column gives this loss"
run 0 predict "$work/named" --test_file "$work/named.jsonl"
has err 'note: text in column "review"'
refuse 1 "label_column_name: expected a string, found an integer" eval "$work/named" \
    --validation_file "$work/named.jsonl" --model_name_or_path "$(
        cp -r "$work/named" "$work/odd"
        sed -i 's/"label_column_name": "label"/"label_column_name": 1/' "$work/odd/config.json"
        echo "$work/odd"
    )"

# ---- predict_results.txt can be read back, whatever the labels hold
printf '%s\n' '{"text":"The cat sleeps","label":"a\tb\nc\\"}' \
    '{"text":"A saw is made of steel","label":"d"}' >"$work/escapes.jsonl"
train escapes --train_file "$work/escapes.jsonl" --test_file "$work/escapes.jsonl" --do_predict \
    --max_steps 60 --learning_rate 1e-3
printf 'index\tprediction\n0\ta\\tb\\nc\\\\\n1\td\n' | cmp - "$work/escapes/predict_results.txt" ||
    fail "labels with tabs and line breaks"
