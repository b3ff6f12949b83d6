#!/usr/bin/env bash
# What a user of transformers' run_glue.py takes for granted: training goes on from a fine-tuned
# model as that was, without training the folder's own settings count, fractions of the steps,
# options that change nothing.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

# The value of a key in the output of the last command, or in a file.
value() { # KEY [FILE]
    sed -nE "s/^.*\"$1\": ([^,}]*).*$/\1/p; s/^ *$1 += (.*)$/\1/p" "${2:-$work/out}" | tail -n 1
}

# ---- the labels of a fine-tuned model keep their outputs
# relabel FOLDER COPY NAMES...: the same model with other names for its outputs 0, 1, ...
relabel() {
    local from=$1 to=$2 id=0 name ids=() labels=()
    shift 2
    cp -r "$from" "$to"
    for name in "$@"; do
        ids+=("\"$id\": \"$name\"")
        labels+=("\"$name\": $id")
        id=$((id + 1))
    done
    (
        IFS=,
        tr '\n' ' ' <"$from/config.json" |
            sed -E "s/\"id2label\": \{[^}]*\}/\"id2label\": {${ids[*]}}/
                s/\"label2id\": \{[^}]*\}/\"label2id\": {${labels[*]}}/" >"$to/config.json"
    )
}

# stays FOLDER WORDS...: a step with the learning rate 0 from FOLDER gives what eval says of it.
stays() {
    local folder=$1 before
    shift
    run 0 eval "$folder" "$@" --json
    before=$(value eval_accuracy)
    rm -rf "$work/step"
    run 0 train --model_name_or_path "$folder" "$@" "${train_data[@]}" --output_dir "$work/step" \
        --learning_rate 0 --max_steps 1 --max_seq_length 24
    ! grep -q "initialised" "$work/err" || fail "$folder: the head was not kept"
    [ "$(value eval_accuracy "$work/step/eval_results.json")" = "$before" ] ||
        fail "$folder: training on begins with another accuracy than $before"
    run 0 eval "$work/step" "$@" --json
    [ "$(value eval_accuracy)" = "$before" ] || fail "$folder: another accuracy after training on"
}

train_data=(--train_file "$task/train.tsv")
dev=(--validation_file "$task/dev.tsv")
run 0 train "${tiny[@]}" --output_dir "$work/three"
relabel "$work/three" "$work/turned" tool Animal dish
relabel "$work/three" "$work/unnamed" LABEL_0 LABEL_1 LABEL_2
relabel "$work/three" "$work/strange" red green blue
stays "$work/three" "${dev[@]}"
sed -i 's/Animal/animal/g' "$work/turned/config.json"
stays "$work/turned" "${dev[@]}"
tr '\n' ' ' <"$work/step/config.json" | grep -qE '"0": "tool", +"1": "animal", +"2": "dish"' ||
    fail "the model's order of labels is lost"
sed -i 's/animal/ANIMAL/g' "$work/turned/config.json"
run 0 train "${tiny[@]}" --model_name_or_path "$work/turned" --output_dir "$work/case" --max_steps 4 \
    --save_steps 2
tr '\n' ' ' <"$work/case/config.json" | grep -qE '"0": "tool", +"1": "animal", +"2": "dish"' ||
    fail "labels in another case are other labels"
mkdir "$work/again"
cp -r "$work/case/checkpoint-2" "$work/again"
run 0 train "${tiny[@]}" --model_name_or_path "$work/turned" --output_dir "$work/again" --max_steps 4 \
    --resume_from_checkpoint last
cmp "$work/case/model.safetensors" "$work/again/model.safetensors" || fail "resumed: another order"
run 0 train "${tiny[@]}" --model_name_or_path "$work/unnamed" --output_dir "$work/named" --max_steps 1
! grep -q "initialised" "$work/err" || fail "the head of unnamed labels was not kept"
has "$work/named/config.json" '"0": "animal"'
run 0 train "${tiny[@]}" --model_name_or_path "$work/strange" --output_dir "$work/new" --max_steps 1
has err "$work/strange has a head for other labels (\"red\", ...) than the data (\"animal\", ...)"

mkdir "$work/SST-2"
for set in train dev; do
    grep -v 'tool$' "$task/$set.tsv" |
        sed -e '1s/.*/sentence\tlabel/' -e 's/animal$/0/' -e 's/dish$/1/' >"$work/SST-2/$set.tsv"
done
glue=(--task_name sst2 --data_dir "$work")
train_data=()
run 0 train --model_name_or_path "$task/model" "${glue[@]}" --max_seq_length 24 --max_steps 30 \
    --learning_rate 1e-3 --output_dir "$work/two"
relabel "$work/two" "$work/swapped" positive negative
relabel "$work/two" "$work/bare" LABEL_0 LABEL_1
for folder in two swapped bare; do
    stays "$work/$folder" "${glue[@]}"
done
relabel "$work/two" "$work/strange2" entailment not_entailment
run 0 train --model_name_or_path "$work/strange2" "${glue[@]}" --max_seq_length 24 --max_steps 1 \
    --output_dir "$work/new2"
has err "has a head for other labels (\"entailment\", ...) than the data (\"negative\", ...)"

# ---- without training: the folder's own number format and length
run 0 train "${tiny[@]}" --output_dir "$work/narrow" --precision int8 --attention_bits 4 \
    --weight_bits 4 --activation_bits 4 --max_seq_length 8
run 0 eval "$work/narrow" "${dev[@]}" --json
loss=$(value eval_loss)
untrained=(train --model_name_or_path "$work/narrow" --no_do_train --do_eval "${dev[@]}"
    --output_dir "$work/untrained")
loss_of() { # WORDS...
    run 0 "${untrained[@]}" "$@"
    value eval_loss "$work/untrained/eval_results.json"
}
[ "$(loss_of)" = "$loss" ] || fail "without training: not the folder's precision and length"
for words in "--precision fp32" "--max_seq_length 24" "--weight_bits 8"; do
    read -ra given <<<"$words"
    other=$(loss_of "${given[@]}") # a failure ends the test
    [ "$other" != "$loss" ] || fail "without training: $words does not count"
done

# ---- a model with fewer positions than the usual 128
run 0 train "${tiny[@]:0:6}" --output_dir "$work/short" --max_steps 1
has "$work/short/config.json" '"max_seq_length": 32'
printf 'the cat\n' >"$work/lines"
run 0 predict "$work/short" --input "$work/lines"
sed -i 's/"max_seq_length": 32/"later": 0/' "$work/short/config.json"
run 0 predict "$work/short" --input "$work/lines"
run 0 eval "$work/short" "${dev[@]}"
run 0 info "$work/short"
refuse 2 "the model has 32 positions, found 33" predict "$work/short" --input "$work/lines" \
    --max_seq_length 33
refuse 2 "expected 3 to 65536, or 0 " predict "$work/short" --max_seq_length 2

# ---- steps: parts of all, the default of --eval_steps, a checkpoint after the last one
steps=("${tiny[@]:0:10}" --max_steps 30 --num_threads 2)
log_steps() { # FOLDER KEY: the steps at which the log has that key
    grep -F "\"$2\"" "$1/metrics.jsonl" | sed -E 's/.*"step": ([0-9]+).*/\1/' | tr '\n' ' '
}
checkpoints() { # FOLDER
    find "$1" -maxdepth 1 -name 'checkpoint-*' | sed 's/.*-//' | sort -n | tr '\n' ' '
}
run 0 train "${steps[@]}" --output_dir "$work/parts" --warmup_steps 0.1 --logging_steps 0.21 \
    --eval_strategy steps --eval_steps 0.3 --save_steps 0.4
run 0 train "${steps[@]}" --output_dir "$work/whole" --warmup_steps 3 --logging_steps 7 \
    --eval_strategy steps --eval_steps 9 --save_steps 12
has err "step 21/30"
cmp "$work/whole/model.safetensors" "$work/parts/model.safetensors" || fail "--warmup_steps 0.1"
cmp <(without_clock "$work/whole/metrics.jsonl") <(without_clock "$work/parts/metrics.jsonl") ||
    fail "parts of all steps"
[ "$(checkpoints "$work/parts")" = "12 24 30 " ] || fail "checkpoints: $(ls "$work/parts")"
run 0 train "${steps[@]}" --output_dir "$work/default" --logging_steps 10 --eval_strategy steps
[ "$(log_steps "$work/default" eval_loss)" = "10 20 30 30 " ] || fail "--eval_steps is not --logging_steps"
[ "$(checkpoints "$work/default")" = "30 " ] || fail "no checkpoint after the last step"
has "$work/default/trainer_state.json" '"logging_steps": 10'
run 0 train "${steps[@]}" --output_dir "$work/seldom" --eval_strategy steps --eval_steps 31 \
    --save_strategy no
has err "note: no evaluation before the last step: --eval_steps is 31, the run has 30 steps"
[ "$(log_steps "$work/seldom" eval_loss)" = "30 30 " ] || fail "the last step is not evaluated"
[ -z "$(checkpoints "$work/seldom")" ] || fail "a checkpoint in spite of --save_strategy no"
run 0 train "${steps[@]}" --output_dir "$work/best" --eval_strategy steps --eval_steps 5 \
    --save_steps 10 --save_total_limit 1 --load_best_model_at_end
best=$(sed -nE 's/.*"best_model_checkpoint": ".*checkpoint-([0-9]+)".*/\1/p' \
    "$work/best/trainer_state.json")
cmp "$work/best/model.safetensors" "$work/best/checkpoint-$best/model.safetensors" || fail "best"
[ -e "$work/best/checkpoint-30" ] || fail "no checkpoint of the last step with a limit"

# ---- the log has everything: the last interval, the final evaluation, the whole of the training
run 0 train "${steps[@]}" "${dev[@]}" --output_dir "$work/log" --max_steps 12 --logging_steps 5 --seed 7
[ "$(log_steps "$work/log" loss)" = "5 10 12 " ] || fail "log lines: $(cat "$work/log/metrics.jsonl")"
[ "$(log_steps "$work/log" train_runtime)" = "12 " ] || fail "no line for the training"
[ "$(log_steps "$work/log" eval_loss)" = "12 " ] || fail "no line for the final evaluation"
[ "$(wc -l <"$work/log/metrics.jsonl")" -eq 5 ] || fail "metrics.jsonl"
[ "$(grep -c '"step": ' "$work/log/trainer_state.json")" -eq 5 ] || fail "log_history"
for key in epoch eval_loss eval_runtime eval_samples eval_samples_per_second eval_steps_per_second; do
    has "$work/log/eval_results.json" "\"$key\": "
done
for key in epoch total_flos train_loss train_runtime train_samples train_samples_per_second \
    train_steps_per_second; do
    has "$work/log/train_results.json" "\"$key\": "
    has "$work/log/all_results.json" "\"$key\": "
done
has "$work/log/all_results.json" '"epoch": 0.8'
! grep -q '"step"' "$work/log/eval_results.json" || fail "eval_results.json has the log's step"
for field in '"best_global_step": null' '"eval_steps": 5' '"save_steps": 500' '"total_flos": 0.0' \
    '"is_local_process_zero": true' '"is_world_process_zero": true' '"is_hyper_param_search": false' \
    '"num_input_tokens_seen": 0' '"trial_name": null' '"trial_params": null'; do
    has "$work/log/trainer_state.json" "$field"
done
has "$work/best/trainer_state.json" "\"best_global_step\": $best,"
cp -r "$work/best" "$work/resumed"
run 0 train "${steps[@]}" --output_dir "$work/resumed" --eval_strategy steps --eval_steps 5 \
    --save_steps 10 --save_total_limit 1 --load_best_model_at_end --resume_from_checkpoint last
cmp <(without_clock "$work/best/metrics.jsonl") <(without_clock "$work/resumed/metrics.jsonl") ||
    fail "the log of a run that was resumed at its end"
has "$work/resumed/trainer_state.json" "\"best_global_step\": $best,"
run 0 eval "$work/log" "${dev[@]}" --json
! grep -q epoch "$work/out" || fail "eval does not train"

# ---- flags of Trainer 4 and of Trainer 5 for the same run
run 0 train "${steps[@]}" --max_steps 3 --group_by_length --gradient_checkpointing \
    --output_dir "$work/ours"
run 0 train "${steps[@]}" --max_steps 3 --train_sampling_strategy group_by_length \
    --activation_checkpointing True --use_cache False --logging_dir "$work/tb" --save_safetensors \
    --fp16_backend auto --no_cuda False --use_mps_device False --warmup_steps 0.0 \
    --resume_from_checkpoint False --overwrite_output_dir False --local_rank -1 \
    --preprocessing_num_workers 4 --output_dir "$work/theirs"
cmp "$work/ours/model.safetensors" "$work/theirs/model.safetensors" || fail "Trainer 5's flags"
has err "note: nothing is changed by --use_cache False, --logging_dir $work/tb, --save_safetensors,"
[ ! -e "$work/tb" ] || fail "--logging_dir was made"
run 0 train "${steps[@]}" --max_steps 3 --train_sampling_strategy sequential --output_dir "$work/rows"
! cmp -s "$work/ours/model.safetensors" "$work/rows/model.safetensors" || fail "sequential"
refuse 2 "expected one of random|sequential|group_by_length, found 'batch_rebalance'" train \
    --train_sampling_strategy batch_rebalance

# ---- options of run_glue.py that ask for what is done anyway
idle=(--report_to none --overwrite_cache --use_cpu --no_cuda True --pad_to_max_length=False
    --disable_tqdm --use_fast_tokenizer --push_to_hub False --fp16 False --bf16 false
    --dataloader_num_workers 0 --no_trust_remote_code)
run 0 train "${steps[@]}" "${idle[@]}" --max_steps 1 --output_dir "$work/idle"
[ "$(grep -c "^note: nothing is changed by" "$work/err")" -eq 1 ] || fail "not one note"
for name in report_to overwrite_cache use_cpu no_cuda pad_to_max_length disable_tqdm \
    use_fast_tokenizer push_to_hub fp16 bf16 dataloader_num_workers no_trust_remote_code; do
    has err " --$name"
done
