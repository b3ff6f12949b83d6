#!/usr/bin/env bash
# RoBERTa, DistilBERT and ELECTRA as BERT's tests have it: training, evaluation, prediction, info,
# adapters, export and merge; the same bytes from all threads and kernel families, after a stop and
# with recomputation; what is refused.  gates/check_encoder_adapters.py compares with transformers
# and PEFT.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
"$tools/make_tiny_task" --relatives "$task"
amx=$tools/mantissa_amx_emulated
types=(roberta distilbert electra)

names() { # FILE: of its tensors
    head -c 20000 "$1" | grep -ao '"[a-zA-Z0-9_.]*":{"dtype"' | cut -d '"' -f 2 | sort -u
}
result() { # FOLDER KEY
    sed -nE "s/^ *\"$2\": ([0-9.e+-]+),?$/\1/p" "$1/eval_results.json"
}
same_weights() { # A B
    local file=model.safetensors
    [ -e "$1/$file" ] || file=adapter_model.safetensors
    cmp "$1/$file" "$2/$file" || fail "$2: other weights than $1"
}

for type in "${types[@]}"; do
    base=$task/$type
    data=(--model_name_or_path "$base" --train_file "$task/train.tsv" --validation_file
        "$task/dev.tsv" --max_seq_length 24 --per_device_train_batch_size 4 --max_steps 20
        --learning_rate 2e-3 --logging_steps 1 --num_threads 2 --save_strategy no)
    questions=("${data[@]}" --train_file "$task/questions.json" --validation_file "$task/dev.json"
        --doc_stride 6 --version_2_with_negative --task_name squad_v2)
    run 0 info "$base" --json
    has out '"positions": 32'
    has out '"layers": 2'
    has out "ForSequenceClassification\""

    # ---- all parameters: eval and predict compute what train's last evaluation did
    for case in "--precision int8" \
        "--precision fp32 --max_steps 60 --learning_rate 5e-3 --hidden_dropout 0"; do
        read -ra words <<<"$case"
        run 0 train "${data[@]}" --output_dir "$work/$type" --overwrite_output_dir "${words[@]}"
        run 0 eval "$work/$type" --validation_file "$task/dev.tsv" --json
        has out "\"eval_loss\": $(result "$work/$type" eval_loss)"
        run 0 predict "$work/$type" --test_file "$task/dev.tsv"
        right=$(paste <(tail -n +2 "$work/out" | cut -f 1) <(tail -n +2 "$task/dev.tsv" | cut -f 2) |
            awk '$1 == $2' | wc -l)
        awk -v n="$right" -v a="$(result "$work/$type" eval_accuracy)" \
            'BEGIN { exit !((n / 20 - a) ^ 2 < 1e-6) }' || fail "$type: predict is not train's"
    done
    first=$(sed -nE '1s/.*"loss": ([0-9.]+).*/\1/p' "$work/$type/metrics.jsonl")
    awk -v a="$first" -v b="$(result "$work/$type" eval_loss)" 'BEGIN { exit !(b < a) }' ||
        fail "$type: learnt nothing"
    cmp <(names "$base/model.safetensors") <(names "$work/$type/model.safetensors") ||
        fail "$type: other tensors than it began with"
    has "$work/$type/config.json" "\"model_type\": \"$type\""

    # ---- the same bytes
    cases=("" "--method lora" "--method dylora --precision int12 --exponent_group block" questions)
    sanitized && cases=("--method lora" questions)
    for case in "${cases[@]}"; do
        words=("${data[@]}")
        [ "$case" != questions ] || words=("${questions[@]}")
        read -ra more <<<"${case#questions}"
        words+=(--gradient_accumulation_steps 2 "${more[@]}")
        rm -rf "$work"/same*
        run 0 train "${words[@]}" --output_dir "$work/same" --save_strategy steps --save_steps 8
        run 0 train "${words[@]}" --output_dir "$work/same1" --num_threads 1
        same_weights "$work/same" "$work/same1"
        run 0 train "${words[@]}" --output_dir "$work/same3" --num_threads 3 --gradient_checkpointing
        same_weights "$work/same" "$work/same3"
        MANTISSA_KERNEL=ref run 0 train "${words[@]}" --output_dir "$work/same_ref"
        same_weights "$work/same" "$work/same_ref"
        MANTISSA_KERNEL=amx "$amx" train "${words[@]}" --output_dir "$work/same_amx" \
            >"$work/out" 2>"$work/err" || fail "amx"
        same_weights "$work/same" "$work/same_amx"
        cp -r "$work/same" "$work/same_parts"
        rm -rf "$work"/same_parts/{checkpoint-16,checkpoint-20,model.safetensors,adapter_model.safetensors}
        run 0 train "${words[@]}" --output_dir "$work/same_parts" --save_strategy steps \
            --save_steps 8 --resume_from_checkpoint last
        same_weights "$work/same" "$work/same_parts"
        cmp "$work/same/checkpoint-20/optimizer.safetensors" \
            "$work/same_parts/checkpoint-20/optimizer.safetensors" || fail "$case: another state"
        run 0 train "${words[@]}" --output_dir "$work/same_seed" --seed 43
        ! cmp -s "$work"/same/*model.safetensors "$work"/same_seed/*model.safetensors ||
            fail "$type, $case: another seed gave the same"
    done

    # ---- tags: one layer over each token, of the same name in all families, with DistilBERT's own
    # rate of dropout; an adapter's folder as PEFT writes it says nothing but the task
    tags=("${data[@]}" --train_file "$task/train.conll" --validation_file "$task/dev.conll")
    run 0 train "${tags[@]}" --output_dir "$work/tags" --overwrite_output_dir --save_strategy steps
    has "$work/tags/config.json" "ForTokenClassification\""
    [ "$(names "$work/tags/model.safetensors" | grep -v "^$type\." | tr '\n' ' ')" = \
        "classifier.bias classifier.weight " ] || fail "$type: another head for tokens"
    has "$work/tags/checkpoint-20/trainer_state.json" '"classifier_dropout": 0.1'
    rm -rf "$work/tags.lora"
    run 0 train "${tags[@]}" --output_dir "$work/tags.lora" --method lora
    has "$work/tags.lora/adapter_config.json" '"TOKEN_CLS"'
    ! grep -q pre_classifier "$work/tags.lora/adapter_config.json" || fail "a module of another head"
    run 0 predict "$base" --adapter_name_or_path "$work/tags.lora" --test_file "$task/dev.conll"
    cp "$work/out" "$work/tags.out"
    mkdir "$work/tags.peft"
    cp "$work"/tags.lora/adapter_{config.json,model.safetensors} "$work/tags.peft"
    run 0 predict "$base" --adapter_name_or_path "$work/tags.peft" --test_file "$task/dev.conll"
    has out LABEL_
    sed 's/B-animal/LABEL_0/g; s/B-tool/LABEL_1/g; s/I-animal/LABEL_2/g; s/I-tool/LABEL_3/g
        s/\<O\>/LABEL_4/g' "$work/tags.out" | cmp - "$work/out" || fail "$type: other tags"
    rm -r "$work/tags.peft"

    # ---- an adapter: its folder, a part of its ranks, merged
    run 0 train "${data[@]}" --output_dir "$work/lora_$type" --method dylora --lora_r 4 --precision fp32
    run 0 eval "$base" --validation_file "$task/dev.tsv" --json --adapter_name_or_path "$work/lora_$type"
    has out "\"eval_loss\": $(result "$work/lora_$type" eval_loss)"
    run 0 export --adapter_name_or_path "$work/lora_$type" --output_dir "$work/two_$type" --rank 2
    has "$work/two_$type/adapter_config.json" '"r": 2'
    run 0 merge "$base" --adapter_name_or_path "$work/lora_$type" --output_dir "$work/merged_$type"
    run 0 predict "$base" --adapter_name_or_path "$work/lora_$type" --test_file "$task/dev.tsv"
    tail -n +2 "$work/out" | cut -f 2- >"$work/of_adapter"
    run 0 predict "$work/merged_$type" --test_file "$task/dev.tsv" --precision fp32
    paste "$work/of_adapter" <(tail -n +2 "$work/out" | cut -f 2-) | awk '
        { for (i = 1; i <= NF / 2; i++) if (($i - $(i + NF / 2)) ^ 2 > 1e-6) exit 1 }' ||
        fail "$type: merged, it says something else"
done

# ---- what an adapter saves whole, and the names of its layers
for word in roberta:classifier.dense.weight electra:classifier.out_proj.bias \
    distilbert:pre_classifier.weight distilbert:classifier.bias \
    roberta:roberta.encoder.layer.1.attention.self.query.lora_A.weight \
    distilbert:distilbert.transformer.layer.0.ffn.lin2.lora_B.weight \
    electra:electra.embeddings_project.lora_A.weight; do
    names "$work/lora_${word%%:*}/adapter_model.safetensors" >"$work/names"
    has "$work/names" "base_model.model.${word#*:}"
done
has "$work/lora_distilbert/adapter_config.json" '"pre_classifier"'
has "$work/lora_distilbert/adapter_config.json" '"lin1"'

# ---- what is refused
bad() { # STATUS TEXT TYPE WORDS...
    local status=$1 text=$2 type=$3
    shift 3
    run "$status" train --model_name_or_path "$task/$type" --train_file "$task/train.tsv" \
        --output_dir "$work/bad" --max_steps 1 "$@"
    tail -n 1 "$work/err" | grep -qF -e "$text" || fail "$type: '$text' is not in the last line"
}
bad 2 "the model has 32 positions, found 33" roberta --max_seq_length 33
bad 2 'found "query", which none ends in' distilbert --method lora --target_modules query
cp -r "$task/roberta" "$task/xlm"
sed -i 's/"model_type": "roberta"/"model_type": "xlm-roberta"/' "$task/xlm/config.json"
bad 1 'found "xlm-roberta"' xlm
cp -r "$task/roberta" "$task/one"
sed -i 's/"model_type"/"type_vocab_size": 1, &/' "$task/one/config.json"
bad 1 "type_vocab_size: expected at least 2 (pairs), found 1" one
cp -r "$task/electra" "$task/wide"
sed -i 's/"embedding_size": 20/"embedding_size": 48/' "$task/wide/config.json"
bad 1 "tensor electra.embeddings.word_embeddings.weight: config.json asks for shape" wide
cp -r "$task/roberta" "$task/files"
rm "$task/files/vocab.txt"
printf '{"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4}' >"$task/files/vocab.json"
bad 1 "merges.txt" files
printf '#version: 0.2\na b\n' >"$task/files/merges.txt"
bad 1 'unk_token: "<unk>" is not in vocab.json' files
printf '{"tokenizer_class": "GPT2Tokenizer"}' >"$task/files/tokenizer_config.json"
bad 1 "only RobertaTokenizer is supported, found GPT2Tokenizer" files

# ---- RoBERTa's own files: what is written has tokenizer.json, and where texts are words says that
# transformers is to put a blank before each, as they were learned
files=$task/files
rm "$files/tokenizer_config.json"
{
    printf '{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "\\u0120": 5'
    n=6
    for letter in {a..z}; do printf ', "%s": %d' "$letter" $((n++)); done
    printf '}'
} >"$files/vocab.json"
printf '#version: 0.2\n' >"$files/merges.txt"
short=(--model_name_or_path "$files" --max_steps 2 --max_seq_length 28)
run 0 train "${short[@]}" --train_file "$task/train.conll" --output_dir "$work/words"
has "$work/words/tokenizer_config.json" '"add_prefix_space": true'
has "$work/words/tokenizer.json" RobertaProcessing
run 0 predict "$work/words" --test_file "$task/dev.conll"
run 0 train "${short[@]}" --train_file "$task/train.tsv" --output_dir "$work/texts"
[ ! -e "$work/texts/tokenizer_config.json" ] || fail "texts are said to be words"
