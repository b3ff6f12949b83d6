#!/usr/bin/env bash
# One run of 30 steps on a real model gives one model file, however it is run.
#
# usage: gates/check_determinism.sh MANTISSA EMULATED MODEL_DIR DATA_DIR OUT [PRECISION[:GROUP]...]
#
#   MANTISSA   the command; EMULATED: tests/mantissa_amx_emulated of the same build, used for the
#              family amx where the processor has none
#   MODEL_DIR  a BERT folder, e.g. MiniLM-L6; with METHOD a language model, too
#   DATA_DIR   the GLUE folder, with MRPC; with TASK=squad that of SQuAD; with TASK=files one with
#              train.* and dev.*: tagged words, rows with sets of labels, texts of a language model
#   OUT        a folder to work in; about 1 GB; what is compared is left there
#   PRECISION  int8 int12 int16 when none is given; with a group, e.g. int8:block
#
# For each precision: a reference run, then 1, 2 and 3 threads, each kernel family, and three runs
# that are killed with SIGKILL three times, at random steps and while a checkpoint is written, and
# resumed each time.  Equal must be: the model, the model and the optimizer's state of the last
# checkpoint, every loss, gradient norm and evaluation, and the answers of question answering.
# Environment: TASK (mrpc; squad, squad_v2, files), METHOD (full; lora, dylora, qlora, qdylora: the
# adapter is compared; ranks up to 8), STEPS (30, a multiple of 10), BATCH (4), LENGTH (48; of squad
# 128), SEED of the kills (from the clock).
set -euo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive
[ $# -ge 5 ] || {
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
}
mantissa=$1 emulated=$2 model=$3 data=$4 out=$5
shift 5
[ $# -gt 0 ] || set -- int8 int12 int16
steps=${STEPS:-30}
task=${TASK:-mrpc}
length=${LENGTH:-48}
method=${METHOD:-full}
data_options=(--task_name "$task" --data_dir "$data")
if [ "$task" = files ]; then
    data_options=(--train_file "$(ls "$data"/train.*)" --validation_file "$(ls "$data"/dev.*)")
elif [ "$task" != mrpc ]; then
    length=${LENGTH:-128}
    data_options+=(--doc_stride $((length / 4)))
fi
weights=model.safetensors
if [ "$method" != full ]; then
    weights=adapter_model.safetensors
    data_options+=(--method "$method" --lora_r 8)
fi
RANDOM=${SEED:=$(($(date +%s) % 32768))}
mkdir -p "$out"
echo "SEED=$SEED STEPS=$steps BATCH=${BATCH:-4} LENGTH=$length TASK=$task METHOD=$method"
options=(--model_name_or_path "$model" "${data_options[@]}" --max_steps "$steps"
    --per_device_train_batch_size "${BATCH:-4}" --max_seq_length "$length"
    --max_train_samples 400 --max_eval_samples 8 --eval_strategy steps --eval_steps 10
    --learning_rate 1e-4 --warmup_steps 5 --weight_decay 0.01 --logging_steps 1
    --save_total_limit 1)
table=() failures=0

# train COMMAND FOLDER WORDS...: in this process, so that a kill hits the command itself.
train() {
    local command=$1 folder=$2
    shift 2
    exec "$command" train "${options[@]}" --output_dir "$folder" "$@" >"$folder.log" 2>&1
}

# What two runs must share; the numbers that depend on the clock are left out.
digest() { # FOLDER
    local last=$1/checkpoint-$steps
    (cd "$1" && sha256sum $weights)
    [ ! -e "$1/eval_nbest_predictions.json" ] || (cd "$1" && sha256sum eval_nbest_predictions.json)
    (cd "$last" && sha256sum $weights optimizer.safetensors)
    grep -E '"(loss_sum|total_loss|best_metric|micro_step)"' "$last/trainer_state.json"
    sed -E 's/"((tokens|(train|eval)_(samples|steps))_per_second|(train|eval)_runtime)": [^,}]*//g' "$1/metrics.jsonl"
}

note() { # PRECISION CASE VERDICT SECONDS REMARK
    [ "$3" = same ] || failures=$((failures + 1))
    table+=("$(printf '%-12s %-18s %-10s %5s s  %s' "$@")")
    printf '%s\n' "${table[-1]}"
}

# compare PRECISION CASE FOLDER SECONDS REMARK: with the reference; then remove the folder.
compare() {
    local verdict=same
    digest "$3" >"$out/$1.$2.txt" || verdict=incomplete
    cmp -s "$out/$1.reference.txt" "$out/$1.$2.txt" || verdict=DIFFERENT
    cmp -s "$out/$1.reference/$weights" "$3/$weights" || verdict=DIFFERENT
    note "$1" "$2" "$verdict" "$4" "$5"
    if [ "$verdict" = same ]; then rm -rf "$3"; fi
}

# plain PRECISION CASE COMMAND REMARK WORDS...: a run from start to end.
plain() {
    local precision=$1 name=$2 command=$3 remark=$4 started=$SECONDS
    local folder="$out/$1.$2"
    shift 4
    rm -rf "$folder"
    if (train "$command" "$folder" --save_steps 10 "$@"); then
        compare "$precision" "$name" "$folder" $((SECONDS - started)) "$remark"
    else
        note "$precision" "$name" FAILED $((SECONDS - started)) "$(tail -n 1 "$folder.log")"
    fi
}

lines_of() { # FILE
    { wc -l <"$1"; } 2>/dev/null || echo 0 # the run may remove it at any moment
}

# The newest checkpoint of a folder.
newest() { # FOLDER
    find "$1" -maxdepth 1 -name 'checkpoint-*' -printf '%f\n' | sort -t- -k2n | tail -n 1
}

# Wait until the job has come to a moment for a kill: "step N", or "save N": a checkpoint after step
# N is being written.  Fails if the job ended before.
wait_for() { # JOB FOLDER WHAT N
    while kill -0 "$1" 2>/dev/null; do
        if [ "$(lines_of "$2/metrics.jsonl")" -ge "$4" ]; then
            [ "$3" = save ] || return 0
            if compgen -G "$2/tmp-checkpoint-*" >/dev/null; then return 0; fi
        fi
        sleep 0.01
    done
    return 1
}

# killed PRECISION CASE WORDS...: three kills, each followed by a resumption.
killed() {
    local precision=$1 name=$2 started=$SECONDS remark="" job step what resume
    local folder="$out/$1.$2"
    shift 2
    rm -rf "$folder"
    for round in 1 2 3 4; do
        resume=()
        if compgen -G "$folder/checkpoint-*" >/dev/null; then
            resume=(--resume_from_checkpoint last)
        elif [ -d "$folder" ]; then
            resume=(--overwrite_output_dir)
        fi
        (train "$mantissa" "$folder" --save_steps 2 "$@" "${resume[@]}") &
        job=$!
        if [ "$round" -le 3 ]; then
            step=$(((round - 1) * steps / 3 + 1 + RANDOM % (steps / 3 - 1)))
            what=step
            [ "$round" -ne 2 ] || what=save
            if wait_for "$job" "$folder" "$what" "$step"; then
                sleep "0.$(printf '%03d' $((RANDOM % 500)))"
                kill -KILL "$job" 2>/dev/null || true
            fi
            wait "$job" 2>/dev/null || true
            remark+="$what $step -> $(newest "$folder"); "
        elif ! wait "$job"; then
            note "$precision" "$name" FAILED $((SECONDS - started)) "$(tail -n 1 "$folder.log")"
            return
        fi
    done
    compare "$precision" "$name" "$folder" $((SECONDS - started)) "$remark"
}

# The command that runs a family here, or nothing.
command_for() { # FAMILY
    for command in "$mantissa" "$emulated"; do
        [ "$1" = amx ] || [ "$command" = "$mantissa" ] || continue
        if MANTISSA_KERNEL=$1 "$command" info >/dev/null 2>&1; then
            echo "$command"
            return
        fi
    done
}

for case in "$@"; do
    number=(--precision "${case%%:*}")
    [ "$case" = "${case%%:*}" ] || number+=(--exponent_group "${case#*:}")
    started=$SECONDS
    rm -rf "$out/$case.reference"
    (train "$mantissa" "$out/$case.reference" --save_steps 10 --num_threads 2 "${number[@]}")
    digest "$out/$case.reference" >"$out/$case.reference.txt"
    losses=$(grep -oE '"loss": [0-9.]+' "$out/$case.reference.txt" | sed -n '1p;$p' | tr '\n' ' ')
    note "$case" reference same $((SECONDS - started)) "2 threads; $losses"
    for threads in 1 2 3; do
        plain "$case" "threads-$threads" "$mantissa" "" --num_threads "$threads" "${number[@]}"
    done
    for family in ref avx2 avx512vnni amx; do
        command=$(command_for "$family")
        if [ -z "$command" ]; then
            note "$case" "kernel-$family" "not here" 0 ""
            continue
        fi
        remark=""
        [ "$command" = "$mantissa" ] || remark="emulated"
        MANTISSA_KERNEL=$family plain "$case" "kernel-$family" "$command" "$remark" \
            --num_threads 2 "${number[@]}"
    done
    for run in 1 2 3; do
        killed "$case" "killed-$run" --num_threads 2 "${number[@]}"
    done
    rm -rf "$out/$case.reference/checkpoint-"*
done

echo
printf '%s\n' "${table[@]}"
echo "$((${#table[@]} - failures)) of ${#table[@]} same"
[ "$failures" -eq 0 ]
