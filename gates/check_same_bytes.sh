#!/usr/bin/env bash
# Whether two builds of the command train the same models: a table of runs with the sha256 of each.
#
# usage: gates/check_same_bytes.sh MODEL_DIR DATA_DIR OUT MANTISSA [OTHER]
#
#   MODEL_DIR  a BERT folder, e.g. MiniLM-L6; DATA_DIR: the GLUE folder, with MRPC and STS-B
#   OUT        a folder to work in
#   MANTISSA   the command, e.g. of the commit before a change; OTHER: of the commit with it
#
# Each run is a few steps on a real model: number formats, groups of exponents, roundings, widths,
# optimizers, gradient checkpointing, accumulation, one score instead of classes; and each is also
# stopped at a checkpoint and resumed by a second process.  With OTHER, the table says of each run
# whether both wrote the same model.safetensors (of the resumed run too); exit status 1 if not all
# did.  Environment: STEPS (6), THREADS (2).
set -euo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive
[ $# -ge 4 ] || {
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
}
model=$1 data=$2 out=$3
shift 3
commands=("$@")
steps=${STEPS:-6}
failures=0 runs=0
mkdir -p "$out"

# The sha256 of the model that COMMAND trains in FOLDER.
hash_of() { # COMMAND FOLDER OPTIONS...
    local command=$1 folder=$2
    shift 2
    rm -rf "$folder"
    if ! "$command" train --model_name_or_path "$model" --data_dir "$data" --do_eval false \
        --max_steps "$steps" --per_device_train_batch_size 6 --max_seq_length 64 --max_train_samples 60 \
        --learning_rate 2e-4 --weight_decay 0.01 --warmup_steps 2 --logging_steps 1 \
        --num_threads "${THREADS:-2}" --save_steps $((steps / 2)) --output_dir "$folder" "$@" \
        >"$folder.log" 2>&1; then
        tail -n 1 "$folder.log" >&2
        echo failed
        return
    fi
    sha256sum <"$folder/model.safetensors" | cut -c1-64
}

# The same run, resumed from the checkpoint that it wrote half-way.
hash_resumed() { # COMMAND FOLDER OPTIONS...
    local command=$1 folder=$2
    shift 2
    rm -rf "$folder.resumed"
    hash_of "$command" "$folder.resumed" --resume_from_checkpoint "$folder/checkpoint-$((steps / 2))" "$@"
}

# run NAME OPTIONS...: one row of the table.
run() {
    local name=$1 verdict='' digest='' resumed='' first=''
    shift
    for command in "${commands[@]}"; do
        digest=$(hash_of "$command" "$out/run" "$@")
        resumed=$(hash_resumed "$command" "$out/run" "$@")
        if [ "$digest" = failed ] || [ "$digest" != "$resumed" ]; then verdict=' RESUMED DIFFERS'; fi
        if [ -n "$first" ] && [ "$first" != "$digest" ]; then verdict=" DIFFERENT $digest"; fi
        [ -n "$first" ] || first=$digest
    done
    if [ -z "$verdict" ] && [ ${#commands[@]} -gt 1 ]; then verdict=' same'; fi
    case $verdict in '' | ' same') ;; *) failures=$((failures + 1)) ;; esac
    runs=$((runs + 1))
    printf '%-44s %s%s\n' "$name" "$first" "$verdict"
}

mrpc=(--task_name mrpc)
for group in tensor row block; do
    for precision in int8 int12 int16; do
        run "$precision $group" "${mrpc[@]}" --precision $precision --exponent_group $group
    done
    for rounding in nearest stochastic; do
        run "int8 $group $rounding" "${mrpc[@]}" --precision int8 --exponent_group $group --rounding $rounding
    done
    run "int8 $group checkpointing" "${mrpc[@]}" --precision int8 --exponent_group $group \
        --gradient_checkpointing
done
run "int10 row" "${mrpc[@]}" --precision int10
run "int8 row, 12-bit activations" "${mrpc[@]}" --precision int8 --activation_bits 12
run "int8 tensor, 8-bit norm, stochastic" "${mrpc[@]}" --precision int8 --exponent_group tensor \
    --rounding stochastic --norm_bits 8
for optim in adamw_8bit sgd sgd_int16; do
    for precision in int8 int16; do
        run "$precision $optim" "${mrpc[@]}" --precision $precision --optim $optim
    done
done
run "int8 sgd momentum" "${mrpc[@]}" --precision int8 --optim sgd --sgd_momentum 0.9
run "int16 sgd_int16 momentum" "${mrpc[@]}" --precision int16 --optim sgd_int16 --sgd_momentum 0.9
run "int8 accumulation, by length" "${mrpc[@]}" --precision int8 --gradient_accumulation_steps 3 \
    --group_by_length
run "int8 stsb (a score)" --task_name stsb --precision int8
run "fp32" "${mrpc[@]}" --precision fp32
run "fp32 checkpointing, adamw_8bit" "${mrpc[@]}" --precision fp32 --gradient_checkpointing \
    --optim adamw_8bit
rm -rf "$out/run" "$out/run.resumed"
printf '%d runs, each twice (resumed), %d not the same\n' "$runs" "$failures"
[ "$failures" -eq 0 ]
