#!/usr/bin/env bash
# --early_stopping_patience: when training ends, and that a killed run ends in the same place with
# the same bytes; --label_smoothing_factor and --class_weights: that they act, and where they cannot.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

number() { # FILE KEY
    sed -nE "s/.*\"$2\": ([^,}]*).*/\1/p" "$1" | tail -n 1
}

# ---- a rate of 0: no evaluation is better than the first, so the third ends a patience of 2
stop=("${tiny[@]}" --eval_steps 2 --save_steps 2 --learning_rate 0 --load_best_model_at_end
    --early_stopping_patience 2)
run 0 train "${stop[@]}" --output_dir "$work/still"
has err 'stopped after step 6: 2 evaluations without a better value'
[ "$(number "$work/still/trainer_state.json" global_step)" = 6 ] || fail "not after step 6"
[ -e "$work/still/checkpoint-6" ] && [ ! -e "$work/still/checkpoint-8" ] || fail "checkpoints"
has "$work/still/trainer_state.json" '"early_stopping_patience_counter": 2'
has err 'loaded the best model, '

# Without a checkpoint of an evaluated model there is no best one to load: that is said.
run 0 train "${stop[@]}" --save_steps 500 --output_dir "$work/unsaved"
has err 'no checkpoint was written at an evaluation: the model is the last one, not the best'

# A run that ended so ends again where it did, and is no other run's.
run 0 train "${stop[@]}" --output_dir "$work/still" --resume_from_checkpoint last
has err 'stopped after step 6'
run 1 train "${stop[@]}" --early_stopping_patience 3 --output_dir "$work/still" \
    --resume_from_checkpoint last
has err '--early_stopping_patience 2, this run 3'

# ---- a loss that falls: not stopped, unless it is to fall by more than it does
fall=("${tiny[@]}" --eval_steps 5 --save_steps 5 --metric_for_best_model loss)
run 0 train "${fall[@]}" --early_stopping_patience 1 --output_dir "$work/falls"
[ "$(number "$work/falls/trainer_state.json" global_step)" = 30 ] || fail "stopped, and it falls"
run 0 train "${fall[@]}" --early_stopping_patience 2 --early_stopping_threshold 10 \
    --output_dir "$work/enough"
[ "$(number "$work/enough/trainer_state.json" global_step)" = 15 ] || fail "the threshold"
run 0 train "${fall[@]}" --output_dir "$work/plain"
! grep -q EarlyStopping "$work/plain/trainer_state.json" || fail "early stopping without being asked"
cmp "$work/plain/model.safetensors" "$work/falls/model.safetensors" || fail "another model"

# ---- SIGKILL between evaluations: the same end, the same bytes
seen=("${tiny[@]}" --eval_steps 2 --save_steps 1 --metric_for_best_model loss
    --early_stopping_patience 4 --early_stopping_threshold 0.2)
run 0 train "${seen[@]}" --output_dir "$work/whole"
last=$(number "$work/whole/trainer_state.json" global_step)
[ "$last" -gt 8 ] && [ "$last" -lt 30 ] || fail "the run to kill ends after step $last"
for at in 3 7; do
    rm -rf "$work/killed"
    "$mantissa" train "${seen[@]}" --output_dir "$work/killed" >"$work/out" 2>"$work/err" &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        [ ! -e "$work/killed/checkpoint-$at" ] || { kill -KILL "$job" 2>/dev/null || true; break; }
    done
    wait "$job" 2>/dev/null || true
    run 0 train "${seen[@]}" --output_dir "$work/killed" --resume_from_checkpoint last
    cmp "$work/whole/model.safetensors" "$work/killed/model.safetensors" || fail "another model"
    cmp <(without_clock "$work/whole/metrics.jsonl") <(without_clock "$work/killed/metrics.jsonl") ||
        fail "another log"
    same_checkpoint "$work/whole/checkpoint-$last" "$work/killed/checkpoint-$last"
done
sed -i 's/"evaluations": [0-9]*/"evaluations": "x"/' "$work/killed/checkpoint-$last/trainer_state.json"
run 1 train "${seen[@]}" --output_dir "$work/killed" --resume_from_checkpoint last
has err 'evaluations: expected'

# ---- smoothing: another loss in training and in evaluation, also by eval afterwards
loss=(--precision fp32 --max_steps 8 --save_strategy no)
run 0 train "${tiny[@]}" "${loss[@]}" --output_dir "$work/hard"
run 0 train "${tiny[@]}" "${loss[@]}" --label_smoothing_factor 0.2 --output_dir "$work/smooth"
! cmp -s "$work/hard/model.safetensors" "$work/smooth/model.safetensors" || fail "no smoothing"
has "$work/smooth/config.json" '"label_smoothing_factor": 0.2'
! grep -q label_smoothing "$work/hard/config.json" || fail "no smoothing is stored"
run 0 eval "$work/smooth" --validation_file "$task/dev.tsv" --json
[ "$(number "$work/out" eval_loss)" = "$(number "$work/smooth/eval_results.json" eval_loss)" ] ||
    fail "eval: another loss"
cp "$work/out" "$work/as_trained"
run 0 eval "$work/smooth" --validation_file "$task/dev.tsv" --json --label_smoothing_factor 0
[ "$(number "$work/out" eval_loss)" != "$(number "$work/as_trained" eval_loss)" ] ||
    fail "eval: the option does nothing"

# ---- weights: another model; two batches of a step are as one of all their rows
few=(--train_file "$work/few.tsv" "${loss[@]}" --hidden_dropout 0 --attention_dropout 0
    --classifier_dropout 0 --train_sampling_strategy sequential)
awk -F '\t' 'NR == 1 || $2 != "tool" || n++ < 4' "$task/train.tsv" >"$work/few.tsv"
run 0 train "${tiny[@]}" "${few[@]}" --output_dir "$work/alike"
run 0 train "${tiny[@]}" "${few[@]}" --class_weights balanced --output_dir "$work/balanced"
! cmp -s "$work/alike/model.safetensors" "$work/balanced/model.safetensors" || fail "no weights"
run 0 train "${tiny[@]}" "${few[@]}" --class_weights balanced --gradient_accumulation_steps 2 \
    --output_dir "$work/parts"
run 0 train "${tiny[@]}" "${few[@]}" --class_weights balanced --per_device_train_batch_size 8 \
    --output_dir "$work/one"
near() { # KEY: the first of the log, in both
    local a b
    a=$(sed -nE "s/.*\"$1\": ([^,}]*).*/\1/p" "$work/parts/metrics.jsonl" | head -n 1)
    b=$(sed -nE "s/.*\"$1\": ([^,}]*).*/\1/p" "$work/one/metrics.jsonl" | head -n 1)
    awk -v a="$a" -v b="$b" 'BEGIN { d = a - b; exit !(d < 1e-5 * b && d > -1e-5 * b) }' ||
        fail "two batches of a step have $1 $a, one of all their rows $b"
}
near loss
near grad_norm

# ---- errors
broken() { # STATUS TEXT WORDS...
    local status=$1 text=$2
    shift 2
    run "$status" train "$@" --output_dir "$work/x"
    [ "$(grep -c 'mantissa: error: ' "$work/err")" -eq 1 ] || fail "not one error"
    grep 'mantissa: error: ' "$work/err" | grep -qF -e "$text" || fail "'$text' is not the error"
}
broken 2 "--early_stopping_patience needs --eval_strategy epoch or steps, found no" "${tiny[@]}" \
    --early_stopping_patience 2 --eval_strategy no --metric_for_best_model loss
broken 2 "--early_stopping_patience needs --metric_for_best_model or --load_best_model_at_end" \
    "${tiny[@]}" --early_stopping_patience 2
broken 2 "--early_stopping_threshold needs --early_stopping_patience" "${tiny[@]}" \
    --early_stopping_threshold 0.1
broken 2 "option --label_smoothing_factor: expected a value below 1, found 1" "${tiny[@]}" \
    --label_smoothing_factor 1
for words in "--label_smoothing_factor 0.1" "--class_weights balanced"; do
    read -ra words <<<"$words"
    broken 2 "${words[0]} is for one class of a text: this model is for regression" "${tiny[@]}" \
        "${words[@]}" --train_file "$task/score.tsv" --validation_file "$task/score.tsv" \
        --do_regression
    broken 2 "${words[0]} is for one class of a text: this model is for spans" \
        "${tiny_questions[@]}" "${words[@]}" --task_name squad_v2
done
