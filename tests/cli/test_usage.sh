#!/usr/bin/env bash
# Help, versions, wrong usage: exit status 2 and one clear line.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

run 0 --version
grep -qE '^mantissa [0-9]+\.[0-9]+\.[0-9]+$' "$work/out" || fail "--version"
run 0 help
for command in train eval predict export merge quantize synth tokenize info; do
    run 0 help
    has out "  $command "
    run 0 "$command" --help
    has out "usage: mantissa $command "
    [ ! -s "$work/err" ] || fail "$command --help wrote to standard error"
    [ "$(awk 'length > 100' "$work/out")" = "" ] || fail "$command --help is wider than 100 columns"
    cp "$work/out" "$work/help"
    run 0 help "$command"
    cmp -s "$work/out" "$work/help" || fail "help $command differs from $command --help"
done
run 0 train --help
for option in learning_rate per_device_train_batch_size precision gradient_bits do_eval; do
    has out "--$option "
done
has out "[5e-5]"

run 2
refuse 2 "unknown command 'fit'" fit
refuse 2 "unknown command 'fit'" help fit
refuse 2 "did you mean --learning_rate?" train --learning-rat 1
refuse 2 "use --precision bf16" train --fp16
refuse 2 "--learning_rate needs a value" train --learning_rate
refuse 2 "--learning_rate needs a value" train --learning_rate --seed 1
refuse 2 "expected a number, found 'fast'" train --learning_rate=fast
refuse 2 "expected 1 to 65536, found 0" train --per-device-train-batch-size 0
refuse 2 "expected 0 to 16, found -4" train --weight_bits -4
refuse 2 "expected one of fp32|bf16|int16|int12|int10|int8" train --precision int7
refuse 2 "expected true or false, found 'sure'" train --group_by_length=sure
refuse 2 "takes no value" train --no_group_by_length=true
refuse 2 "unexpected argument 'model'" train model
refuse 2 "has no effect in 'mantissa predict'" predict --learning_rate 1
refuse 2 "expected one of tsv|jsonl, found 'tsv|jsonl'" predict --format 'tsv|jsonl'
refuse 2 "--max_length: expected 0 to" tokenize --max-length two
refuse 2 "nothing to do" train --no_do_train
refuse 2 "nothing to do" train --do_train false --do_eval auto
refuse 2 "unexpected argument 'auto'" train --do_train auto
refuse 2 "--sgd_momentum needs --optim sgd or sgd_int16" train --sgd_momentum 0.9
refuse 2 "has no effect in 'mantissa eval'" eval --rounding nearest
refuse 2 "option --logging_strategy is not available: use --logging_steps" train \
    --logging_strategy epoch
refuse 2 "use --precision bf16" train --fp16 True
refuse 2 "use --metrics_file" train --report_to all
refuse 2 "unknown option --no_seed" train --no_seed
refuse 2 "option --use_cpu is not available" predict --use_cpu
refuse 2 "--model_name_or_path is missing" train
refuse 2 "--model_name_or_path is missing" tokenize
refuse 2 "--output_dir is missing" train --model_name_or_path m
refuse 2 "not both" train --model_name_or_path m --output_dir o --task_name rte --data_dir d \
    --train_file t.csv
refuse 2 "needs an integer --precision" train --precision fp32 --weight_bits 8 \
    --model_name_or_path m --output_dir o --train_file t.csv
for words in "--lora_r 8" "--lora_alpha 16" "--dylora_update all" "--target_modules q_proj"; do
    # shellcheck disable=SC2086 # the option and its value
    refuse 2 "needs --method lora or dylora, found full" train $words --model_name_or_path m \
        --output_dir o --train_file t.csv
done
refuse 2 "--dylora_update last needs --method dylora, found lora" train --method lora \
    --dylora_update last --model_name_or_path m --output_dir o --train_file t.csv
refuse 1 "$work/none" tokenize "$work/none"
refuse 1 "$work/none" predict "$work/none"
refuse 1 "$work/none" eval "$work/none" --validation_file "$work/none.csv"
refuse 1 "$work/none" train --model_name_or_path "$work/none" --train_file "$work/none.csv" \
    --output_dir "$work/out_dir"
MANTISSA_KERNEL=quantum refuse 2 "quantum" info

# The scripts of the repository tell how they are used, and do nothing else then.
top=$(dirname "$0")/../..
for script in check demo tools/bare_debian.sh tools/install_packages.sh tools/fetch_smollm2.sh \
    tools/make_dictionary_data.sh; do
    "$top/$script" --help >"$work/out" 2>"$work/err" </dev/null || fail "$script --help failed"
    has out "usage: "
    [ ! -s "$work/err" ] || fail "$script --help wrote to standard error"
done

run 0 info
has out "processor"
run 0 info --json
has out '"processor": "'
cp "$work/out" "$work/json"
run 0 info
cp "$work/out" "$work/plain"
# shellcheck disable=SC2086 # lists of words
for words in "--json true" --json=yes "--no_json --json"; do
    run 0 info $words
    cmp -s "$work/out" "$work/json" || fail "info $words is not info --json"
done
# shellcheck disable=SC2086
for words in "--json false" --json=0 --no_json "--json --no-json"; do
    run 0 info $words
    cmp -s "$work/out" "$work/plain" || fail "info $words is not info"
done
refuse 2 "--json: expected true or false, found 'maybe'" info --json=maybe
refuse 2 "--no_json takes no value" info --no_json=true

status=0
"$mantissa" --version >/dev/full 2>"$work/err" || status=$?
[ "$status" -eq 1 ] || fail "--version to a full disk: exit status $status"
has err "cannot write standard output"
