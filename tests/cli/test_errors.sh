#!/usr/bin/env bash
# Whatever goes wrong in a run: one line on standard error that says what, the exit status of its
# kind (2: a wrong option, 1: anything else), and nothing lost of what was there before.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

# broken STATUS TEXT WORDS...: train fails with one line of error after its lines of progress, writes
# nothing on standard output, and leaves no file of a result.
broken() {
    local status=$1 text=$2
    shift 2
    run "$status" train "${tiny[@]}" "$@"
    [ "$(grep -c '^mantissa: error: ' "$work/err")" -eq 1 ] || fail "not one line of error: $*"
    tail -n 1 "$work/err" | grep -q '^mantissa: error: ' || fail "the error is not the last line"
    tail -n 1 "$work/err" | grep -qF -e "$text" || fail "'$text' is not in the error"
    [ ! -s "$work/out" ] || fail "printed something on standard output"
}

# The files of a folder with their contents, to see that nothing changed.
snapshot() { # FOLDER
    find "$1" -type f -print0 | sort -z | xargs -0 sha256sum
}

unchanged() { # WHAT
    snapshot "$work/good" >"$work/after"
    cmp -s "$work/before" "$work/after" || fail "$1: an earlier result was changed"
}

tiny+=(--max_steps 6 --save_steps 2)
run 0 train "${tiny[@]}" --output_dir "$work/good"
has err 'note: text in column "text", label in column "label": 3 classes'
snapshot "$work/good" >"$work/before"
new=(--output_dir "$work/new")
good=(--output_dir "$work/good")

# ---- paths and options
broken 1 "$work/none" "${new[@]}" --model_name_or_path "$work/none"
broken 1 "$work/none.tsv" "${new[@]}" --train_file "$work/none.tsv"
broken 1 "$work/none.tsv" "${new[@]}" --validation_file "$work/none.tsv"
broken 1 "$work/none" "${new[@]}" --resume_from_checkpoint "$work/none"
broken 2 "max_seq_length" "${new[@]}" --max_seq_length 33
broken 2 "has no f1, expected one of loss, accuracy, f1_macro" "${new[@]}" --metric_for_best_model f1
broken 1 "nothing is downloaded" "${new[@]}" --model_name_or_path bert-base-uncased
mkdir "$work/wide"
cp "$task/model/"* "$work/wide"
sed -i 's/"max_position_embeddings": 32/"max_position_embeddings": 512/' "$work/wide/config.json"
for words in "info train" "predict eval"; do
    refuse 2 "batches of 33554432 tokens are too large" "${words% *}" "$work/wide" \
        "--per_device_${words#* }_batch_size" 65536 --max_seq_length 512
done
[ ! -e "$work/new/model.safetensors" ] || fail "a failed run wrote a model"

# ---- what a clone without Git LFS has in the place of a file
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n' >"$work/pointer"
for name in model.safetensors config.json vocab.txt; do
    rm -rf "$work/cloned"
    cp -r "$task/model" "$work/cloned"
    cp "$work/pointer" "$work/cloned/$name"
    broken 1 "$work/cloned/$name: this is a Git LFS pointer" "${new[@]}" \
        --model_name_or_path "$work/cloned"
done
for name in tokenizer.json tokenizer_config.json model.safetensors.index.json; do
    rm -rf "$work/cloned"
    cp -r "$task/model" "$work/cloned"
    cp "$work/pointer" "$work/cloned/$name"
    [ "$name" != model.safetensors.index.json ] || rm "$work/cloned/model.safetensors"
    broken 1 "$work/cloned/$name: this is a Git LFS pointer" "${new[@]}" \
        --model_name_or_path "$work/cloned"
done
for kind in tsv csv jsonl; do
    cp "$work/pointer" "$work/cloned.$kind"
    broken 1 "$work/cloned.$kind: this is a Git LFS pointer" "${new[@]}" \
        --train_file "$work/cloned.$kind"
done
refuse 1 "$work/pointer: this is a Git LFS pointer" predict "$work/good" --input "$work/pointer"
refuse 1 "$work/pointer: this is a Git LFS pointer" tokenize "$work/good" --input "$work/pointer"
refuse 1 "$work/cloned.tsv: this is a Git LFS pointer" predict "$work/good" \
    --test_file "$work/cloned.tsv"

# ---- an output folder that is in use, or no folder, or not to be written
broken 2 "--overwrite_output_dir" "${good[@]}"
broken 1 "expected a folder" --output_dir "$task/train.tsv"
broken 1 "$task/train.tsv" --output_dir "$task/train.tsv/below"
broken 1 "/proc/none" --output_dir /proc/none
broken 1 "$work/none/log" "${new[@]}" --overwrite_output_dir --metrics_file "$work/none/log"
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 500 "$work/closed"
    broken 1 "$work/closed" --output_dir "$work/closed"
fi
broken 2 "the model to start from" "${good[@]}" --overwrite_output_dir \
    --model_name_or_path "$work/good/../good/checkpoint-4/"
unchanged "an output folder in use"

# ---- data
: >"$work/empty.tsv"
broken 1 "$work/empty.tsv" "${new[@]}" --train_file "$work/empty.tsv"
printf 'text\tlabel\n' >"$work/head.tsv"
broken 1 "$work/head.tsv" "${new[@]}" --train_file "$work/head.tsv"
printf 'text\tlabel\nA cat sleeps\tanimal\nA cat\n' >"$work/short.tsv"
broken 1 "$work/short.tsv:3" "${new[@]}" --train_file "$work/short.tsv"
printf 'text\tkind\nA cat sleeps\tanimal\n' >"$work/kind.tsv"
broken 1 "--label_column_name is not given: $work/kind.tsv" "${new[@]}" \
    --train_file "$work/kind.tsv"
printf '[{"text": "A cat", "label": "animal"},\n{"text": "A saw", "label": "tool"}]\n' >"$work/array.json"
broken 1 "array.json:1: expected a JSON object on each line" "${new[@]}" \
    --train_file "$work/array.json"
printf 'text\tlabel\nA cat sleeps\tplanet\n' >"$work/label.tsv"
broken 1 "planet" "${new[@]}" --validation_file "$work/label.tsv"
printf 'text\tlabel\nA cat sleeps\tnan\n' >"$work/nan.tsv"
broken 1 "$work/nan.tsv:2" "${new[@]}" --train_file "$work/nan.tsv" --do_regression
broken 1 "$task/train.tsv:2" "${new[@]}" --train_file "$task/train.tsv" --do_regression
refuse 1 "planet" eval "$work/good" --validation_file "$work/label.tsv"

# ---- the model
copy_model() {
    rm -rf "$work/model"
    cp -r "$task/model" "$work/model"
    new=(--output_dir "$work/new" --overwrite_output_dir --model_name_or_path "$work/model")
}
copy_model
truncate -s -1 "$work/model/model.safetensors"
broken 1 "$work/model/model.safetensors" "${new[@]}"
truncate -s 100 "$work/model/model.safetensors"
broken 1 "$work/model/model.safetensors" "${new[@]}"
: >"$work/model/model.safetensors"
broken 1 "$work/model/model.safetensors" "${new[@]}"
rm "$work/model/model.safetensors"
broken 1 "$work/model" "${new[@]}"
copy_model
sed -i 's/"hidden_size": 48/"hidden_size": 44/' "$work/model/config.json"
broken 1 "embeddings.word_embeddings.weight" "${new[@]}"
# sizes that the file does not have are refused before 3 GB are taken for them (a sanitizer needs more)
copy_model
cp "$work/good/model.safetensors" "$work/model"
sed -i 's/"vocab_size": [0-9]*/"vocab_size": 16777216/' "$work/model/config.json"
(
    sanitized || ulimit -v 2000000
    shapes="word_embeddings.weight: config.json asks for shape [16777216, 48]"
    broken 1 "$shapes" "${new[@]}"
    refuse 1 "$shapes" predict "$work/model" --max_seq_length 24
    cp "$work/good/config.json" "$work/model" # its labels
    sed -i 's/"vocab_size": [0-9]*/"vocab_size": 16777216/' "$work/model/config.json"
    run 1 eval "$work/model" --validation_file "$task/dev.tsv"
    has err "$shapes"
)
copy_model
echo '{' >"$work/model/config.json"
broken 1 "$work/model/config.json" "${new[@]}"
copy_model
head -n 50 "$work/model/vocab.txt" >"$work/vocab" && tail -n 2 "$work/vocab" >"$work/model/vocab.txt"
broken 1 "no [UNK] token" "${new[@]}"
copy_model
sed -i 's/"vocab_size": [0-9]*/"vocab_size": 50/' "$work/model/config.json"
broken 1 "vocab_size" "${new[@]}"

# ---- numbers: a weight that is NaN, and steps so large that they lead to infinity
# poison FILE TENSOR: the first number of a tensor becomes NaN.
poison() {
    local header offset
    header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    offset=$(head -c $((8 + header)) "$1" | tail -c "$header" | tr -d ' ' |
        sed -E "s/.*\"$2\":\{[^}]*\"data_offsets\":\[([0-9]+),.*/\1/")
    printf '\377\377\377\177' |
        dd of="$1" bs=1 seek=$((8 + header + offset)) conv=notrunc status=none
}
copy_model
poison "$work/model/model.safetensors" bert.encoder.layer.1.output.dense.weight
broken 1 "bert.encoder.layer.1.output.dense.weight: element 0 is NaN" "${new[@]}"
copy_model
cases=("int8" "int16 --optim sgd" "fp32" "int12 --exponent_group tensor --optim sgd_int16")
for case in "${cases[@]}"; do
    read -ra words <<<"--precision $case"
    rm -rf "$work/new"
    broken 1 "NaN or infinity in" "${new[@]}" --learning_rate 1000 --weight_decay 1000 \
        --max_grad_norm 0 --max_steps 60 --lr_scheduler_type constant --warmup_steps 0 \
        --eval_strategy no --save_steps 1 "${words[@]}"
    tail -n 1 "$work/err" | grep -qE 'step [0-9]+: NaN or infinity in .* of [a-z]+.*\.[a-z]' ||
        fail "the layer has no name"
    [ ! -e "$work/new/model.safetensors" ] || fail "a failed run wrote a model"
    cmp <(ls "$work/new/checkpoint-1") <(ls "$work/good/checkpoint-2") || fail "no checkpoint"
done
broken 2 "expected 0 to 1000" "${new[@]}" --learning_rate 1e6

# ---- a full disk: a limit on the size of files, of the model or of the optimizer's state
limited() { # KIB STATUS TEXT WORDS...
    local limit=$1
    shift
    (
        trap '' XFSZ
        ulimit -f "$limit"
        broken "$@"
    )
}
size=$(($(stat -c %s "$work/good/checkpoint-6/model.safetensors") / 1024))
[ $((size + 100)) -lt $(($(stat -c %s "$work/good/checkpoint-6/optimizer.safetensors") / 1024)) ]
new=(--output_dir "$work/full")
for limit in 100 $((size + 50)); do
    rm -rf "$work/full"
    limited "$limit" 1 "cannot write: File too large" "${new[@]}"
    [ -z "$(find "$work/full" -name '*checkpoint-*' -o -name '*.tmp-*')" ] || fail "left behind"
    [ ! -e "$work/full/model.safetensors" ] || fail "a failed run wrote a model"
done
cp -r "$work/good/checkpoint-4" "$work/full"
snapshot "$work/full/checkpoint-4" >"$work/checkpoint"
limited 100 1 "cannot write: File too large" "${new[@]}" --resume_from_checkpoint last
snapshot "$work/full/checkpoint-4" | cmp - "$work/checkpoint" || fail "a checkpoint was changed"
run 0 train "${tiny[@]}" "${new[@]}" --resume_from_checkpoint last
cmp "$work/good/model.safetensors" "$work/full/model.safetensors" || fail "resumed: another model"
broken 1 "/dev/full: No space left" "${new[@]}" --overwrite_output_dir --metrics_file /dev/full
[ -c /dev/full ] || fail "a device was replaced"

# ---- checkpoints: of another run, damaged, incomplete
new=(--output_dir "$work/other" --resume_from_checkpoint last)
restore() {
    rm -rf "$work/other"
    mkdir "$work/other"
    cp -r "$work/good/checkpoint-4" "$work/other"
}
restore
other="checkpoint-4/trainer_state.json: the checkpoint is of another run: it has"
broken 1 "$other --seed 42, this run 43" "${new[@]}" --seed 43
broken 1 "$other --learning_rate 0.001, this run 0.0002" "${new[@]}" --learning_rate 2e-4
broken 1 "$other --optim adamw, this run sgd" "${new[@]}" --optim sgd
broken 1 "$other --precision int8, this run int12" "${new[@]}" --precision int12
broken 1 "$other --weight_bits 8, this run 12" "${new[@]}" --weight_bits 12
broken 1 "$other --precision int8, this run fp32" "${new[@]}" --precision fp32
broken 1 "$other --hidden_dropout 0.1, this run 0.2" "${new[@]}" --hidden_dropout 0.2
broken 1 "$other --group_by_length false, this run true" "${new[@]}" --group_by_length
broken 1 "$other --metric_for_best_model eval_loss, this run eval_accuracy" "${new[@]}" \
    --metric_for_best_model accuracy
broken 1 "the checkpoint is of step 4, this run has 3 steps" "${new[@]}" --max_steps 3
sed 's/cat/dog/' "$task/train.tsv" >"$work/dogs.tsv"
broken 1 "$other other training data, train_checksum " "${new[@]}" --train_file "$work/dogs.tsv"
sed -E 's/\tdish$/\t/; s/\tanimal$/\tdish/; s/\t$/\tanimal/' "$task/train.tsv" >"$work/swapped.tsv"
broken 1 "$other other training data, train_checksum " "${new[@]}" --train_file "$work/swapped.tsv"
sed 's/dish$/food/' "$task/train.tsv" >"$work/food.tsv"
broken 1 "$other other training data, train_checksum " "${new[@]}" --train_file "$work/food.tsv" \
    --validation_file "$work/food.tsv"
for name in model.safetensors optimizer.safetensors trainer_state.json config.json; do
    file=$work/other/checkpoint-4/$name
    restore
    truncate -s -20 "$file"
    broken 1 "checkpoint-4/$name" "${new[@]}"
    : >"$file"
    broken 1 "checkpoint-4/$name" "${new[@]}"
    rm "$file"
    broken 1 "checkpoint-4" "${new[@]}"
done
restore
sed -i 's/"micro_step": [0-9]*/"micro_step": -1/' "$work/other/checkpoint-4/trainer_state.json"
broken 1 "micro_step" "${new[@]}"
for counter in micro_step:5 loss_count:5 global_step:5; do
    restore
    sed -i "s/\"${counter%:*}\": [0-9]*,*$/\"${counter%:*}\": ${counter#*:},/" \
        "$work/other/checkpoint-4/trainer_state.json"
    broken 1 "expected" "${new[@]}"
done
restore
cp "$work/good/checkpoint-2/optimizer.safetensors" "$work/other/checkpoint-4"
broken 1 "optimizer.safetensors is of step 2, trainer_state.json of step 4" "${new[@]}"
restore
sed -i 's/"seed": 42/"sown": 42/' "$work/other/checkpoint-4/trainer_state.json"
broken 1 "$other --seed nothing, this run 42" "${new[@]}"
restore
sed -i 's/"seed": 42/"seed": 42, "later": {}/' "$work/other/checkpoint-4/trainer_state.json"
broken 1 "$other --later an object, this run nothing" "${new[@]}"
restore
sed -i 's/"run": {/"run": 3, "ran": {/' "$work/other/checkpoint-4/trainer_state.json"
broken 1 "mantissa.run: expected an object" "${new[@]}"

# Two texts in a row are not one with a separator in it, though the tokens are the same.
printf 'sentence1\tsentence2\tlabel\nA cat\tA dog\ta\nA dog\tA cat\tb\n' >"$work/pairs.tsv"
sed -e '1s/.*/sentence\tlabel/' -e '2,$s/\t/ [SEP] /' "$work/pairs.tsv" >"$work/single.tsv"
pairs=(--validation_file "$work/pairs.tsv" --output_dir "$work/pairs")
run 0 train "${tiny[@]}" "${pairs[@]}" --train_file "$work/pairs.tsv"
broken 1 "other training data, train_checksum " "${pairs[@]}" \
    --train_file "$work/single.tsv" --validation_file "$work/single.tsv" --resume_from_checkpoint last
restore
sed -i 's/"total_loss": "[^"]*"/"total_loss": "nan"/' "$work/other/checkpoint-4/trainer_state.json"
broken 1 "total_loss" "${new[@]}"
restore
poison "$work/other/checkpoint-4/optimizer.safetensors" exp_avg
broken 1 "exp_avg" "${new[@]}"
restore
poison "$work/other/checkpoint-4/optimizer.safetensors" exp_avg_sq
broken 1 "exp_avg_sq" "${new[@]}"

# ---- the same of an optimizer with 8-bit moments
eight=(--optim adamw_8bit)
run 0 train "${tiny[@]}" "${eight[@]}" --output_dir "$work/eight" --save_steps 2
for name in exp_avg_absmax exp_avg_sq_absmax exp_avg; do
    rm -rf "$work/other"
    mkdir "$work/other"
    cp -r "$work/eight/checkpoint-4" "$work/other"
    poison "$work/other/checkpoint-4/optimizer.safetensors" "$name"
    broken 1 "optimizer state $name, element 0: expected a finite number" "${new[@]}" "${eight[@]}"
done
broken 1 "--optim adamw_8bit, this run adamw" "${new[@]}"
unchanged "all of this"

# ---- not an error: a folder whose name is no UTF-8, and thus no JSON string
latin=$work/$'caf\xe9'
best=(--output_dir "$latin" --save_steps 2 --eval_steps 2 --load_best_model_at_end)
run 0 train "${tiny[@]}" "${best[@]}"
grep -qE '"best_model_checkpoint": "checkpoint-[0-9]+"' "$latin/trainer_state.json" ||
    fail "the best checkpoint of a folder that is not UTF-8"
run 0 train "${tiny[@]}" "${best[@]}" --resume_from_checkpoint "$latin/checkpoint-6"

# ---- not an error: weights that config.json has no place for are said to be left out
cp -r "$task/model" "$work/deep"
sed -i 's/"num_hidden_layers": *2/"num_hidden_layers": 1/' "$work/deep/config.json"
run 0 train "${tiny[@]}" --model_name_or_path "$work/deep" --output_dir "$work/shallow" --max_steps 1
has err "16 tensors of the file not used, the first is"
has err "encoder.layer.1."

# ---- a hostile folder does not steer the terminal
esc=$(printf '\033')
plain() { # FILE: no control character but tabs and line ends, none of U+0080..U+009F
    local file=$work/$1
    ! tr -d '\t\n' <"$file" | grep -q '[[:cntrl:]]' || fail "control characters in $1"
    ! grep -qF "$(printf '\302\233')" "$file" || fail "U+009B in $1"
}
cp -r "$work/good" "$work/hostile"
sed -i -e 's/"animal"/"ani\\u001b[31m\\u009bmal\\u007f"/' \
    -e 's/"BertForSequenceClassification"/"Bert\\u001b]0;title\\u0007\\u009b1m"/' \
    "$work/hostile/config.json"
has "$work/hostile/config.json" 'ani\u001b'
run 0 info "$work/hostile"
has out 'Bert?]0;title??1m'
plain out
printf 'A cat sleeps\n' >"$work/texts"
run 0 predict "$work/hostile" --input "$work/texts"
has out 'logit ani\u001b[31m\u009bmal\u007f'
plain out
run 0 predict "$work/hostile" --input "$work/texts" --format jsonl
plain out
sed -i "s/classifier.bias/classifier${esc}bias/" "$work/hostile/model.safetensors"
run 1 predict "$work/hostile" --input "$work/texts"
plain err
