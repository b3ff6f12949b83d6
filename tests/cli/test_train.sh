#!/usr/bin/env bash
# train, eval and predict as a person would use them, on MiniLM and a few rows of text: files and
# formats, a line pasted from run_glue.py, interruption and resumption.
# Needs the folder MANTISSA_TEST_MODEL (tools/fetch_minilm.sh).
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

if [ ! -s "${MANTISSA_TEST_MODEL:-}/model.safetensors" ]; then
    echo "skipped: MANTISSA_TEST_MODEL is not a model folder"
    exit 77
fi

# 48 rows of two classes that eight steps learn.
awk 'BEGIN {
    split("cat dog horse mouse sheep goat", animal); split("bread cheese soup cake rice salad", food)
    print "text,label"
    for (i = 1; i <= 6; i++) for (k = 1; k <= 4; k++) {
        printf "\"a %s runs, %d times\",animal\n", animal[i], k
        printf "\"I eat %s, %d times\",food\n", food[i], k
    }
}' >"$work/rows.csv"
head -n 17 "$work/rows.csv" >"$work/few.csv"
options=(--model_name_or_path "$MANTISSA_TEST_MODEL" --train_file "$work/rows.csv"
    --max_seq_length 16 --per_device_train_batch_size 8 --learning_rate 2e-4 --logging_steps 2)

# Fine-tune, then use the folder.
run 0 train "${options[@]}" --validation_file "$work/few.csv" --test_file "$work/few.csv" \
    --output_dir "$work/model" --num_train_epochs 2 --do_predict
has out "eval_accuracy"
has err "step 2/12 "
has err "step 12/12 "
for file in config.json model.safetensors trainer_state.json all_results.json eval_results.json \
    metrics.jsonl predict_results.txt; do
    [ -s "$work/model/$file" ] || fail "train did not write $file"
done
has "$work/model/config.json" '"animal"'
[ "$(head -n 1 "$work/model/predict_results.txt")" = "$(printf 'index\tprediction')" ] ||
    fail "header of predict_results.txt"
[ "$(wc -l <"$work/model/predict_results.txt")" -eq 17 ] || fail "rows of predict_results.txt"

run 0 eval "$work/model" --validation_file "$work/few.csv" --json
has out '"eval_accuracy": 1.0'

printf 'a goat runs\nI eat soup\n\n' >"$work/lines"
run 0 predict "$work/model" --input "$work/lines"
[ "$(head -n 1 "$work/out" | cut -f1-3)" = "$(printf 'label\tscore\tlogit animal')" ] ||
    fail "header of predict"
[ "$(sed -n 2,3p "$work/out" | cut -f1 | tr '\n' ' ')" = "animal food " ] || fail "labels"
[ "$(wc -l <"$work/out")" -eq 4 ] || fail "an empty line is a text as well"
run 0 predict "$work/model" --input "$work/lines" --format jsonl --output "$work/result"
[ "$(grep -cE '^\{"label": "(animal|food)", "score": [0-9.e-]+, "logits": \[[^]]+\]\}$' \
    "$work/result")" -eq 3 ] || fail "jsonl"
printf 'one\ttwo\nthree\n' >"$work/lines"
run 1 predict "$work/model" --input "$work/lines"
has err "$work/lines:2: expected two texts"

# The folder knows what it was trained with: nothing needs to be repeated, but may be.
run 0 train "${options[@]}" --output_dir "$work/int12" --max_steps 3 --precision int12 \
    --attention_bits 10 --exponent_group tensor
has "$work/int12/config.json" '"precision": "int12"'
printf 'a goat runs and runs and runs and runs and runs through the garden and eats soup\n' >"$work/lines"
predict() {
    run 0 predict "$work/int12" --input "$work/lines" "$@"
    cp "$work/out" "$work/$name"
}
name=stored predict
name=given predict --precision int12 --attention_bits 10 --exponent_group tensor --max_seq_length 16
name=other predict --precision int8
name=longer predict --max_seq_length 64
cmp "$work/stored" "$work/given" || fail "predict does not compute as the model was trained"
! cmp -s "$work/stored" "$work/other" || fail "--precision int8 makes no difference"
! cmp -s "$work/stored" "$work/longer" || fail "--max_seq_length 64 makes no difference"

# A folder that does not say it, as transformers writes one: what is assumed is told.
cp -r "$work/model" "$work/silent"
sed -i '/"mantissa": {/,/}/d' "$work/silent/config.json"
run 0 predict "$work/silent" --input "$work/lines"
has err "does not say how it was trained; computed in int8 (--precision); texts cut at 128 tokens, or at the model's positions (--max_seq_length)"

for precision in fp32 int8; do # scratch for each thread only where each thread uses some
    for threads in 1 16; do
        run 0 info "$work/model" --json --precision $precision --num_threads $threads
        grep -oE '"training_memory": [{][^}]*' "$work/out" >"$work/memory-$precision-$threads"
    done
done
cmp "$work/memory-fp32-1" "$work/memory-fp32-16" ||
    fail "fp32 needs more memory with more threads"
cmp -s "$work/memory-int8-1" "$work/memory-int8-16" &&
    fail "the comparison of memory sees nothing"
run 0 info "$work/model"
has out "parameters"

# A folder that holds something is not written over without being asked for.
refuse 2 "--overwrite_output_dir" train "${options[@]}" --output_dir "$work/model"

# A line of run_glue.py.
mkdir "$work/glue"
printf 'index\tsentence1\tsentence2\tlabel\n' >"$work/glue/head"
awk 'BEGIN { for (i = 0; i < 8; i++)
    printf "%d\tIt \"rains %d.\tIt is wet.\t%s\n", i, i, i % 2 ? "entailment" : "not_entailment" }' \
    >"$work/glue/rows"
cat "$work/glue/head" "$work/glue/rows" >"$work/glue/train.tsv"
cp "$work/glue/train.tsv" "$work/glue/dev.tsv"
run 0 train --model-name-or-path "$MANTISSA_TEST_MODEL" --task_name RTE --data_dir "$work/glue" \
    --do_train --do_eval --max-seq-length 16 --per-device-train-batch-size 4 --learning-rate 2e-5 \
    --num-train-epochs 1 --evaluation_strategy epoch --optim adamw_torch \
    --output_dir "$work/rte" --overwrite_output_dir
has out "eval_accuracy"

# Stop a run at any step; the resumed one ends with the same bytes as one that was not stopped.
options+=(--max_steps 60 --save_strategy no --logging_steps 1)
run 0 train "${options[@]}" --output_dir "$work/whole"
"$mantissa" train "${options[@]}" --output_dir "$work/parts" >"$work/out" 2>"$work/err" &
job=$!
while kill -0 "$job" 2>/dev/null && [ ! -s "$work/parts/metrics.jsonl" ]; do sleep 0.05; done
kill -TERM "$job" 2>/dev/null || true
status=0
wait "$job" || status=$?
[ "$status" -eq 130 ] || fail "interrupted: exit status $status, expected 130"
has err "--resume_from_checkpoint last"
[ ! -e "$work/parts/model.safetensors" ] || fail "an interrupted run wrote a final model"
run 0 train "${options[@]}" --output_dir "$work/parts" --resume_from_checkpoint last
cmp "$work/whole/model.safetensors" "$work/parts/model.safetensors" ||
    fail "stopped and resumed is not the same as straight through"
