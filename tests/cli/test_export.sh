#!/usr/bin/env bash
# What goes out of an adapter: `export` of its first ranks as PEFT's folder and as a GGUF file, and
# `merge`; each evaluates as the adapter does.  Outputs are complete or not there; what is refused.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base adapter=$work/adapter
"$2/make_tiny_task" --decoder "$base"
awk 'BEGIN { for (i = 0; i < 64; i++) { a = i % 8; b = int(i / 8)
    printf "{\"prompt\": \"%d+%d=\", \"completion\": \"%d\"}\n", a, b, a + b } }' >"$work/rows.jsonl"
words=(--model_name_or_path "$base" --train_file "$work/rows.jsonl" --max_seq_length 24
    --max_steps 16 --learning_rate 1e-2 --lora_r 4 --lora_alpha 8 --save_strategy no
    --num_threads 1 --precision fp32)
run 0 train "${words[@]}" --method dylora --output_dir "$adapter"
run 0 train "${words[@]}" --method lora --use_rslora --output_dir "$work/root"

# loss_of MODEL WORDS...: prints eval's loss in fp32, to six digits.
loss_of() {
    run 0 eval "$1" --validation_file "$work/rows.jsonl" --precision fp32 --max_seq_length 24 \
        --json "${@:2}"
    sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$work/out" | xargs printf '%.5f\n'
}
same_loss() { # WHAT A B
    awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a - b < 2e-5 && b - a < 2e-5) }' ||
        fail "$1: loss $2, expected $3"
}
# files_are FOLDER NAMES...
files_are() {
    [ "$(cd "$1" && echo *)" = "${*:2}" ] || fail "$1: $(cd "$1" && echo *)"
}

# ------------------------------------------------------------------------------------- export ---

plain=$(loss_of "$base")
for rank in 1 3 4; do
    expected=$(loss_of "$base" --adapter_name_or_path "$adapter" --rank "$rank")
    [ "$expected" != "$plain" ] || fail "the adapter makes no difference"
    run 0 export --adapter_name_or_path "$adapter" --rank "$rank" --output_dir "$work/e$rank"
    has err "the adapter is in $work/e$rank"
    [ ! -s "$work/out" ] || fail "export printed something on standard output"
    files_are "$work/e$rank" adapter_config.json adapter_model.safetensors mantissa_config.json \
        tokenizer.json
    has "$work/e$rank/adapter_config.json" "\"r\": $rank"
    has "$work/e$rank/adapter_config.json" '"lora_alpha": 8'
    same_loss "rank $rank" \
        "$(loss_of "$base" --adapter_name_or_path "$work/e$rank")" "$expected"
    run 0 merge --model_name_or_path "$base" --adapter_name_or_path "$adapter" --rank "$rank" \
        --output_dir "$work/m$rank"
    has err "the merged model is in $work/m$rank"
    files_are "$work/m$rank" config.json model.safetensors tokenizer.json
    same_loss "merged, rank $rank" "$(loss_of "$work/m$rank")" "$expected"
done
run 0 export --adapter_name_or_path "$adapter" --output_dir "$work/whole/"
cmp "$work/whole/adapter_model.safetensors" "$adapter/adapter_model.safetensors" ||
    fail "all ranks are not the adapter itself"
cmp "$work/whole/adapter_model.safetensors" "$work/e4/adapter_model.safetensors" || fail "--rank 4"
mkdir "$work/empty" # is taken
run 0 export --adapter_name_or_path "$work/e3" --rank 1 --output_dir "$work/empty"
cmp "$work/empty/adapter_model.safetensors" "$work/e1/adapter_model.safetensors" ||
    fail "a rank of an export is another"

# rsLoRA: its scale stays.
for rank in 4 2; do
    expected=$(loss_of "$base" --adapter_name_or_path "$work/root" --rank "$rank")
    run 0 export --adapter_name_or_path "$work/root" --output_dir "$work/r$rank" --rank "$rank"
    same_loss "rsLoRA, $rank" "$(loss_of "$base" --adapter_name_or_path "$work/r$rank")" "$expected"
done
expected=$(loss_of "$base" --adapter_name_or_path "$work/root")
run 0 export --adapter_name_or_path "$work/root" --output_dir "$work/root_out"
has "$work/root_out/adapter_config.json" '"use_rslora": true'
same_loss rsLoRA "$(loss_of "$base" --adapter_name_or_path "$work/root_out")" "$expected"
# A part of its ranks is scaled by alpha / sqrt(rank): what --rank_weighting matryoshka trains.
run 0 export --adapter_name_or_path "$work/root" --output_dir "$work/root2" --rank 2
same_loss "rsLoRA, rank 2" "$(loss_of "$base" --adapter_name_or_path "$work/root2")" \
    "$(loss_of "$base" --adapter_name_or_path "$work/root" --rank 2)"
run 0 merge --model_name_or_path "$base" --adapter_name_or_path "$work/root" --output_dir \
    "$work/root2_merged" --rank 2 --torch_dtype float32
same_loss "rsLoRA, rank 2, merged" "$(loss_of "$work/root2_merged")" \
    "$(loss_of "$base" --adapter_name_or_path "$work/root" --rank 2)"
run 0 merge --model_name_or_path "$base" --adapter_name_or_path "$work/root" --output_dir \
    "$work/root_merged" --max_shard_size 50KB --torch_dtype float32
[ -e "$work/root_merged/model.safetensors.index.json" ] || fail "no index of shards"
same_loss "rsLoRA, merged" "$(loss_of "$work/root_merged")" "$expected"

# GGUF: the base's order of rows is known from the folder, or from the model that is given.
run 0 export --adapter_name_or_path "$adapter" --rank 2 --output_dir "$work/new/x.gguf"
files_are "$work/new" x.gguf
run 0 export --adapter_name_or_path "$adapter" --rank 2 --output_dir "$work/g" --format gguf \
    --model_name_or_path "$base"
files_are "$work/g" adapter_model.gguf
cmp "$work/new/x.gguf" "$work/g/adapter_model.gguf" || fail "the two forms of GGUF output differ"
cp -r "$adapter" "$work/by_peft"
rm "$work/by_peft/mantissa_config.json"
run 0 export --adapter_name_or_path "$work/by_peft" --rank 2 --output_dir "$work/y.gguf"
cmp "$work/new/x.gguf" "$work/y.gguf" || fail "the base that the adapter names gives another file"
run 0 info "$work/y.gguf"
has out "adapter"

# bfloat16 has half the bytes.
run 0 merge --model_name_or_path "$base" --adapter_name_or_path "$adapter" --dtype bfloat16 \
    --output_dir "$work/half"
has "$work/half/config.json" '"dtype": "bfloat16"'
run 0 eval "$work/half" --validation_file "$work/rows.jsonl" --max_seq_length 24
[ "$(stat -c %s "$work/half/model.safetensors")" -lt \
    $(($(stat -c %s "$work/m4/model.safetensors") * 55 / 100)) ] || fail "bfloat16 is not smaller"

# ------------------------------------------------------------------------------------- errors ---

before=$(cd "$work" && find . -type f ! -name out ! -name err -exec sha256sum {} + | sort)
out=(--output_dir "$work/none")
from=(--adapter_name_or_path "$adapter")
both=("${from[@]}" --model_name_or_path "$base")
refuse 2 "option --rank: expected 1 to 4096, found 0" export "${from[@]}" "${out[@]}" --rank 0
refuse 2 "option --rank: expected 1 to 4096, found 0" merge "${both[@]}" "${out[@]}" --rank=0
refuse 2 "has 4 ranks, found 5" export "${from[@]}" "${out[@]}" --rank 5
refuse 2 "has 4 ranks, found 5" merge "${both[@]}" "${out[@]}" --rank 5
refuse 2 "--adapter_name_or_path is missing" export "${out[@]}"
refuse 2 "--adapter_name_or_path is missing" merge "${out[@]}" --model_name_or_path "$base"
refuse 2 "--output_dir is missing" export "${from[@]}"
refuse 2 "--model_name_or_path is missing" merge "${from[@]}" "${out[@]}"
refuse 2 "--format peft contradicts" export "${from[@]}" --output_dir "$work/none.gguf" --format peft
refuse 2 "expected one of peft|gguf, found 'safetensors'" export "${from[@]}" "${out[@]}" \
    --format safetensors
refuse 2 "expected one of auto|float32|bfloat16|float16, found 'int8'" merge "${both[@]}" \
    "${out[@]}" --dtype int8
refuse 2 "expected a size, e.g. 5GB" merge "${both[@]}" "${out[@]}" --max_shard_size much
refuse 2 "has no effect in 'mantissa export'" export "${from[@]}" "${out[@]}" --dtype float32
refuse 2 "$work/e1 already holds adapter_config.json" export "${from[@]}" --output_dir "$work/e1"
refuse 2 "already holds" export "${from[@]}" --output_dir "$adapter"
refuse 2 "already holds" merge "${both[@]}" --output_dir "$base"
refuse 2 "already holds" merge "${both[@]}" --output_dir "$work/m1/"
refuse 2 "expected a folder or nothing, found a file" merge "${both[@]}" --output_dir "$work/y.gguf"
refuse 2 "$work/y.gguf is already there" export "${from[@]}" --output_dir "$work/y.gguf"
refuse 1 "none/adapter_config.json" export --adapter_name_or_path "$work/none" "${out[@]}"
refuse 1 "$work/nowhere: no such folder" merge "${from[@]}" --model_name_or_path "$work/nowhere" \
    "${out[@]}"
refuse 1 "config.json" export "${from[@]}" --output_dir "$work/none.gguf" --model_name_or_path "$work/e1"

# An adapter of another base: fewer layers; a layer of another width; heads of another number.
cp -r "$base" "$work/other"
refuse_other() { # TEXT
    refuse 1 "$1" merge "${from[@]}" --model_name_or_path "$work/other" "${out[@]}"
    has err "an adapter of another base"
}
"$2/make_tiny_task" "$work/task"
cp "$work/task/model/model.safetensors" "$work/other/"
refuse_other "module model.layers.0.mlp.down_proj is not in $work/other"
cp -r "$base" "$work/narrow"
sed -i 's/"num_attention_heads": 4/"num_attention_heads": 7/; s/"num_key_value_heads": 2/"num_key_value_heads": 7/' \
    "$work/narrow/config.json"
refuse 1 "expected outputs that are 7 heads" export "${from[@]}" --output_dir "$work/none.gguf" \
    --model_name_or_path "$work/narrow"
has err "an adapter of another base"
cp "$work/e1/adapter_model.safetensors" "$work/by_peft/" # of rank 1, where r is 4
refuse 1 "as r in adapter_config.json" export --adapter_name_or_path "$work/by_peft" "${out[@]}"
head -c 700 "$adapter/adapter_model.safetensors" >"$work/by_peft/adapter_model.safetensors"
refuse 1 "by_peft/adapter_model.safetensors" merge --adapter_name_or_path "$work/by_peft" \
    --model_name_or_path "$base" "${out[@]}"
rm -r "$work/other" "$work/narrow" "$work/task" "$work/by_peft"
[ "$(grep -v '\./by_peft/' <<<"$before")" = \
    "$(cd "$work" && find . -type f ! -name out ! -name err -exec sha256sum {} + | sort)" ] ||
    fail "an error left or changed a file"
[ "$(find "$work" -name '*tmp*')" = "" ] || fail "left behind: $(find "$work" -name '*tmp*')"
