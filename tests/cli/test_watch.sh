#!/usr/bin/env bash
# SIGUSR1: a run says where it is, and goes on as if nothing had been.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
base=$work/base
"$2/make_tiny_task" --decoder "$base"
for i in {0..63}; do
    echo "{\"text\": \"number $i of all that are counted here, and a few words more\"}"
done >"$work/rows.jsonl"
words=(--model_name_or_path "$base" --train_file "$work/rows.jsonl" --max_seq_length 64
    --max_steps 150 --per_device_train_batch_size 8 --num_threads 1 --save_strategy no
    --logging_steps 1000)
run 0 train "${words[@]}" --output_dir "$work/alone"
! grep -q '^status: ' "$work/err" || fail "a status that nobody asked for"

"$mantissa" train "${words[@]}" --output_dir "$work/asked" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
# Before the command has said how it takes the signal it would end it: wait for its folder.
while [ ! -e "$work/asked" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
asked=0
while kill -USR1 "$pid" 2>/dev/null; do
    asked=$((asked + 1))
    sleep 0.02
done
status=0
wait "$pid" || status=$?
[ "$status" -eq 0 ] || fail "the run ended with $status"
[ "$asked" -gt 3 ] || fail "the run was over at once"
grep -qE '^status: step [0-9]+/150, (forward|backward), layer [12] of 2, [0-9:]+ left$' "$work/err" ||
    fail "no status within a step"
cmp "$work/alone/model.safetensors" "$work/asked/model.safetensors"
# One that is ignored stays so.
trap '' USR1
"$mantissa" train "${words[@]}" --output_dir "$work/deaf" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
while kill -USR1 "$pid" 2>/dev/null; do sleep 0.02; done
wait "$pid" || fail "the run ended"
! grep -q '^status: ' "$work/err" || fail "an ignored signal is heard"
