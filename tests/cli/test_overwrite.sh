#!/usr/bin/env bash
# A result is not written over what it is made from: the data, the input, the files of the model;
# whatever name they are given by.  Everything else may be written, and written again.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
run 0 train "${tiny[@]}" --max_steps 2 --save_strategy no --eval_strategy no --do_eval false \
    --output_dir "$work/model"
printf 'one text\nanother\n' >"$work/lines.txt"
cp "$task/dev.tsv" "$work/data.tsv"
mkdir -p "$work/glue/RTE"
printf 'index\tsentence1\tsentence2\n0\ta\tb\n' >"$work/glue/RTE/test.tsv"
ln -s data.tsv "$work/link.tsv"
ln "$work/data.tsv" "$work/hard.tsv"
ln -s model "$work/other"
ln -s ../other/vocab.txt "$work/model/new-name"
ln -s tokenizer.json "$work/model/nowhere"
[ ! -e "$work/model/tokenizer.json" ] || fail "the tiny model has a tokenizer.json: choose another name"
before=$(cd "$work" && find . -type f ! -name out ! -name err | sort | xargs sha256sum)
unchanged() {
    [ "$before" = "$(cd "$work" && find . -type f ! -name out ! -name err | sort | xargs sha256sum)" ] ||
        fail "$*: something was written"
}
safe() { # TEXT WORDS...: refused as wrong usage, and nothing is written
    refuse 2 "$@"
    shift
    unchanged "$@"
}

for name in data.tsv link.tsv hard.tsv ./data.tsv model/../data.tsv other/../data.tsv; do
    safe "$work/data.tsv, which is read" predict "$work/model" --test_file "$work/data.tsv" \
        --output "$work/$name"
done
safe "$work/link.tsv, which is read" predict "$work/model" --test_file "$work/link.tsv" \
    --output "$work/data.tsv"
safe "RTE/test.tsv, which is read" predict "$work/model" --task_name rte --data_dir "$work/glue" \
    --output "$work/glue/RTE/test.tsv"
safe "test.tsv, which is read" predict "$work/model" --task_name rte --data_dir "$work/glue/RTE" \
    --output "$work/glue/RTE/test.tsv"
for command in predict tokenize; do
    safe "lines.txt, which is read" "$command" "$work/model" --input "$work/lines.txt" \
        --output "$work/lines.txt"
    for name in model/config.json other/model.safetensors model/new-name model//vocab.txt; do
        safe ", which is read" "$command" "$work/model" --input "$work/lines.txt" \
            --output "$work/$name"
    done
    for name in model/tokenizer.json other/tokenizer.json model/nowhere \
        model/model.safetensors.index.json model/model-00001-of-00002.safetensors; do
        safe "would be taken for a file of the model" "$command" "$work/model" \
            --input "$work/lines.txt" --output "$work/$name"
    done
    status=0
    # shellcheck disable=SC2094 # that is the case
    "$mantissa" "$command" "$work/model" --output "$work/lines.txt" <"$work/lines.txt" \
        >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq 2 ] || fail "$command <lines >lines: exit status $status"
    has err "is the standard input"
    unchanged "$command from standard input"
done
for name in eval_results.json all_results.json; do
    cp "$work/data.tsv" "$work/kept"
    mkdir -p "$work/eval"
    mv "$work/kept" "$work/eval/$name"
    refuse 2 "which is read" eval "$work/model" --validation_file "$work/eval/$name" \
        --output_dir "$work/eval"
    cmp "$work/data.tsv" "$work/eval/$name" || fail "eval: $name was written"
    rm -r "$work/eval"
done

# What is not read: a new file of the folder, and once more; devices.
for command in predict tokenize; do
    for name in model/predictions.tsv model/predictions.tsv elsewhere.txt; do
        run 0 "$command" "$work/model" --input "$work/lines.txt" --output "$work/$name"
        [ -s "$work/$name" ] || fail "$command: $name is empty"
    done
    run 0 "$command" "$work/model" --output /dev/null
    run 0 "$command" "$work/model" --input "$work/lines.txt" --output /dev/stdout
    [ -s "$work/out" ] || fail "$command: nothing on standard output"
done
run 0 eval "$work/model" --validation_file "$work/data.tsv" --output_dir "$work/model"
