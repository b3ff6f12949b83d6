#!/usr/bin/env bash
# Random models: synth, and every command that opens what it writes; runs that are killed.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
for i in {0..15}; do
    echo "{\"text\": \"row $i of a text that a model of bytes is trained on\"}"
done >"$work/rows.jsonl"

# The loss of a random model is near ln(512) = 6.238, in 4 bits and in 16.
for like in falcon-tiny llama-tiny; do
    four=$work/$like
    run 0 synth --like "$like" --output_dir "$four"
    has err "the random model is in $four"
    [ ! -s "$work/out" ] || fail "synth printed something on standard output"
    [ ! -e "$four.partial" ] || fail "a folder of the making is left"
    run 0 synth --like "$like" --output_dir "$four.16" --base_bits 16
    for folder in "$four" "$four.16"; do
        run 0 train --model_name_or_path "$folder" --train_file "$work/rows.jsonl" \
            --validation_file "$work/rows.jsonl" --method lora --max_steps 2 --max_seq_length 32 \
            --per_device_train_batch_size 4 --num_threads 2 --output_dir "$folder.lora"
        loss=$(sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$folder.lora/all_results.json")
        awk -v x="$loss" 'BEGIN { exit !(x > 6.1 && x < 6.4) }' || fail "$folder: loss $loss"
    done
done
run 0 info "$work/falcon-tiny"
grep -qE '^matrices in nf4 +8$' "$work/out" || fail "info does not say what is in 4 bits"
run 0 info "$work/llama-tiny.16"
! grep -q "matrices in nf4" "$work/out" || fail "matrices in 4 bits with --base_bits 16"
run 0 synth --like llama-tiny --layers 3 --output_dir "$work/three" --seed 9 --max_shard_size 20KB
run 0 info "$work/three"
grep -qE '^layers +3$' "$work/out" || fail "--layers is not obeyed"
run 0 tokenize "$work/three" --input "$work/rows.jsonl" --output "$work/tokens"

# Killed at whatever time, the same command goes on to the same folder.
words=(synth --like llama-tiny --layers 3 --seed 9 --max_shard_size 20KB --output_dir "$work/again")
for delay in 0.005 0.01 0.02 0.05 0.1; do
    rm -rf "$work/again" "$work/again.partial"
    (timeout -s KILL "$delay" "$mantissa" "${words[@]}" >"$work/out" 2>"$work/err" </dev/null ||
        true) 2>/dev/null
    [ -e "$work/again" ] || run 0 "${words[@]}"
    diff -r "$work/again" "$work/three" || fail "another folder after a kill"
done

# What is refused.
refuse 2 "--like is missing" synth --output_dir "$work/x"
refuse 2 "--output_dir is missing" synth --like llama-tiny
refuse 2 "llama-7" synth --like llama-70b --output_dir "$work/x"
refuse 2 "layers" synth --like llama-tiny --layers 2000 --output_dir "$work/x"
refuse 2 "base_bits" synth --like llama-tiny --base_bits 8 --output_dir "$work/x"
refuse 2 "already holds" synth --like llama-tiny --output_dir "$work/three"
refuse 2 "--precision has no effect in 'mantissa synth'" synth --like llama-tiny \
    --output_dir "$work/x" --precision int8
[ ! -e "$work/x" ] && [ ! -e "$work/x.partial" ] || fail "something was left of what was refused"
