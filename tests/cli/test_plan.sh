#!/usr/bin/env bash
# The plan before the run: info of adapters, 4-bit bases and GGUF files; what is mapped; work.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
base=$work/base
"$2/make_tiny_task" --decoder "$base"

# plan WORDS...: info of a run of 8 rows of 64 tokens, as JSON, in $work/out.
plan() {
    run 0 info "$@" --per_device_train_batch_size 8 --max_seq_length 64 --num_threads 2 --json
}

# value KEY: its number in the last plan; nothing: it is not there.
value() {
    sed -nE "s/.*\"$1\": ([0-9.]+).*/\1/p" "$work/out"
}

# is_sum: the total is the sum of its parts.
is_sum() {
    local sum=0 part
    for part in parameters adapters gradients optimizer_state packed_weights activations scratch; do
        sum=$((sum + $(value "${part}_bytes" || true) + 0))
    done
    [ "$sum" = "$(value total_bytes)" ] || fail "the total is $(value total_bytes), the sum $sum"
}

plan "$base"
is_sum
full=$(value gradients_bytes)
[ "$(value mapped_files_bytes)" = 0 ] || fail "a full training maps its model"
# Two layers of 14400 weights, 512 tokens; a thousand batches a step, for the digits.
plan "$base" --gradient_accumulation_steps 1000
[ "$(value forward_gmac)" = 14.746 ] || fail "forward: $(value forward_gmac)"
[ "$(value input_gradients_gmac)" = 14.746 ] || fail "dX: $(value input_gradients_gmac)"
[ "$(value weight_gradients_gmac)" = 14.746 ] || fail "dW: $(value weight_gradients_gmac)"
# 2 layers, 8 rows, 4 heads of 12, 7 products of [64][64], which is one block
[ "$(value attention_gmac)" = 22.02 ] || fail "attention: $(value attention_gmac)"
plan "$base" --gradient_accumulation_steps 1000 --gradient_checkpointing
[ "$(value weight_gradients_gmac)" = 14.746 ] || fail "dW, recomputed: $(value weight_gradients_gmac)"
# all but the last product of each layer, 40 x 72, again; and the attention's two
[ "$(value forward_gmac)" = 26.542 ] || fail "recomputed: $(value forward_gmac)"
[ "$(value attention_gmac)" = 28.312 ] || fail "attention, recomputed: $(value attention_gmac)"

plan "$base" --method lora --lora_r 4
is_sum
adapters=$(value adapters_bytes)
[ "$adapters" = "$(value gradients_bytes)" ] || fail "gradients of more than the adapters"
[ "$adapters" -lt "$full" ] || fail "the adapters are the model"
[ "$adapters" = "$(value final_model_bytes)" ] || fail "more is written than the adapters"
[ -z "$(value weight_gradients_gmac)" ] || fail "frozen weights have gradients"
whole=$(value mapped_files_bytes) used=$(value mapped_files_in_use_bytes)
[ "$used" -gt 0 ] && [ "$used" -lt "$whole" ] || fail "mapped: $used of $whole"
memory=$(value total_bytes) packed=$(value packed_weights_bytes)
plan "$base" --method lora --lora_r 8
[ "$(value adapters_bytes)" = $((2 * adapters)) ] || fail "twice the ranks are not twice the memory"
plan "$base" --method lora --lora_r 8 --target_modules q_proj
[ "$(value adapters_bytes)" -lt "$adapters" ] || fail "one of seven layers has as many adapters"
plan "$base" --method qlora --lora_r 4
is_sum
[ "$(value packed_weights_bytes)" -lt "$packed" ] || fail "weights in 4 bits are packed"
made=$(value parameters_bytes)

# In a folder that has 4 bits they are mapped, and not made.
run 0 quantize "$base" --output_dir "$work/four"
plan "$work/four" --method qlora --lora_r 4
is_sum
[ "$(value parameters_bytes)" -lt "$made" ] || fail "4 bits of the file are made in memory"
[ "$(value mapped_files_bytes)" -lt "$whole" ] || fail "a file in 4 bits is as large"

# The disk, the tokenizer, the data.
for key in each_checkpoint_bytes program_and_tokenizer_bytes peak_bytes; do
    [ "$(value $key)" -gt 0 ] || fail "no $key"
done
head -c 4000 /dev/zero >"$work/data.jsonl"
plan "$base" --method lora --lora_r 4 --train_file "$work/data.jsonl"
[ "$(value training_data_bytes)" = 12000 ] || fail "data: $(value training_data_bytes)"
[ "$(value total_bytes)" = "$memory" ] || fail "data changes the plan"
run 0 info "$base" --method lora
grep -qE '^work of a step$' "$work/out" || fail "no work of a step"
grep -qE '^  adapters +[0-9.]+ KiB$' "$work/out" || fail "no adapters"
refuse 2 "none ends in" info "$base" --method lora --target_modules nonsense
refuse 2 "the adapter's rank 4 (--lora_r), found 8" info "$base" --method dylora --lora_r 4 --ranks 1..8
refuse 2 "--lora_dropout needs --method lora" info "$base" --lora_dropout 0.1
refuse 2 "positions, found 9000: give at most as many" info "$base" --max_seq_length 9000

# How long a step takes is measured where that is asked for, on a part of the model.
! grep -q 'time of a step' "$work/out" || fail "a time that nobody asked for"
for words in "--method lora" "--method qdylora --gradient_checkpointing true" "--precision fp32"; do
    # shellcheck disable=SC2086
    run 0 info "$base" $words --calibrate true --gradient_accumulation_steps 2
    grep -A 2 '^time of a step about$' "$work/out" >"$work/time" || fail "no time: $words"
    awk '/tokens per second/ { rate = $NF } / seconds / { s = $NF }
        END { exit !(s > 0 && rate > 0 ) }' "$work/time" || fail "$(cat "$work/time")"
done
"$2/make_tiny_task" "$work/encoder"
run 0 info "$work/encoder/model" --calibrate true
grep -q '^time of a step about$' "$work/out" || fail "no time of an encoder"
refuse 2 "has no effect" train --model_name_or_path "$base" --calibrate true --output_dir "$work/x"
