#!/usr/bin/env bash
# An adapter beside a base in 4 bits (--base_bits 4): it is learned, to the same bytes by every number
# of threads and family of kernels and after a resumption; eval takes the base as it was trained beside.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base
"$2/make_tiny_task" --decoder "$base"
awk 'BEGIN { for (i = 0; i < 64; i++) { a = i % 8; b = int(i / 8)
    printf "{\"prompt\": \"%d+%d=\", \"completion\": \"%d\"}\n", a, b, a + b } }' >"$work/train.jsonl"
words=(--model_name_or_path "$base" --train_file "$work/train.jsonl"
    --validation_file "$work/train.jsonl" --max_seq_length 24 --per_device_train_batch_size 8
    --learning_rate 1e-2 --logging_steps 1 --method lora --lora_r 4 --lora_alpha 8)
# loss_of FOLDER: eval_loss of its eval_results.json
loss_of() {
    sed -nE 's/^ *"eval_loss": ([0-9.e+-]+),?$/\1/p' "$1/eval_results.json"
}
same_adapter() { # A B
    cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" ||
        fail "$2: another adapter than $1"
}

run 0 train "${words[@]}" --max_steps 24 --base_bits 4 --num_threads 2 --output_dir "$work/four"
run 0 train "${words[@]}" --max_steps 24 --num_threads 2 --output_dir "$work/plain"
! cmp -s "$work/four/adapter_model.safetensors" "$work/plain/adapter_model.safetensors" ||
    fail "the base was not quantised"
first=$(grep -o '"loss": [0-9.e-]*' "$work/four/metrics.jsonl" | head -n 1 | cut -d' ' -f2)
last=$(grep -o '"loss": [0-9.e-]*' "$work/four/metrics.jsonl" | tail -n 1 | cut -d' ' -f2)
awk -v a="$first" -v b="$last" 'BEGIN { exit !(b < 0.7 * a) }' || fail "loss from $first to $last"

run 0 train "${words[@]}" --max_steps 24 --base_bits 4 --num_threads 1 --output_dir "$work/one"
same_adapter "$work/four" "$work/one"
for family in ref avx2; do
    MANTISSA_KERNEL=$family "$mantissa" train "${words[@]}" --max_steps 24 --base_bits 4 \
        --num_threads 3 --output_dir "$work/$family" >"$work/out" 2>"$work/err" ||
        { grep -q "not possible here" "$work/err" && continue || fail "$family: $(cat "$work/err")"; }
    same_adapter "$work/four" "$work/$family"
done
run 0 train "${words[@]}" --max_steps 24 --base_bits 4 --save_steps 12 --output_dir "$work/whole"
cp -r "$work/whole" "$work/resumed"
rm -rf "$work/resumed/checkpoint-24" "$work/resumed/adapter_model.safetensors"
run 0 train "${words[@]}" --max_steps 24 --base_bits 4 --save_steps 12 \
    --resume_from_checkpoint last --output_dir "$work/resumed"
same_adapter "$work/four" "$work/resumed"

# eval: as trained; another base where that is asked for.
eval_four() { # OUT OPTIONS...
    run 0 eval --model_name_or_path "$base" --validation_file "$work/train.jsonl" \
        --adapter_name_or_path "$work/four" --output_dir "$@"
}
eval_four "$work/e4"
[ "$(loss_of "$work/e4")" = "$(loss_of "$work/four")" ] || fail "eval is not train's"
eval_four "$work/e16" --base_bits 16
[ "$(loss_of "$work/e16")" != "$(loss_of "$work/four")" ] || fail "--base_bits 16 is not obeyed"

refused() {
    local status=$1 text=$2
    shift 2
    rm -rf "$work/none"
    run "$status" "$@"
    [ "$(grep -c 'mantissa: error: ' "$work/err")" -eq 1 ] || fail "mantissa $*: not one error"
    [ "$(tail -n 1 "$work/err" | grep -cF -e "$text")" -eq 1 ] ||
        fail "mantissa $*: '$text' is not in the last line"
    [ ! -s "$work/out" ] || fail "mantissa $*: printed something on standard output"
    [ ! -e "$work/none/adapter_model.safetensors" ] || fail "mantissa $*: wrote an adapter"
}
refused 2 "--base_bits needs --method lora or dylora" train --model_name_or_path "$base" \
    --train_file "$work/train.jsonl" --base_bits 4 --output_dir "$work/none"
refused 2 "--base_bits 4 needs --exponent_group row" train "${words[@]}" --base_bits 4 \
    --exponent_group tensor --output_dir "$work/none"
refused 2 "--base_bits 4 needs --exponent_group row, found tensor" eval --model_name_or_path "$base" \
    --validation_file "$work/train.jsonl" --adapter_name_or_path "$work/four" --exponent_group tensor
refused 2 "--base_bits 4 needs --exponent_group row, found block" generate "$base" --prompt 1+1= \
    --adapter_name_or_path "$work/four" --exponent_group block
refused 2 "--base_bits 4 needs --exponent_group row, found block" info "$base" --method qlora \
    --exponent_group block
refused 2 "--base_bits 4 needs --adapter_name_or_path" eval --model_name_or_path "$base" \
    --validation_file "$work/train.jsonl" --base_bits 4
refused 2 "base_bits" train "${words[@]}" --base_bits 5 --output_dir "$work/none"
refused 2 "--method qlora contradicts --base_bits 16" train "${words[@]}" --method qlora \
    --base_bits 16 --output_dir "$work/none"

# Other names of the same.
run 0 train "${words[@]}" --max_steps 24 --method qlora --num_threads 2 --output_dir "$work/qlora"
same_adapter "$work/four" "$work/qlora"
for method in dylora qdylora; do
    run 0 train "${words[@]}" --max_steps 4 --method "$method" --base_bits 4 \
        --output_dir "$work/$method"
done
same_adapter "$work/dylora" "$work/qdylora"

# merge adds the adapter to the values that it learned beside.
loss_fp32() { # OUT MODEL OPTIONS...
    local out=$1
    shift
    run 0 eval --validation_file "$work/train.jsonl" --precision fp32 --output_dir "$out" \
        --model_name_or_path "$@"
    loss_of "$out"
}
run 0 merge "$base" --adapter_name_or_path "$work/four" --output_dir "$work/merged"
run 0 merge "$base" --adapter_name_or_path "$work/four" --base_bits 16 --output_dir "$work/merged16"
four=$(loss_fp32 "$work/f4" "$base" --adapter_name_or_path "$work/four")
merged=$(loss_fp32 "$work/fm" "$work/merged") merged16=$(loss_fp32 "$work/fm16" "$work/merged16")
awk -v a="$four" -v b="$merged" -v c="$merged16" 'BEGIN { d = b - a; e = c - a
    exit !(d * d < 1e-10 && e * e > 1e-8) }' || fail "merged: loss $four became $merged, or $merged16"

# An encoder with a head: predict takes the base as eval does.
task=$work/task
"$2/make_tiny_task" "$task"
base=$task/model
run 0 train --model_name_or_path "$base" --train_file "$task/train.tsv" --validation_file \
    "$task/dev.tsv" --max_seq_length 24 --max_steps 20 --learning_rate 5e-3 --method lora \
    --lora_r 4 --base_bits 4 --output_dir "$work/classes"
for bits in "" 4 16; do
    run 0 predict "$base" --adapter_name_or_path "$work/classes" --test_file "$task/dev.tsv" \
        ${bits:+--base_bits "$bits"}
    cp "$work/out" "$work/said$bits"
done
cmp "$work/said" "$work/said4" || fail "predict takes another base than train"
! cmp -s "$work/said" "$work/said16" || fail "--base_bits 16 is not obeyed by predict"
refused 2 "--base_bits 4 needs --adapter_name_or_path" predict "$base" --test_file "$task/dev.tsv" \
    --base_bits 4
for command in predict "eval --validation_file $task/dev.tsv"; do
    # shellcheck disable=SC2086
    refused 2 "found that of an adapter: give its model" $command \
        --model_name_or_path "$work/classes"
done
# Merged it is a model of floats, with the loss of base and adapter.
run 0 merge "$base" --adapter_name_or_path "$work/classes" --output_dir "$work/whole4"
! grep -q base_bits "$work/whole4/config.json" || fail "a merged model that says it is in 4 bits"
beside=$(run 0 eval "$base" --adapter_name_or_path "$work/classes" --validation_file \
    "$task/dev.tsv" --precision fp32 --output_dir "$work/ea" && loss_of "$work/ea")
merged=$(run 0 eval "$work/whole4" --validation_file "$task/dev.tsv" --precision fp32 \
    --output_dir "$work/em" && loss_of "$work/em")
awk -v a="$beside" -v b="$merged" 'BEGIN { exit !(a > 0 && (b - a) ^ 2 < 1e-10) }' ||
    fail "merged encoder: loss $beside became $merged"
