#!/usr/bin/env bash
# Sets of labels: training from arrays and from separated labels, evaluation, prediction, other
# thresholds; the same bytes from any number of threads and after SIGKILL; what is refused.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

# write_sets FIRST N FORMAT: rows with none, one or two of the labels animal, dish, tool.
write_sets() {
    awk -v first="$1" -v n="$2" -v format="$3" 'BEGIN {
        split("cat dog horse mouse", word); split("bread soup cake rice", dish)
        split("hammer saw drill file", tool)
        if (format == "csv") print "text,labels"
        for (i = first; i < first + n; i++) {
            k = 1 + i % 4
            text = "the table"; labels = ""
            if (i % 3 != 1) { text = text " " word[k]; labels = labels "|animal" }
            if (i % 5 < 2) { text = text " " dish[k]; labels = labels "|dish" }
            if (i % 7 == 3) { text = text " " tool[k]; labels = labels "|tool" }
            labels = substr(labels, 2)
            if (format == "csv") { printf "%s,%s\n", text, labels; continue }
            gsub(/\|/, "\", \"", labels)
            printf "{\"text\": \"%s\", \"labels\": [%s]}\n", text, labels == "" ? "" : "\"" labels "\""
        }
    }'
}
for format in jsonl csv; do
    write_sets 0 120 "$format" >"$work/train.$format"
    write_sets 1000 30 "$format" >"$work/dev.$format"
done
sets=("${tiny[@]}" --train_file "$work/train.jsonl" --validation_file "$work/dev.jsonl"
    --learning_rate 5e-3)
number() { # FILE KEY
    sed -nE "s/.*\"$2\": ([^,}]*).*/\1/p" "$1" | head -n 1
}

# ---- train, evaluate, predict
run 0 train "${sets[@]}" --save_steps 1 --output_dir "$work/whole" --test_file "$work/dev.jsonl" \
    --do_predict --max_steps 30
model=$work/whole
has err '3 labels, of which a text has any number'
has "$model/config.json" '"problem_type": "multi_label_classification"'
has "$model/config.json" '"2": "tool"'
! grep -q label_threshold "$model/config.json" || fail "the default threshold is stored"
for key in eval_loss eval_accuracy eval_f1_micro eval_f1_macro; do
    has "$model/eval_results.json" "\"$key\""
done
awk -v f="$(number "$model/eval_results.json" eval_f1_micro)" 'BEGIN { exit !(f > 0.7) }' ||
    fail "nothing was learned: $(cat "$model/eval_results.json")"
[ "$(wc -l <"$model/predict_results.txt")" -eq 31 ] || fail "not a prediction for each row"
grep -qE '^[0-9]+	\["animal", "dish"\]$' "$model/predict_results.txt" || fail "no set of two"

# What a file of predicted sets says, counted anew: micro F1 and exact sets.
recount() { # PREDICTIONS (a JSON array in the last column of each line)
    paste <(sed -E 's/.*"labels": (\[[^]]*\]).*/\1/' "$work/dev.jsonl") "$1" | awk -F '\t' '
        function has(set, name) { return index(set, "\"" name "\"") > 0 }
        BEGIN { split("animal dish tool", names, " ") }
        {
            same = 1
            for (k = 1; k <= 3; k++) {
                t = has($1, names[k]); p = has($NF, names[k])
                both += t && p; all += t + p; if (t != p) same = 0
            }
            exact += same
        }
        END { printf "%.12f %.12f\n", 2 * both / all, exact / NR }'
}
printf '%.12f %.12f\n' "$(number "$model/eval_results.json" eval_f1_micro)" \
    "$(number "$model/eval_results.json" eval_accuracy)" >"$work/expected"
tail -n +2 "$model/predict_results.txt" >"$work/rows"
recount "$work/rows" >"$work/found"
cmp "$work/expected" "$work/found" || fail "$(cat "$work/expected") is not $(cat "$work/found")"
run 0 predict "$model" --test_file "$work/dev.jsonl"
[ "$(head -n 1 "$work/out")" = "labels	logit animal	logit dish	logit tool" ] || fail "the header"
tail -n +2 "$work/out" | cut -f 1 >"$work/sets"
cmp <(cut -f 2 "$work/rows") "$work/sets" || fail "predict gives other sets than --do_predict"
run 0 predict "$model" --test_file "$work/dev.jsonl" --format jsonl --label_threshold 0
has out '{"labels": ["animal", "dish", "tool"], "scores": ['
run 0 predict "$model" --test_file "$work/dev.jsonl" --label_threshold 1
[ "$(tail -n +2 "$work/out" | cut -f 1 | sort -u)" = "[]" ] || fail "a probability above 1"

# ---- evaluation: arrays, and separated labels
run 0 eval "$model" --validation_file "$work/dev.jsonl" --json
cp "$work/out" "$work/of_arrays"
loss=$(number "$work/of_arrays" eval_loss)
[ "$loss" = "$(number "$model/eval_results.json" eval_loss)" ] || fail "eval gives another loss"
run 0 eval "$model" --validation_file "$work/dev.csv" --label_separator '|' --json
[ "$(number "$work/out" eval_loss)" = "$loss" ] || fail "separated labels are others"
run 0 eval "$model" --validation_file "$work/dev.jsonl" --label_threshold 1 --json
[ "$(number "$work/out" eval_f1_micro)" = "0.0" ] || fail "--label_threshold does nothing"
[ "$(number "$work/out" eval_loss)" = "$loss" ] || fail "--label_threshold changes the loss"

# ---- the folder knows the separator and the threshold
run 0 train "${sets[@]}" --train_file "$work/train.csv" --validation_file "$work/dev.csv" \
    --label_separator '|' --label_threshold 0.25 --max_steps 30 --output_dir "$work/csv" \
    --save_strategy no --num_threads 1
cmp "$model/model.safetensors" "$work/csv/model.safetensors" || fail "CSV: another model"
has "$work/csv/config.json" '"label_separator": "|"'
has "$work/csv/config.json" '"label_threshold": 0.25'
run 0 eval "$work/csv" --validation_file "$work/dev.csv" --json
for key in eval_loss eval_f1_micro eval_f1_macro eval_accuracy; do
    [ "$(number "$work/out" "$key")" = "$(number "$work/csv/eval_results.json" "$key")" ] ||
        fail "eval: another $key"
done

# ---- the same bytes: threads (above: one), kernels, SIGKILL
MANTISSA_KERNEL=ref run 0 train "${sets[@]}" --max_steps 30 --output_dir "$work/ref" \
    --save_strategy no --num_threads 3
cmp "$model/model.safetensors" "$work/ref/model.safetensors" || fail "ref, 3 threads: another model"
"$mantissa" train "${sets[@]}" --save_steps 1 --output_dir "$work/killed" >"$work/out" \
    2>"$work/err" &
job=$!
while kill -0 "$job" 2>/dev/null; do
    [ ! -e "$work/killed/checkpoint-7" ] || { kill -KILL "$job" 2>/dev/null || true; break; }
done
wait "$job" 2>/dev/null || true
run 0 train "${sets[@]}" --save_steps 1 --output_dir "$work/killed" --resume_from_checkpoint last
same_run "$model" "$work/killed"

# ---- an adapter beside a frozen model
run 0 train "${sets[@]}" --method lora --lora_r 4 --output_dir "$work/lora" --save_strategy no
run 0 eval "$task/model" --adapter_name_or_path "$work/lora" --validation_file "$work/dev.jsonl" \
    --json
[ "$(number "$work/out" eval_loss)" = "$(number "$work/lora/eval_results.json" eval_loss)" ] ||
    fail "the adapter's evaluation is another"

# ---- training goes on, with labels in the model's order
sed 's/animal/zebra/g' "$work/train.jsonl" >"$work/other.jsonl"
run 0 train "${sets[@]}" --model_name_or_path "$model" --output_dir "$work/on" --max_steps 1 \
    --save_strategy no --logging_steps 1
! grep -q initialised "$work/err" || fail "the same labels: a new head"
run 0 train "${sets[@]}" --model_name_or_path "$model" --train_file "$work/other.jsonl" --do_eval 0 \
    --eval_strategy no --output_dir "$work/new" --max_steps 1 --save_strategy no
has err 'other labels ("animal", ...) than the data ("dish", ...)'

# ---- errors: one line behind notes
broken() { # STATUS TEXT WORDS...
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    [ "$(grep -c 'mantissa: error: ' "$work/err")" -eq 1 ] || fail "not one error"
    grep 'mantissa: error: ' "$work/err" | grep -qF -e "$text" || fail "'$text' is not the error"
}
bad() { # TEXT LABELS: a development set with such labels in its second row
    printf '{"text": "a cat", "labels": ["tool"]}\n{"text": "b", "labels": %s}\n' "$2" \
        >"$work/bad.jsonl"
    broken 1 "bad.jsonl:2: \"labels\": $1" eval "$model" --validation_file "$work/bad.jsonl"
}
bad 'expected labels of "animal", "dish", "tool", found "plant"' '["tool", "plant"]'
bad 'expected an array of labels, found a string' '"tool"'
bad 'expected an array of labels, found null' null
bad 'expected labels that are strings or integers, found a real' '[0.5]'
bad 'expected labels that are strings or integers, found true' '["tool", true]'
bad 'expected labels, found an empty one' '[""]'
bad '"tool" stands twice: expected each label of the set once' '["tool", "dish", "tool"]'
broken 1 'dev.csv:2: "labels": expected an array of labels, found text (--label_separator is not given)' \
    eval "$model" --validation_file "$work/dev.csv"
new=(train "${sets[@]}" --output_dir "$work/x")
broken 2 "--label_separator contradicts --do_regression" "${new[@]}" --do_regression \
    --label_separator ,
broken 2 "the labels of $work/train.jsonl are sets" "${new[@]}" --do_regression
broken 2 "option --label_separator: the value is empty" "${new[@]}" \
    --label_separator ""
broken 2 "option --label_threshold: expected 0 to 1, found 2" "${new[@]}" --label_threshold 2
broken 2 "--label_threshold is for sets of labels: this model is for classification" \
    train "${tiny[@]}" --label_threshold 0.4 --output_dir "$work/x"
run 0 train "${tiny[@]}" --max_steps 2 --save_strategy no --output_dir "$work/class"
broken 2 "--label_separator is for sets of labels: this model is for classification" \
    eval "$work/class" --validation_file "$task/dev.tsv" --label_separator ,
broken 1 "expected a string, a number, true or false, found an array" eval "$work/class" \
    --validation_file "$work/dev.jsonl" --label_column_name labels
