#!/usr/bin/env bash
# kill -9 at any moment: no checkpoint is damaged, no step before the last one is lost, and the
# resumed run ends with the bytes of one that was not killed.  Also: SIGTERM, a checkpoint by name,
# what killed runs leave behind, and the limit on checkpoints.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
RANDOM=${MANTISSA_TEST_SEED:=1}
echo "MANTISSA_TEST_SEED=$MANTISSA_TEST_SEED"

lines_of() { # FILE
    if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi
}

# Numbers of the checkpoints of a folder, rising.
steps_of() { # FOLDER
    find "$1" -maxdepth 1 -name 'checkpoint-*' | sed -nE 's/.*checkpoint-([0-9]+)$/\1/p' | sort -n
}

# start FOLDER WORDS...: a run in the background, its number in $job.
start() {
    local folder=$1
    shift
    "$mantissa" train "${data[@]}" --output_dir "$folder" "$@" >"$work/out" 2>"$work/err" &
    job=$!
}

# kill_at FOLDER LINES MODE: send SIGKILL when the log has so many lines; MODE save: when moreover a
# checkpoint is being written.  Fails if the job ended before.
kill_at() {
    while kill -0 "$job" 2>/dev/null; do
        if [ "$(lines_of "$1/metrics.jsonl")" -ge "$2" ]; then
            if [ "$3" != save ] || compgen -G "$1/tmp-checkpoint-*" >/dev/null; then
                kill -KILL "$job" 2>/dev/null || true
                break
            fi
        fi
    done
    local status=0
    wait "$job" 2>/dev/null || status=$?
    [ "$status" -eq 137 ]
}

# Every checkpoint of FOLDER is the one that the undisturbed run wrote after the same step.
check_checkpoints() { # FOLDER REFERENCE
    local step
    for step in $(steps_of "$1"); do
        same_checkpoint "$2/checkpoint-$step" "$1/checkpoint-$step"
    done
}

# Three kills on the way of one run, then the rest of it.
kill_three_times() { # FOLDER REFERENCE WORDS...
    local folder=$1 reference=$2 round mode=step log last
    shift 2
    start "$folder" "$@"
    for round in 1 2 3; do
        if kill_at "$folder" $((round * 8 - 6 + RANDOM % 6)) "$mode"; then
            killed=$((killed + 1))
            [ "$mode" != save ] || killed_in_save=$((killed_in_save + 1))
        fi
        log=$(grep -c '"loss"' "$folder/metrics.jsonl")
        last=$(steps_of "$folder" | tail -n 1)
        [ "${last:-0}" -ge $((log - 1)) ] || fail "$log steps were done, the last checkpoint is $last"
        check_checkpoints "$folder" "$reference"
        if [ "$mode" = step ]; then mode=save; else mode=step; fi
        start "$folder" "$@" --resume_from_checkpoint last
    done
    wait "$job" || fail "the resumed run failed"
    same_run "$reference" "$folder"
    [ -z "$(find "$folder" -name '*tmp-*' -o -name '*.old-*')" ] ||
        fail "left behind: $(ls "$folder")"
}

# The whole runs keep all checkpoints; of those that are killed, every second keeps only one.
killed=0 killed_in_save=0 limit=0
cases=("int8" "int12" "int16" "int8 --optim sgd --sgd_momentum 0.9 --group_by_length"
    "int8 --optim sgd_int16 --sgd_momentum 0.9 --gradient_accumulation_steps 2"
    "int8 --optim adamw_8bit --gradient_checkpointing" "int8 --outliers feature"
    "int8 --outliers feature --outlier_update step --outlier_threshold 2" "questions int8"
    "questions int16 --gradient_checkpointing" "tags int8 --gradient_accumulation_steps 2")
if sanitized; then
    cases=("int8" "int12 --optim sgd_int16 --sgd_momentum 0.9"
        "int8 --outliers feature --outlier_update step --outlier_threshold 2")
fi
for case in "${cases[@]}"; do
    data=("${tiny[@]}")
    [ "$case" = "${case#questions }" ] || data=("${tiny_questions[@]}")
    [ "$case" = "${case#tags }" ] || data=("${tiny_tags[@]}")
    spec=${case#questions }
    [[ "$case" != *--outliers* ]] || data+=(--model_name_or_path "$task/outliers")
    read -ra words <<<"--precision ${spec#tags } --save_steps 1"
    run 0 train "${data[@]}" --output_dir "$work/whole" "${words[@]}"
    kill_three_times "$work/parts" "$work/whole" "${words[@]}" --save_total_limit "$limit"
    limit=$((1 - limit))
    rm -rf "$work/parts"
    if [ "$case" = int8 ]; then mv "$work/whole" "$work/int8"; else rm -rf "$work/whole"; fi
done
echo "$killed kills, $killed_in_save of them while a checkpoint was written"
[ "$killed" -ge ${#cases[@]} ] || fail "too few runs were killed before their end"
tiny+=(--precision int8)
data=("${tiny[@]}")

# A checkpoint by name, copied elsewhere; later ones in the output folder do no harm.
cp -r "$work/int8/checkpoint-20" "$work/elsewhere"
run 0 train "${tiny[@]}" --output_dir "$work/named" --resume_from_checkpoint "$work/elsewhere" \
    --save_steps 1
same_run "$work/int8" "$work/named"
run 0 train "${tiny[@]}" --output_dir "$work/named" --save_steps 1 --save_total_limit 2 \
    --resume_from_checkpoint "$work/named/checkpoint-22"
same_run "$work/int8" "$work/named"
[ "$(steps_of "$work/named" | tr '\n' ' ')" = "29 30 " ] || fail "checkpoints: $(ls "$work/named")"

# Another end: the steps so far count, and the rest follows the new schedule.
more=("${tiny[@]}" --lr_scheduler_type constant_with_warmup --save_steps 10 --eval_steps 4)
run 0 train "${more[@]}" --output_dir "$work/straight" --max_steps 18
run 0 train "${more[@]}" --output_dir "$work/longer" --max_steps 12
run 0 train "${more[@]}" --output_dir "$work/longer" --max_steps 18 \
    --resume_from_checkpoint "$work/longer/checkpoint-10"
has err "note: the checkpoint's run had 12 steps, this one has 18: from here on the learning rate"
cmp "$work/straight/model.safetensors" "$work/longer/model.safetensors" ||
    fail "a run that was extended is not the longer run"

# Litter of killed runs is removed, and nothing else; a replaced checkpoint is put back.
mkdir "$work/named/tmp-checkpoint-7-123" "$work/named/mine"
touch "$work/named/tmp-checkpoint-7-123/model.safetensors" "$work/named/model.safetensors.tmp-99" \
    "$work/named/predict_results.txt.tmp-99" "$work/named/notes.tmp-99" "$work/named/checkpoint-notes"
cp -r "$work/named/checkpoint-29" "$work/named/checkpoint-29.old-123"
mv "$work/named/checkpoint-30" "$work/named/checkpoint-30.old-123"
run 0 train "${tiny[@]}" --output_dir "$work/named" --save_steps 1 --resume_from_checkpoint last
for name in tmp-checkpoint-7-123 model.safetensors.tmp-99 predict_results.txt.tmp-99 \
    checkpoint-29.old-123; do
    [ ! -e "$work/named/$name" ] || fail "$name is still there"
done
for name in mine notes.tmp-99 checkpoint-notes; do
    [ -e "$work/named/$name" ] || fail "$name is gone"
done
same_run "$work/int8" "$work/named"

# To overwrite is to forget: no checkpoint of the run before is left to be resumed by mistake.
run 0 train "${tiny[@]}" --output_dir "$work/named" --save_strategy no --overwrite_output_dir \
    --max_steps 2
[ -z "$(steps_of "$work/named")" ] || fail "checkpoints: $(ls "$work/named")"
refuse 1 "no checkpoint-<step> folder" train "${tiny[@]}" --output_dir "$work/named" \
    --resume_from_checkpoint last

# SIGTERM, also while it evaluates: a checkpoint is written, and the rest is the same.
tiny+=(--eval_steps 1 --metric_for_best_model accuracy)
data=("${tiny[@]}")
run 0 train "${tiny[@]}" --output_dir "$work/whole" --save_strategy steps --save_steps 30
for lines in 2 5; do
    rm -rf "$work/stopped"
    start "$work/stopped" --save_steps 30
    while kill -0 "$job" 2>/dev/null && [ "$(lines_of "$work/stopped/metrics.jsonl")" -lt "$lines" ]
    do
        :
    done
    kill -TERM "$job" 2>/dev/null || true
    status=0
    wait "$job" || status=$?
    [ "$status" -eq 130 ] || fail "SIGTERM: exit status $status, expected 130"
    last=$(steps_of "$work/stopped")
    [ -n "$last" ] || fail "SIGTERM: no checkpoint"
    log=$(grep -c '"loss"' "$work/stopped/metrics.jsonl")
    [ "$last" -eq "$log" ] || fail "SIGTERM: checkpoint $last after step $log"
    run 0 train "${tiny[@]}" --output_dir "$work/stopped" --save_steps 30 \
        --resume_from_checkpoint last
    same_run "$work/whole" "$work/stopped"
done
