#!/usr/bin/env bash
# kill -9 at any moment: no checkpoint is damaged, no step before the last one is lost, and the
# resumed run ends with the bytes of one that was not killed.  Also: SIGTERM, a checkpoint by name,
# what killed runs leave behind, and the limit on checkpoints.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
RANDOM=${TEST_SEED:=1}
echo "TEST_SEED=$TEST_SEED"

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
    "$mantissa" train "${tiny[@]}" --output_dir "$folder" "$@" >"$work/out" 2>"$work/err" &
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

killed=0 killed_in_save=0
cases=("int8" "int12" "int16" "int8 --optim sgd --sgd_momentum 0.9 --group_by_length"
    "int8 --optim sgd_int16 --sgd_momentum 0.9 --gradient_accumulation_steps 2")
if sanitized; then cases=("int8" "int12 --optim sgd_int16 --sgd_momentum 0.9"); fi
for case in "${cases[@]}"; do
    read -ra words <<<"--precision $case --save_steps 1"
    run 0 train "${tiny[@]}" --output_dir "$work/whole" "${words[@]}"
    kill_three_times "$work/parts" "$work/whole" "${words[@]}"
    rm -rf "$work/parts"
    [ "$case" = int8 ] || rm -rf "$work/whole"
    [ "$case" != int8 ] || mv "$work/whole" "$work/int8"
done
echo "$killed kills, $killed_in_save of them while a checkpoint was written"
[ "$killed" -ge ${#cases[@]} ] || fail "too few runs were killed before their end"
