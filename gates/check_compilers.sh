#!/usr/bin/env bash
# Two builds of the command by different compilers train to the same bytes.
#
# usage: gates/check_compilers.sh BUILD_A BUILD_B        (build folders with tests)
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
"$1/tests/make_tiny_task" "$work/task"
for precision in int8 int12 int16; do
    for build in "$1" "$2"; do
        "$build/mantissa" train --model_name_or_path "$work/task/model" \
            --train_file "$work/task/train.tsv" --max_seq_length 24 --max_steps 30 \
            --per_device_train_batch_size 4 --learning_rate 1e-3 --weight_decay 0.01 \
            --precision "$precision" --save_strategy no --num_threads 1 \
            --output_dir "$work/$precision-$([ "$build" = "$1" ] && echo a || echo b)" 2>/dev/null
    done
    cmp "$work/$precision-a/model.safetensors" "$work/$precision-b/model.safetensors"
    echo "$precision: same bytes after 30 steps"
done
