#!/usr/bin/env bash
# Language models in 4 bits: quantize, and every command that opens what it writes.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base
"$2/make_tiny_task" --decoder "$base"
for i in {0..31}; do
    echo "{\"prompt\": \"$((i % 8))+$((i / 8))=\", \"completion\": \"$((i % 8 + i / 8))\"}"
done >"$work/rows.jsonl"
before=$(cd "$base" && sha256sum ./*)

# evaluated FOLDER: its loss, in fp32.
evaluated() {
    run 0 eval "$1" --validation_file "$work/rows.jsonl" --precision fp32 --num_threads 1 --json
    sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$work/out"
}

run 0 quantize "$base" --output_dir "$work/four"
has err "the quantized model is in $work/four"
[ ! -s "$work/out" ] || fail "quantize printed something on standard output"
[ ! -e "$work/four.partial" ] || fail "a folder of the making is left"
[ "$before" = "$(cd "$base" && sha256sum ./*)" ] || fail "quantize changed what it read"
has "$work/four/config.json" '"quant_method": "bitsandbytes"'
cmp "$base/tokenizer.json" "$work/four/tokenizer.json"
run 0 quantize --model_name_or_path "$base" --output_dir "$work/shards" --max_shard_size 20KB
[ -e "$work/shards/model.safetensors.index.json" ] || fail "no index of shards"

# What the 4 bits lose is little, and the same in one file and in several.
loss=$(evaluated "$base") four=$(evaluated "$work/four")
[ "$four" != "$loss" ] || fail "4 bits lose nothing"
[ "$four" = "$(evaluated "$work/shards")" ] || fail "another loss from shards"
awk -v a="$loss" -v b="$four" 'BEGIN { exit !(b > a - 0.2 && b < a + 0.2) }' ||
    fail "loss $loss became $four"

# The other commands.
run 0 info "$work/four"
grep -qE '^matrices in nf4 +14$' "$work/out" || fail "info does not say what is in 4 bits"
run 0 tokenize "$work/four" --output "$work/tokens" --input "$base/config.json"
words=(--model_name_or_path "$work/four" --train_file "$work/rows.jsonl" --max_seq_length 24
    --max_steps 6 --per_device_train_batch_size 8 --learning_rate 1e-2 --logging_steps 1)
sums=$(cd "$work/four" && sha256sum ./*)
for threads in 1 3; do
    run 0 train "${words[@]}" --method lora --lora_r 4 --num_threads "$threads" \
        --output_dir "$work/lora$threads"
done
cmp "$work/lora1/adapter_model.safetensors" "$work/lora3/adapter_model.safetensors"
[ "$sums" = "$(cd "$work/four" && sha256sum ./*)" ] || fail "training changed the 4-bit folder"
has "$work/lora1/mantissa_config.json" '"base_bits": "4"'
run 0 train "${words[@]}" --method qlora --lora_r 4 --output_dir "$work/qlora"
cmp "$work/lora1/adapter_model.safetensors" "$work/qlora/adapter_model.safetensors"
run 0 train "${words[@]}" --method lora --lora_r 4 --save_steps 3 --output_dir "$work/whole"
rm -rf "$work/whole/checkpoint-6" "$work/whole/adapter_model.safetensors"
run 0 train "${words[@]}" --method lora --lora_r 4 --save_steps 3 --resume_from_checkpoint last \
    --output_dir "$work/whole"
cmp "$work/lora1/adapter_model.safetensors" "$work/whole/adapter_model.safetensors"
# The merged folder has floats, and the loss of base and adapter.
run 0 eval "$work/four" --adapter_name_or_path "$work/lora1" --validation_file "$work/rows.jsonl" \
    --precision fp32 --json
beside=$(sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$work/out")
run 0 merge "$work/four" --adapter_name_or_path "$work/lora1" --dtype float32 \
    --output_dir "$work/merged"
! grep -q quantization_config "$work/merged/config.json" || fail "floats that say they are quantized"
merged=$(evaluated "$work/merged")
awk -v a="$beside" -v b="$merged" 'BEGIN { exit !((b - a) ^ 2 < 1e-10) }' ||
    fail "merged: loss $beside became $merged"
# All parameters: what is written is not in 4 bits, and does not say so.
run 0 train "${words[@]}" --num_threads 2 --output_dir "$work/full"
! grep -q quantization_config "$work/full/config.json" || fail "floats that say they are quantized"
run 0 eval "$work/full" --validation_file "$work/rows.jsonl"

# Stopped by a signal at whatever time, it goes on to the same folder.
for delay in 0.01 0.03 0.1; do
    rm -rf "$work/again" "$work/again.partial"
    (timeout -s KILL "$delay" "$mantissa" quantize "$base" --output_dir "$work/again" \
        --max_shard_size 20KB >"$work/out" 2>"$work/err" </dev/null || true) 2>/dev/null
    [ -e "$work/again" ] ||
        run 0 quantize "$base" --output_dir "$work/again" --max_shard_size 20KB
    diff -r "$work/again" "$work/shards" || fail "another folder after a kill"
done

# What is refused.
refuse 2 "--model_name_or_path is missing: the model to quantize" quantize --output_dir "$work/x"
refuse 2 "--output_dir is missing" quantize "$base"
refuse 2 "option --max_shard_size: expected a size, e.g. 5GB, 500MB or 2GiB, found 'much'" \
    quantize "$base" --output_dir "$work/x" --max_shard_size much
refuse 2 "already holds" quantize "$base" --output_dir "$work/four"
refuse 2 "--seed has no effect in 'mantissa quantize'" quantize "$base" --output_dir "$work/x" --seed 1
refuse 1 "is quantized already" quantize "$work/four" --output_dir "$work/x"
refuse 1 "no such folder" quantize "$work/nowhere" --output_dir "$work/x"
"$2/make_tiny_task" "$work/task"
refuse 1 "expected a language model, found bert" quantize "$work/task/model" --output_dir "$work/x"

# Folders that others quantized, in other ways.
other() { # OLD NEW: config.json of the 4-bit folder with one value changed
    rm -rf "$work/other"
    cp -r "$work/four" "$work/other"
    sed -i "s/$1/$2/" "$work/other/config.json"
}
other '"bnb_4bit_quant_type": "nf4"' '"bnb_4bit_quant_type": "fp4"'
refuse 1 "bnb_4bit_quant_type: of quantized checkpoints only NF4 of bitsandbytes is supported: \
expected nf4, found fp4" eval "$work/other" --validation_file "$work/rows.jsonl"
other '"load_in_8bit": false' '"load_in_8bit": true'
refuse 1 "not LLM.int8()" eval "$work/other" --validation_file "$work/rows.jsonl"
other '"bitsandbytes"' '"gptq"'
refuse 1 "expected bitsandbytes, found gptq" info "$work/other"
rm -rf "$work/other"
cp -r "$work/four" "$work/other"
sed -i 's/"blocksize": 64/"blocksize": 32/' "$work/other/model.safetensors"
refuse 1 "blocksize: expected 64, found 32" info "$work/other"
[ ! -e "$work/x" ] && [ ! -e "$work/x.partial" ] || fail "something was left of what was refused"
