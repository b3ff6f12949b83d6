#!/usr/bin/env bash
# Adapters of BERT encoders with heads for classes, scores and answers: their folders, evaluation
# and prediction; resumption, threads and kernel families to the byte; --ranks, --rank_weighting,
# --lora_dropout; what is refused.  gates/check_encoder_adapters.py compares with PEFT.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
base=$task/model
data=(--model_name_or_path "$base" --train_file "$task/train.tsv" --validation_file "$task/dev.tsv"
    --max_seq_length 24 --per_device_train_batch_size 4 --max_steps 20 --learning_rate 5e-3
    --logging_steps 1 --num_threads 2 --save_strategy no)
questions=("${data[@]}" --train_file "$task/questions.json" --validation_file "$task/dev.json"
    --doc_stride 6 --version_2_with_negative --task_name squad_v2)
lora=(--method lora --lora_r 4 --lora_alpha 8)
before=$(cd "$base" && sha256sum ./*)

names() { # FOLDER: of its tensors
    head -c 20000 "$1/adapter_model.safetensors" | grep -ao 'base_model\.model\.[a-zA-Z0-9_.]*' | sort -u
}
same_adapter() { # A B
    cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" ||
        fail "$2: another adapter than $1"
}
other_adapter() { # A B WHAT
    ! cmp -s "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" || fail "$3: the same"
}
result() { # FOLDER KEY
    sed -nE "s/^ *\"$2\": ([0-9.e+-]+),?$/\1/p" "$1/eval_results.json"
}
evaluated() { # FILE WORDS...: eval_loss
    local file=$1
    shift
    run 0 eval "$base" --validation_file "$file" --json "$@"
    sed -nE 's/.*"eval_loss": ([0-9.e+-]+).*/\1/p' "$work/out"
}

# ---- classes: the folder
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/lora"
for text in '"task_type": "SEQ_CLS"' '"classifier"' '"score"' '"query"' '"dense"' '"r": 4'; do
    has "$work/lora/adapter_config.json" "$text"
done
[ ! -e "$work/lora/model.safetensors" ] && [ ! -e "$work/lora/config.json" ] ||
    fail "lora wrote a model"
[ "$(names "$work/lora" | wc -l)" -eq 28 ] || fail "tensors: $(names "$work/lora")"
names "$work/lora" >"$work/names"
for name in classifier.weight classifier.bias bert.pooler.dense.lora_A.weight \
    bert.encoder.layer.1.attention.self.query.lora_B.weight \
    bert.encoder.layer.0.output.dense.lora_A.weight; do
    has "$work/names" "base_model.model.$name"
done
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/some" --target_modules query,value
[ "$(names "$work/some" | wc -l)" -eq 10 ] || fail "tensors: $(names "$work/some")"
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/few" \
    --target_modules layer.1.attention.self.key,pooler.dense
[ "$(names "$work/few" | wc -l)" -eq 6 ] || fail "tensors: $(names "$work/few")"

# ---- eval and predict compute what train's last evaluation did
while read -ra more; do
    rm -rf "$work/one"
    run 0 train "${data[@]}" "${lora[@]}" "${more[@]}" --output_dir "$work/one"
    [ "$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/one")" = \
        "$(result "$work/one" eval_loss)" ] || fail "eval is not train's: ${more[*]}"
    run 0 predict "$base" --adapter_name_or_path "$work/one" --test_file "$task/dev.tsv"
    tail -n +2 "$work/out" | cut -f 1 >"$work/said"
    right=$(paste "$work/said" <(tail -n +2 "$task/dev.tsv" | cut -f 2) | awk '$1 == $2' | wc -l)
    awk -v n="$right" -v a="$(result "$work/one" eval_accuracy)" \
        'BEGIN { exit !((n / 20 - a) ^ 2 < 1e-6) }' || fail "predict is not train's: ${more[*]}"
    [ ! -s "$work/err" ] || ! grep -q "does not say" "$work/err" || fail "${more[*]}: a note"
done <<'END'
--precision int8
--precision int12 --exponent_group block --gradient_checkpointing
--precision fp32 --use_rslora
--precision int8 --outliers feature --outlier_threshold 2
--precision int8 --method dylora
END
[ "$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/lora")" = \
    "$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/lora" --rank 4)" ] ||
    fail "all ranks are not all ranks"
[ "$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/lora")" != \
    "$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/lora" --rank 1)" ] ||
    fail "one rank is all ranks"
# as a folder of PEFT itself: the labels have no names, the outputs are the same
cp -r "$work/lora" "$work/peft"
rm "$work/peft/mantissa_config.json"
run 0 predict "$base" --adapter_name_or_path "$work/lora" --test_file "$task/dev.tsv"
tail -n +2 "$work/out" | cut -f 2- >"$work/here"
run 0 predict "$base" --adapter_name_or_path "$work/peft" --test_file "$task/dev.tsv" \
    --label_column_name label --max_seq_length 24
has out "logit LABEL_2"
cmp <(tail -n +2 "$work/out" | cut -f 2-) "$work/here" || fail "other outputs without our file"

# ---- the same bytes: threads, families, recomputation, resumption; with everything in training
amx=$tools/mantissa_amx_emulated
dylora="--method dylora --ranks 1,2,4"
cases=("" "--lora_dropout 0.2 --precision int12 --exponent_group block" "$dylora"
    "--method dylora --rank_weighting matryoshka --lora_alpha 1 --lora_dropout 0.1"
    "$dylora --dylora_update last" "questions" "--outliers feature --lora_dropout 0.3")
sanitized && cases=("--method dylora --rank_weighting matryoshka --lora_dropout 0.1" "questions")
for case in "${cases[@]}"; do
    words=("${data[@]}")
    [ "$case" != questions ] || words=("${questions[@]}")
    read -ra more <<<"${case#questions}"
    words+=("${lora[@]}" --gradient_accumulation_steps 2 --hidden_dropout 0.1 "${more[@]}")
    rm -rf "$work"/same*
    run 0 train "${words[@]}" --output_dir "$work/same" --save_strategy steps --save_steps 8
    run 0 train "${words[@]}" --output_dir "$work/same1" --num_threads 1
    same_adapter "$work/same" "$work/same1"
    run 0 train "${words[@]}" --output_dir "$work/same3" --num_threads 3 --gradient_checkpointing
    same_adapter "$work/same" "$work/same3"
    MANTISSA_KERNEL=ref run 0 train "${words[@]}" --output_dir "$work/same_ref"
    same_adapter "$work/same" "$work/same_ref"
    MANTISSA_KERNEL=amx "$amx" train "${words[@]}" --output_dir "$work/same_amx" \
        >"$work/out" 2>"$work/err" || fail "amx"
    same_adapter "$work/same" "$work/same_amx"
    cp -r "$work/same" "$work/same_parts"
    rm -r "$work/same_parts/checkpoint-16" "$work/same_parts/checkpoint-20" \
        "$work/same_parts/adapter_model.safetensors"
    run 0 train "${words[@]}" --output_dir "$work/same_parts" --save_strategy steps --save_steps 8 \
        --resume_from_checkpoint last
    same_adapter "$work/same" "$work/same_parts"
    cmp "$work/same/checkpoint-20/optimizer.safetensors" \
        "$work/same_parts/checkpoint-20/optimizer.safetensors" || fail "$case: another state"
done

# ---- each option in training makes another adapter, and says so in the folder
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/dropped" --lora_dropout 0.2
other_adapter "$work/lora" "$work/dropped" "--lora_dropout"
has "$work/dropped/adapter_config.json" '"lora_dropout": 0.2'
run 0 train "${data[@]}" --method lora --adapter_name_or_path "$work/dropped" --output_dir "$work/on"
has "$work/on/adapter_config.json" '"lora_dropout": 0.2' # as the folder says
run 0 train "${data[@]}" --method lora --adapter_name_or_path "$work/dropped" \
    --output_dir "$work/on0" --lora_dropout 0
has "$work/on0/adapter_config.json" '"lora_dropout": 0.0'
other_adapter "$work/on" "$work/on0" "--lora_dropout 0"
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/drawn" --method dylora
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/all" --method dylora --ranks 1..4
same_adapter "$work/drawn" "$work/all"
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/listed" --method dylora --ranks 1,4
other_adapter "$work/drawn" "$work/listed" "--ranks"
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/top" --method dylora --ranks 4
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/top_last" --method dylora --ranks 4 \
    --dylora_update last # the ranks that the list's next smaller lacks: all
same_adapter "$work/top" "$work/top_last"
same_adapter "$work/top" "$work/lora" # one rank, all of it: plain LoRA
# A step that draws 4, the second of either list: all ranks are trained alike, of the last fewer.
one_step=("${data[@]}" "${lora[@]}" --method dylora --max_steps 1)
for seed in 1 2 3 4 5 6 7 8; do
    rm -rf "$work"/step*
    run 0 train "${one_step[@]}" --seed "$seed" --ranks 1,4 --output_dir "$work/step14"
    run 0 train "${one_step[@]}" --seed "$seed" --ranks 3,4 --output_dir "$work/step34"
    ! cmp -s "$work/step14/adapter_model.safetensors" "$work/step34/adapter_model.safetensors" || break
done
same_adapter "$work/step14" "$work/step34"
for ranks in 1,4 3,4 1..4; do
    run 0 train "${one_step[@]}" --seed "$seed" --ranks "$ranks" --dylora_update last \
        --output_dir "$work/step_last$ranks"
done
other_adapter "$work/step_last1,4" "$work/step_last3,4" "the last of 1,4 and of 3,4"
matryoshka=(--method dylora --rank_weighting matryoshka --lora_r 4 --lora_alpha 1)
run 0 train "${data[@]}" "${matryoshka[@]}" --output_dir "$work/nested"
has "$work/nested/adapter_config.json" '"use_rslora": true'
run 0 train "${data[@]}" "${matryoshka[@]}" --output_dir "$work/nested2" --ranks 2,4
other_adapter "$work/nested" "$work/nested2" "--ranks with matryoshka"
run 0 train "${data[@]}" "${matryoshka[@]}" --output_dir "$work/nested4" --ranks 4
run 0 train "${data[@]}" "${lora[@]}" --lora_alpha 1 --use_rslora --output_dir "$work/rslora"
same_adapter "$work/nested4" "$work/rslora" # of one rank it is rsLoRA
run 0 train "${data[@]}" "${matryoshka[@]}" --adapter_name_or_path "$work/nested" \
    --output_dir "$work/nested_on"
run 0 train "${data[@]}" "${matryoshka[@]}" --optim adamw_8bit --output_dir "$work/nested8"

# ---- a rank by itself, as export writes it: the same function, with the outputs and their labels
# (in fp32: in integers the ranks of a row of B share an exponent with those that are not used)
for adapter in lora nested; do
    for rank in 1 3; do
        run 0 export --adapter_name_or_path "$work/$adapter" --rank "$rank" \
            --output_dir "$work/$adapter$rank"
        part=$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/$adapter" --rank "$rank" \
            --precision fp32)
        alone=$(evaluated "$task/dev.tsv" --adapter_name_or_path "$work/$adapter$rank" \
            --precision fp32)
        awk -v a="$part" -v b="$alone" 'BEGIN { exit !((a - b) ^ 2 < 1e-12) }' ||
            fail "$adapter: rank $rank has loss $part, its export $alone"
    done
done

# ---- scores and answers
score=("${data[@]}" --train_file "$task/score.tsv" --validation_file "$task/score.tsv")
run 0 train "${score[@]}" "${lora[@]}" --output_dir "$work/score"
[ "$(evaluated "$task/score.tsv" --adapter_name_or_path "$work/score")" = \
    "$(result "$work/score" eval_loss)" ] || fail "eval of scores is not train's"
run 0 predict "$base" --adapter_name_or_path "$work/score" --test_file "$task/score.tsv"
[ "$(head -n 1 "$work/out")" = score ] || fail "no scores: $(head -n 1 "$work/out")"
run 0 train "${questions[@]}" "${lora[@]}" --output_dir "$work/answers"
has "$work/answers/adapter_config.json" '"task_type": "QUESTION_ANS"'
has "$work/answers/adapter_config.json" '"qa_outputs"'
names "$work/answers" >"$work/names"
has "$work/names" "base_model.model.qa_outputs.weight"
! grep -q pooler "$work/names" || fail "answers have no pooler"
run 0 eval "$base" --validation_file "$task/dev.json" --task_name squad_v2 --json \
    --adapter_name_or_path "$work/answers"
has out "\"eval_f1\": $(result "$work/answers" eval_f1)"
run 0 predict "$base" --adapter_name_or_path "$work/answers" --test_file "$task/dev.json"
[ "$(wc -l <"$work/out")" -eq 21 ] || fail "not an answer for each question"

# ---- other labels than the adapter's: new outputs, the rest goes on
sed '2,$s/\(.*\)\t.*/\1\tx/; 2~2s/x$/y/' "$task/train.tsv" >"$work/two.tsv"
run 0 train "${data[@]}" --train_file "$work/two.tsv" --validation_file "$work/two.tsv" \
    --method lora --adapter_name_or_path "$work/lora" --output_dir "$work/two"
has err "lora has outputs for other labels: they are not used"
[ "$(names "$work/two")" = "$(names "$work/lora")" ] || fail "tensors: $(names "$work/two")"

# ---- the best adapter, with its outputs
run 0 train "${data[@]}" "${lora[@]}" --output_dir "$work/best" --learning_rate 0.2 \
    --save_strategy steps --eval_strategy steps --eval_steps 5 --save_steps 5 \
    --load_best_model_at_end --lr_scheduler_type constant
best=$(sed -nE 's/.*"best_model_checkpoint": ".*(checkpoint-[0-9]+)".*/\1/p' \
    "$work/best/trainer_state.json")
same_adapter "$work/best/$best" "$work/best"

# ---- what is refused
bad() { # STATUS TEXT WORDS...: of train, in one line, and no adapter is written
    local status=$1 text=$2
    shift 2
    rm -rf "$work/none"
    run "$status" train "${data[@]}" "${lora[@]}" --output_dir "$work/none" "$@"
    [ "$(grep -c 'mantissa: error: ' "$work/err")" -eq 1 ] || fail "$*: not one error"
    tail -n 1 "$work/err" | grep -qF -e "$text" || fail "$*: '$text' is not in the last line"
    [ ! -e "$work/none/adapter_model.safetensors" ] || fail "$*: wrote an adapter"
}
bad 2 'found "classifier", which none ends in' --target_modules classifier
bad 2 "--ranks needs --method dylora, found lora" --ranks 1,4
bad 2 "--rank_weighting matryoshka needs --method dylora" --rank_weighting matryoshka
bad 2 "rising ranks of 1 to 4096, as 1..8 or 1,2,4,8, found '4,2'" --method dylora --ranks 4,2
bad 2 "the adapter's rank 4 (--lora_r), found 8" --method dylora --ranks 1,2,4,8
bad 2 "the adapter's rank 4 (--lora_r), found 2" --method dylora --ranks 1,2 \
    --adapter_name_or_path "$work/lora"
bad 2 "contradicts --rank_weighting matryoshka" --method dylora --rank_weighting matryoshka \
    --dylora_update last
bad 2 "expected one of sample|matryoshka" --method dylora --rank_weighting nested
bad 2 "it has no --use_rslora" --method dylora --use_rslora
bad 2 "needs --optim adamw" --method dylora --optim sgd
bad 2 "option --lora_dropout: expected a value below 1" --lora_dropout 1
bad 1 "use_rslora: --rank_weighting sample" --method dylora --adapter_name_or_path "$work/nested"
bad 1 "use_rslora: --rank_weighting matryoshka" --method dylora --rank_weighting matryoshka \
    --adapter_name_or_path "$work/lora"
run 0 train "${questions[@]}" --max_steps 1 --output_dir "$work/unpooled" # whose head needs no pooler
bad 1 "no tensor bert.pooler.dense.weight of the right shape: beside an adapter it is frozen" \
    --model_name_or_path "$work/unpooled"
refuse 2 "has 4 ranks, found 5" predict "$base" --adapter_name_or_path "$work/lora" --rank 5 \
    --input "$task/dev.tsv"
refuse 2 "--rank needs --adapter_name_or_path" predict "$base" --rank 2 --input "$task/dev.tsv"
refuse 2 "expected the folder of a model, found that of an adapter" predict "$work/lora" \
    --input "$task/dev.tsv"
cp -r "$work/peft" "$work/other"
sed -i 's/SEQ_CLS/FEATURE_EXTRACTION/' "$work/other/adapter_config.json"
refuse 1 'expected SEQ_CLS, QUESTION_ANS or TOKEN_CLS, found "FEATURE_EXTRACTION"' predict "$base" \
    --adapter_name_or_path "$work/other" --input "$task/dev.tsv"
sed -i 's/FEATURE_EXTRACTION/SEQ_CLS/; s/"score"/"embeddings"/' "$work/other/adapter_config.json"
refuse 1 "modules_to_save is not supported" predict "$base" --adapter_name_or_path "$work/other" \
    --input "$task/dev.tsv"
cp "$work/lora/adapter_config.json" "$work/other/"
cp "$work/answers/adapter_model.safetensors" "$work/other/"
refuse 1 "no tensor base_model.model." predict "$base" --adapter_name_or_path "$work/other" \
    --input "$task/dev.tsv"
refuse 1 "adapter_config.json" predict "$base" --adapter_name_or_path "$work" --input "$task/dev.tsv"
[ "$before" = "$(cd "$base" && sha256sum ./*)" ] || fail "the model's folder changed"
