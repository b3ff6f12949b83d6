#!/usr/bin/env bash
# ModernBERT: train, eval, predict and info with heads for classes, scores, answers and tags; adapters;
# the same bytes from any number of threads, with recomputation and from where a run was stopped;
# what is refused.  gates/check_modernbert.py compares with transformers and PEFT.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
base=$work/base
"$tools/make_tiny_task" --modernbert "$base"
data=(--model_name_or_path "$base" --train_file "$task/train.tsv" --validation_file "$task/dev.tsv"
    --max_seq_length 64 --per_device_train_batch_size 4 --max_steps 20 --learning_rate 3e-3
    --logging_steps 1 --num_threads 2 --save_strategy no)

result() { # FOLDER KEY
    sed -nE "s/^ *\"$2\": ([0-9.e+-]+),?$/\1/p" "$1/eval_results.json"
}
same_weights() { # A B
    local name=model.safetensors
    [ -e "$1/$name" ] || name=adapter_model.safetensors
    cmp "$1/$name" "$2/$name" || fail "$2: another $name than $1"
}

# ---- info
run 0 info "$base"
has out "ModernBertForSequenceClassification"
has out "positions                        96"

# ---- each head: train, then eval says what train said, and predict gives a row for each
for head in classes score answers tags; do
    words=("${data[@]}") file=$task/dev.tsv
    [ "$head" != score ] || words+=(--train_file "$task/score.tsv" --validation_file "$task/score.tsv")
    [ "$head" != score ] || file=$task/score.tsv
    [ "$head" != answers ] || words+=(--train_file "$task/questions.json"
        --validation_file "$task/dev.json" --doc_stride 6 --max_seq_length 80 --task_name squad_v2
        --version_2_with_negative)
    [ "$head" != answers ] || file=$task/dev.json
    [ "$head" != tags ] || words+=(--train_file "$task/train.conll" --validation_file "$task/dev.conll")
    [ "$head" != tags ] || file=$task/dev.conll
    for method in full lora; do
        out=$work/$head.$method
        more=() adapter=() model=$out
        [ "$method" = full ] || more=(--method lora --lora_r 4 --lora_alpha 8)
        run 0 train "${words[@]}" "${more[@]}" --output_dir "$out"
        [ "$method" = full ] || model=$base
        [ "$method" = full ] || adapter=(--adapter_name_or_path "$out")
        run 0 eval "$model" "${adapter[@]}" --validation_file "$file" --json
        told=$(sed -nE 's/.*"eval_(loss|f1)": ([0-9.e+-]+).*/\2/p' "$work/out" | head -n 1)
        [ -n "$told" ] || fail "eval said nothing of $head"
        [ "$told" = "$(result "$out" eval_loss)" ] || [ "$told" = "$(result "$out" eval_f1)" ] ||
            fail "$head, $method: eval is not train's"
        run 0 predict "$model" "${adapter[@]}" --test_file "$file"
        [ "$(wc -l <"$work/out")" -ge 20 ] || fail "$head, $method: few predictions"
    done
done
[ ! -e "$work/classes.lora/model.safetensors" ] || fail "lora wrote a model"
for name in layers.0.attn.Wqkv layers.2.attn.Wo layers.1.mlp.Wi layers.2.mlp.Wo; do
    has "$work/classes.lora/adapter_model.safetensors" "base_model.model.model.$name.lora_A.weight"
done
has "$work/classes.lora/adapter_model.safetensors" "base_model.model.head.dense.lora_B.weight"
for text in '"Wqkv"' '"Wi"' '"Wo"' '"dense"' '"classifier"'; do
    has "$work/answers.lora/adapter_config.json" "$text"
done
has "$work/answers.full/config.json" '"ModernBertForQuestionAnswering"'
has "$work/tags.full/config.json" '"ModernBertForTokenClassification"'
has "$work/tags.lora/adapter_config.json" '"TOKEN_CLS"'
for name in classifier.weight head.dense.lora_A.weight; do
    has "$work/tags.lora/adapter_model.safetensors" "base_model.model.$name"
done

# ---- the same bytes: threads, families, recomputation, resumption; with every dropout
cases=("" "--method lora --lora_dropout 0.1 --precision int12"
    "--method dylora --ranks 1,2,4 --lora_r 4" "--outliers none --exponent_group block")
sanitized && cases=("")
for case in "${cases[@]}"; do
    read -ra more <<<"$case"
    words=("${data[@]}" --gradient_accumulation_steps 2 "${more[@]}")
    rm -rf "$work"/same*
    run 0 train "${words[@]}" --output_dir "$work/same" --save_strategy steps --save_steps 8
    run 0 train "${words[@]}" --output_dir "$work/same1" --num_threads 1
    same_weights "$work/same" "$work/same1"
    run 0 train "${words[@]}" --output_dir "$work/same3" --num_threads 3 --gradient_checkpointing
    same_weights "$work/same" "$work/same3"
    MANTISSA_KERNEL=ref run 0 train "${words[@]}" --output_dir "$work/same_ref"
    same_weights "$work/same" "$work/same_ref"
    cp -r "$work/same" "$work/same_parts"
    rm -rf "$work/same_parts/checkpoint-16" "$work/same_parts/checkpoint-20" \
        "$work/same_parts"/*model.safetensors
    run 0 train "${words[@]}" --output_dir "$work/same_parts" --save_strategy steps --save_steps 8 \
        --resume_from_checkpoint last
    same_weights "$work/same" "$work/same_parts"
done

# ---- dropout of the configuration is that of training, each by itself; options say another
run 0 train "${data[@]}" --output_dir "$work/drop"
for key in mlp_dropout attention_dropout embedding_dropout classifier_dropout; do
    rm -rf "$work/other" "$work/drop_other"
    cp -r "$base" "$work/other"
    sed -i "s/\"$key\": 0.1/\"$key\": 0.2/" "$work/other/config.json"
    run 0 train "${data[@]}" --model_name_or_path "$work/other" --output_dir "$work/drop_other"
    ! cmp -s "$work/drop/model.safetensors" "$work/drop_other/model.safetensors" ||
        fail "$key is not heard"
done
run 0 train "${data[@]}" --output_dir "$work/drop_none" --hidden_dropout 0.1 --attention_dropout 0.1 \
    --classifier_dropout 0.1
same_weights "$work/drop" "$work/drop_none"

# ---- refused
while IFS='|' read -r change text; do
    rm -rf "$work/bad"
    cp -r "$base" "$work/bad"
    sed -i "s/\"model_type\"/$change, \"model_type\"/" "$work/bad/config.json"
    refuse 1 "$text" train "${data[@]}" --model_name_or_path "$work/bad" --output_dir "$work/no"
done <<'END'
"classifier_pooling": "max"|classifier_pooling: expected cls or mean, found "max"
"rope_scaling": {"type": "linear", "factor": 2}|rope_scaling: expected null, found
"sliding_window": 8|sliding_window: expected null, found
"layer_types": ["full_attention"]|layer_types: expected an array of 3
"hidden_activation": "mish"|hidden_activation
"norm_eps": 5|norm_eps
END
