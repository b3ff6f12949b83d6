#!/usr/bin/env bash
# Language models from the command line: all parameters trained, or an adapter (--method lora) beside
# a model that stays as it is; its folder; resumption, threads and kernel families to the byte;
# evaluation; training on; what is refused.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base
"$2/make_tiny_task" --decoder "$base"
sums() { # FIRST LAST
    awk -v first="$1" -v last="$2" 'BEGIN { for (i = first; i <= last; i++) {
        a = i % 8; b = int(i / 8) % 8
        printf "{\"prompt\": \"%d+%d=\", \"completion\": \"%d\"}\n", a, b, a + b } }'
}
sums 0 63 >"$work/train.jsonl"
sums 8 23 >"$work/dev.jsonl"
words=(--model_name_or_path "$base" --train_file "$work/train.jsonl"
    --validation_file "$work/dev.jsonl" --max_seq_length 24 --per_device_train_batch_size 8
    --max_steps 24 --learning_rate 1e-2 --logging_steps 1 --num_threads 2)
lora=("${words[@]}" --method lora --lora_r 4 --lora_alpha 8)
before=$(cd "$base" && sha256sum ./*)
base_stays() {
    [ "$before" = "$(cd "$base" && sha256sum ./*)" ] || fail "the model's folder changed: $*"
}

# loss_of LOG STEPS: the mean of the last (first, if negative) so many training losses.
loss_of() {
    grep -o '"loss": [0-9.e-]*' "$1/metrics.jsonl" | cut -d' ' -f2 |
        if [ "$2" -lt 0 ]; then head -n "${2#-}"; else tail -n "$2"; fi |
        awk '{ sum += $1 } END { print sum / NR }'
}
falls() { # FOLDER RATIO: the loss falls to less than that part of what it was
    awk -v a="$(loss_of "$1" -4)" -v b="$(loss_of "$1" 4)" -v r="$2" 'BEGIN { exit !(b < r * a) }' ||
        fail "$1: the loss went from $(loss_of "$1" -4) to $(loss_of "$1" 4)"
}
# result FOLDER KEY: a number of eval_results.json.
result() {
    sed -nE "s/^ *\"$2\": ([0-9.e+-]+),?$/\1/p" "$1/eval_results.json"
}
# evaluated WORDS...: prints loss and accuracy of eval.
evaluated() {
    run 0 eval "$base" --validation_file "$work/dev.jsonl" --json "$@"
    sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$work/out"
}
same_adapter() { # A B
    cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" ||
        fail "$2: another adapter than $1"
}

# All parameters.
run 0 train "${words[@]}" --output_dir "$work/full"
falls "$work/full" 0.5
for file in config.json model.safetensors tokenizer.json; do
    [ -s "$work/full/$file" ] || fail "train did not write $file"
done
[ ! -e "$work/full/adapter_config.json" ] || fail "an adapter where none was asked for"
run 0 eval "$work/full" --validation_file "$work/dev.jsonl"
has out "eval_loss"
has out "eval_perplexity"
has out "eval_accuracy"
has out "eval_tokens"

# An adapter: PEFT's files, none of the model's.
run 0 train "${lora[@]}" --output_dir "$work/lora"
falls "$work/lora" 0.8
base_stays "after lora"
[ ! -e "$work/lora/model.safetensors" ] || fail "lora wrote the model"
[ ! -e "$work/lora/config.json" ] || fail "transformers would take the folder for a whole model"
for text in '"peft_type": "LORA"' '"r": 4' '"lora_alpha": 8' '"task_type": "CAUSAL_LM"' \
    '"use_rslora": false' "\"base_model_name_or_path\": \"$base\""; do
    has "$work/lora/adapter_config.json" "$text"
    has "$work/lora/checkpoint-24/adapter_config.json" "$text"
done
same_adapter "$work/lora" "$work/lora/checkpoint-24"
names() { # FOLDER: of its tensors
    head -c 20000 "$1/adapter_model.safetensors" | grep -ao 'base_model\.model\.[a-zA-Z0-9_.]*' | sort -u
}
[ "$(names "$work/lora" | wc -l)" -eq 28 ] || fail "tensors: $(names "$work/lora")"
run 0 train "${lora[@]}" --output_dir "$work/some" --target_modules q_proj,v_proj --use_rslora
[ "$(names "$work/some")" = "$(for l in 0 1; do for m in q v; do for x in A B; do
    echo "base_model.model.model.layers.$l.self_attn.${m}_proj.lora_$x.weight"; done; done; done)" ] ||
    fail "tensors: $(names "$work/some")"
has "$work/some/adapter_config.json" '"use_rslora": true'
has "$work/some/adapter_config.json" '"v_proj"'

# Adapters of some layers only, of other modules in each.
run 0 train "${lora[@]}" --output_dir "$work/few" --max_steps 4 \
    --target_modules layers.1.self_attn.q_proj,layers.1.self_attn.k_proj,layers.0.mlp.up_proj
[ "$(names "$work/few" | wc -l)" -eq 6 ] || fail "tensors: $(names "$work/few")"

# eval computes what train's last evaluation did, in the format of the training.
case=0
while read -ra more; do
    case=$((case + 1))
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/eval$case"
    [ "$(evaluated --adapter_name_or_path "$work/eval$case")" = \
        "$(result "$work/eval$case" eval_loss)" ] || fail "eval is not train's: ${more[*]}"
    [ ! -s "$work/err" ] || ! grep -q "does not say" "$work/err" || fail "${more[*]}: a note"
done <<'END'
--precision int8 --exponent_group block
--precision int12 --use_rslora
--precision fp32
--precision int8 --outliers feature --outlier_threshold 2
--precision int8 --scales power_of_two --attention_bits 8
--precision int8 --outliers feature
END
# Number formats that are a language model's own: stored, and used where they are not given.
for text in '"scales": "largest"' '"attention_bits": 11' '"outlier_threshold": 2.5' '"outlier_weight_bits": 12'; do
    has "$work/eval6/mantissa_config.json" "$text"
done
for text in '"scales": "power_of_two"' '"attention_bits": 8'; do
    has "$work/eval5/mantissa_config.json" "$text"
done
run 0 info "$base" --json
has out '"scales": "largest"'
has out '"attention_bits": 11'
run 0 train "${lora[@]}" --scales largest --attention_bits 11 --output_dir "$work/said"
same_adapter "$work/lora" "$work/said"
run 0 train "${lora[@]}" --scales power_of_two --output_dir "$work/powers"
! cmp -s "$work/lora/adapter_model.safetensors" "$work/powers/adapter_model.safetensors" ||
    fail "--scales makes no difference"
[ "$(evaluated)" != "$(evaluated --adapter_name_or_path "$work/lora")" ] ||
    fail "the adapter makes no difference"
rm "$work/eval1/mantissa_config.json" # as a folder of PEFT itself
run 0 eval "$base" --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/eval1"
has err "does not say how it was trained"

# Outliers are told apart without being asked for, in integers; the folder keeps what was done.
run 0 train "${lora[@]}" --output_dir "$work/auto"
has err "note: outliers: "
run 0 train "${lora[@]}" --output_dir "$work/told" --outliers feature
same_adapter "$work/auto" "$work/told"
cmp "$work/auto/mantissa_config.json" "$work/told/mantissa_config.json" || fail "auto is not feature"
run 0 train "${lora[@]}" --output_dir "$work/untold" --outliers none
! grep -q "outliers: " "$work/err" || fail "--outliers none tells outliers apart"
has "$work/untold/mantissa_config.json" '"outliers": "none"'
[ "$(evaluated --adapter_name_or_path "$work/untold")" = "$(result "$work/untold" eval_loss)" ] ||
    fail "eval is not train's: --outliers none"
! grep -q "outliers: " "$work/err" || fail "eval tells outliers apart that train did not"
run 0 train "${lora[@]}" --output_dir "$work/floats" --precision fp32
! grep -q '"outliers' "$work/floats/mantissa_config.json" || fail "outliers in fp32"
run 0 eval "$base" --validation_file "$work/dev.jsonl" --precision int8
has err "has no lists of outliers: they are found in the rows of this run"

# A part of the ranks: with use_rslora scaled by alpha / sqrt(rank), as by a folder of that part.
run 0 eval "$base" --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/some" --rank 2
[ "$(evaluated --adapter_name_or_path "$work/some")" = \
    "$(evaluated --adapter_name_or_path "$work/some" --rank 4)" ] || fail "all ranks of rsLoRA"

# Dropout, drawn ranks, weighted ranks: the same bytes.
for more in "--lora_dropout 0.2" "--method dylora --ranks 1,2,4 --dylora_update last" \
    "--method dylora --rank_weighting matryoshka --lora_alpha 1 --lora_dropout 0.1"; do
    read -ra more <<<"$more"
    rm -rf "$work"/same*
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/same" --save_steps 16
    ! cmp -s "$work/same/adapter_model.safetensors" "$work/lora/adapter_model.safetensors" ||
        fail "${more[*]} changes nothing"
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/same3" --num_threads 3 \
        --gradient_checkpointing
    same_adapter "$work/same" "$work/same3"
    MANTISSA_KERNEL=ref run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/same_ref"
    same_adapter "$work/same" "$work/same_ref"
    cp -r "$work/same" "$work/same_parts"
    rm -r "$work/same_parts/checkpoint-24" "$work/same_parts/adapter_model.safetensors"
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/same_parts" --save_steps 16 \
        --resume_from_checkpoint last
    same_adapter "$work/same" "$work/same_parts"
done

# Threads, families, recomputation: the same bytes.
run 0 train "${lora[@]}" --output_dir "$work/one" --num_threads 1
same_adapter "$work/lora" "$work/one"
run 0 train "${lora[@]}" --output_dir "$work/three" --num_threads 3
same_adapter "$work/lora" "$work/three"
run 0 train "${lora[@]}" --output_dir "$work/again" --gradient_checkpointing
same_adapter "$work/lora" "$work/again"
MANTISSA_KERNEL=ref run 0 train "${lora[@]}" --output_dir "$work/ref"
same_adapter "$work/lora" "$work/ref"
MANTISSA_KERNEL=ref run 0 train "${words[@]}" --output_dir "$work/ref_full" --num_threads 3
cmp "$work/full/model.safetensors" "$work/ref_full/model.safetensors" || fail "families differ"

# Resumption: from a checkpoint, and after SIGKILL.
run 0 train "${lora[@]}" --output_dir "$work/parts" --save_steps 10
rm -r "$work/parts/checkpoint-20" "$work/parts/checkpoint-24" "$work/parts/adapter_model.safetensors"
run 0 train "${lora[@]}" --output_dir "$work/parts" --save_steps 10 --resume_from_checkpoint last
same_adapter "$work/lora" "$work/parts"
for more in "" "--precision int8 --outliers feature --outlier_threshold 2 --optim sgd" \
    "--gradient_accumulation_steps 2 --gradient_checkpointing"; do
    read -ra more <<<"$more"
    rm -rf "$work/whole" "$work/killed"
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/whole" --save_steps 1
    "$mantissa" train "${lora[@]}" "${more[@]}" --output_dir "$work/killed" --save_steps 1 \
        >"$work/out" 2>"$work/err" &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        [ ! -e "$work/killed/checkpoint-5" ] || { kill -KILL "$job" 2>/dev/null || true; break; }
    done
    wait "$job" 2>/dev/null || true
    run 0 train "${lora[@]}" "${more[@]}" --output_dir "$work/killed" --save_steps 1 \
        --resume_from_checkpoint last
    same_adapter "$work/whole" "$work/killed"
    same_adapter "$work/whole/checkpoint-24" "$work/killed/checkpoint-24"
done
base_stays "after resumption"

# The best adapter is the one that is kept, with its evaluation.
run 0 train "${lora[@]}" --output_dir "$work/best" --learning_rate 0.3 --eval_strategy steps \
    --eval_steps 4 --save_steps 4 --load_best_model_at_end --metric_for_best_model eval_loss \
    --lr_scheduler_type constant
best=$(sed -nE 's/.*"best_model_checkpoint": ".*(checkpoint-[0-9]+)".*/\1/p' \
    "$work/best/trainer_state.json")
[ -n "$best" ] && [ "$best" != checkpoint-24 ] || fail "the best is '$best', not one before the last"
same_adapter "$work/best/$best" "$work/best"
[ "$(evaluated --adapter_name_or_path "$work/best")" = "$(result "$work/best" eval_loss)" ] ||
    fail "the last evaluation is not of the best adapter"

# Training goes on from an adapter, with its rank and names, not those of the options.
run 0 train "${words[@]}" --method lora --adapter_name_or_path "$work/some" --output_dir "$work/on"
[ "$(names "$work/on")" = "$(names "$work/some")" ] || fail "other tensors: $(names "$work/on")"
has "$work/on/adapter_config.json" '"r": 4'
has "$work/on/adapter_config.json" '"use_rslora": true'
! cmp -s "$work/on/adapter_model.safetensors" "$work/some/adapter_model.safetensors" ||
    fail "nothing was trained"
awk -v a="$(loss_of "$work/some" -4)" -v b="$(loss_of "$work/on" -4)" 'BEGIN { exit !(b < a) }' ||
    fail "it began anew"
base_stays "after training on"

# ------------------------------------------------------------------------------------- errors ---

# refused STATUS TEXT WORDS...: one line of error behind notes and progress, and no result.
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
bad=("${lora[@]}" --output_dir "$work/none")
refused 2 "--adapter_name_or_path needs --method lora" train "${words[@]}" \
    --output_dir "$work/none" --adapter_name_or_path "$work/lora"
refused 2 'found "nothing", which none ends in' train "${bad[@]}" --target_modules nothing
refused 2 'found "vproj", which none ends in' train "${bad[@]}" --target_modules q_proj,vproj
refused 2 "--target_modules" train "${bad[@]}" --target_modules ""
refused 1 "a language model gives no labels or answers to predict" predict "$work/full" \
    --test_file "$work/dev.jsonl"
refused 2 "option --text_column_names: a language model" train "${bad[@]}" --text_column_names body
refused 2 "option --do_regression: a language model" train "${bad[@]}" --do_regression
refused 2 "--test_file" train "${bad[@]}" --do_predict --test_file "$work/dev.jsonl"
refused 1 "adapter_config.json" eval "$base" --validation_file "$work/dev.jsonl" \
    --adapter_name_or_path "$work/full"
refused 1 "nowhere/adapter_config.json" train "${bad[@]}" --adapter_name_or_path "$work/nowhere"
printf '{"sentence": "x"}\n' >"$work/columns.jsonl"
refused 1 "expected columns messages; prompt and completion" train "${bad[@]}" \
    --train_file "$work/columns.jsonl"
cp -r "$work/lora" "$work/other"
sed -i 's/"r": 4/"r": 2/' "$work/other/adapter_config.json"
for command in "eval $base" "train ${bad[*]}"; do
    read -ra command <<<"$command"
    refused 1 "expected shape [2, 40], found 2 dimensions, the first 4" "${command[@]}" \
        --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/other"
done
cp "$work/lora/adapter_config.json" "$work/other/"
cp "$work/some/adapter_model.safetensors" "$work/other/" # of fewer layers
refused 1 "no tensor base_model.model.model.layers.0." eval "$base" \
    --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/other"
head -c 1000 "$work/lora/adapter_model.safetensors" >"$work/other/adapter_model.safetensors"
refused 1 "adapter_model.safetensors" eval "$base" --validation_file "$work/dev.jsonl" \
    --adapter_name_or_path "$work/other"
sed -i 's/"use_rslora": false/"use_rslora": false, "use_dora": true/' \
    "$work/other/adapter_config.json"
refused 1 "use_dora is not supported" eval "$base" --validation_file "$work/dev.jsonl" \
    --adapter_name_or_path "$work/other"
refused 2 "has 4 ranks, found 5" eval "$base" --validation_file "$work/dev.jsonl" \
    --adapter_name_or_path "$work/lora" --rank 5
refused 2 "the adapter to start from" train "${lora[@]}" --output_dir "$work/lora" \
    --overwrite_output_dir --adapter_name_or_path "$work/lora"
refused 2 "the model to start from" train "${lora[@]}" --output_dir "$base"
cp -r "$base" "$work/shallow" # another model: of one layer
sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 1/' "$work/shallow/config.json"
refused 1 "expected 14 tensors, found 28" eval "$work/shallow" \
    --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/lora"
base_stays "after errors"
