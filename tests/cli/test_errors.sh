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
snapshot "$work/good" >"$work/before"
new=(--output_dir "$work/new")
good=(--output_dir "$work/good")

# ---- paths and options
broken 1 "$work/none" "${new[@]}" --model_name_or_path "$work/none"
broken 1 "$work/none.tsv" "${new[@]}" --train_file "$work/none.tsv"
broken 1 "$work/none.tsv" "${new[@]}" --validation_file "$work/none.tsv"
broken 1 "$work/none" "${new[@]}" --resume_from_checkpoint "$work/none"
broken 2 "max_seq_length" "${new[@]}" --max_seq_length 33
broken 2 "has no f1" "${new[@]}" --metric_for_best_model f1
[ ! -e "$work/new/model.safetensors" ] || fail "a failed run wrote a model"

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
unchanged "an output folder in use"

# ---- data
: >"$work/empty.tsv"
broken 1 "$work/empty.tsv" "${new[@]}" --train_file "$work/empty.tsv"
printf 'text\tlabel\n' >"$work/head.tsv"
broken 1 "$work/head.tsv" "${new[@]}" --train_file "$work/head.tsv"
printf 'text\tlabel\nA cat sleeps\tanimal\nA cat\n' >"$work/short.tsv"
broken 1 "$work/short.tsv:3" "${new[@]}" --train_file "$work/short.tsv"
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
echo '{' >"$work/model/config.json"
broken 1 "$work/model/config.json" "${new[@]}"
copy_model
head -n 50 "$work/model/vocab.txt" >"$work/vocab" && tail -n 2 "$work/vocab" >"$work/model/vocab.txt"
broken 1 "$work/model/vocab.txt" "${new[@]}"
copy_model
sed -i 's/"vocab_size": [0-9]*/"vocab_size": 50/' "$work/model/config.json"
broken 1 "vocab_size" "${new[@]}"

# ---- numbers: a weight that is NaN, and learning rates that lead to infinity
# poison FILE: the last float of a safetensors file becomes NaN (of the word embeddings, or whatever
# comes last).
poison() {
    local size
    size=$(stat -c %s "$1")
    printf '\377\377\377\177' | dd of="$1" bs=1 seek=$((size - 4)) conv=notrunc status=none
}
for precision in int8 int16 fp32; do
    copy_model
    poison "$work/model/model.safetensors"
    broken 1 "NaN" "${new[@]}" --precision "$precision"
    for rate in 1e3; do
        copy_model
        broken 1 "NaN or infinity in" "${new[@]}" --precision "$precision" --optim sgd \
            --learning_rate "$rate" --max_grad_norm 0 --max_steps 200 --save_strategy no \
            --sgd_momentum 0.99 --eval_strategy no --lr_scheduler_type constant --warmup_steps 0
        grep -qE 'step [0-9]+: NaN or infinity in .* of [a-z]+' "$work/err" || fail "no layer's name"
    done
done
