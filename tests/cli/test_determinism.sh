#!/usr/bin/env bash
# A run gives the same bytes with 1, 2 and 3 threads, with each kernel family of this machine (amx by
# emulation where the processor has none), and when it is repeated; so do the answers of question
# answering.  gates/check_determinism.sh does the same with a real model.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
tiny+=(--save_steps 30)
tiny_questions+=(--save_steps 30)
tiny_tags+=(--save_steps 30)

# The command that runs a family here, or nothing.
command_for() { # FAMILY
    local command
    for command in "$mantissa" "$tools/mantissa_amx_emulated"; do
        [ "$1" = amx ] || [ "$command" = "$mantissa" ] || continue
        if MANTISSA_KERNEL=$1 "$command" info >/dev/null 2>&1; then
            echo "$command"
            return
        fi
    done
}

# check NAME COMMAND WORDS...: run it and compare with the reference.
check() {
    local folder="$work/$1" keep=$mantissa
    mantissa=$2
    shift 2
    run 0 train "${data[@]}" --output_dir "$folder" "$@"
    mantissa=$keep
    same_run "$work/reference" "$folder"
    rm -rf "$folder"
    count=$((count + 1))
}

families=()
for family in ref avx2 avx512vnni amx; do
    [ -z "$(command_for "$family")" ] || families+=("$family")
done
echo "kernel families: ${families[*]}"
has_family() {
    [[ " ${families[*]} " = *" $1 "* ]]
}
has_family ref || fail "the reference kernels do not run"

count=0
cases=("int8" "int12" "int16" "int8 --exponent_group tensor" "int12 --exponent_group block"
    "int8 --gradient_bits 12 --attention_bits 5" "int8 --optim sgd_int16 --sgd_momentum 0.9"
    "int8 --optim adamw_8bit" "int8 --scales largest --outliers feature --outlier_weight_bits 12"
    "int8 --scales largest --exponent_group block --rounding stochastic"
    "int10 --gradient_accumulation_steps 2 --group_by_length"
    "int8 --gradient_checkpointing --gradient_accumulation_steps 2"
    "int8 --outliers feature" "int8 --outliers feature --outlier_update step --exponent_group tensor"
    "int12 --outliers feature --outlier_threshold 2 --outlier_bits 15 --exponent_group block"
    "int8 --outliers feature --outlier_update step --outlier_threshold 2 --rounding stochastic"
    "questions int8 --gradient_checkpointing" "questions int16"
    "questions int8 --outliers feature" "tags int8" "tags int12 --gradient_accumulation_steps 3")
if sanitized; then
    cases=("int8" "int16 --exponent_group block" "questions int8"
        "int8 --outliers feature --outlier_update step --outlier_threshold 2")
fi
for case in "${cases[@]}"; do
    data=("${tiny[@]}")
    [ "$case" = "${case#questions }" ] || data=("${tiny_questions[@]}")
    [ "$case" = "${case#tags }" ] || data=("${tiny_tags[@]}")
    spec=${case#questions }
    [[ "$case" != *--outliers* ]] || data+=(--model_name_or_path "$task/outliers")
    read -ra words <<<"--precision ${spec#tags }"
    run 0 train "${data[@]}" --output_dir "$work/reference" "${words[@]}"
    for threads in 1 3; do
        check "threads-$threads" "$mantissa" "${words[@]}" --num_threads "$threads"
    done
    for family in "${families[@]}"; do
        MANTISSA_KERNEL=$family check "$family" "$(command_for "$family")" "${words[@]}"
    done
    if [ "$case" != "${case#questions }" ]; then
        checkpointing=true
        [[ "$case" != *checkpointing* ]] || checkpointing=false
        run 0 train "${data[@]}" --output_dir "$work/other" "${words[@]}" \
            --gradient_checkpointing "$checkpointing"
        cmp "$work/reference/model.safetensors" "$work/other/model.safetensors" ||
            fail "$case: another model with --gradient_checkpointing $checkpointing"
        rm -rf "$work/other"
        count=$((count + 1))
    fi
    # There are outliers to be told apart: without them it is another run.
    if [[ "$case" = *--outliers* ]]; then
        run 0 train "${data[@]}" --output_dir "$work/other" "${words[@]}" --outliers none
        if cmp -s "$work/reference/model.safetensors" "$work/other/model.safetensors"; then
            fail "$case: the same model without outliers"
        fi
        rm -rf "$work/other"
    fi
    # The comparison can fail: another seed is another run.
    run 0 train "${data[@]}" --output_dir "$work/other" "${words[@]}" --seed 43
    if cmp -s "$work/reference/model.safetensors" "$work/other/model.safetensors"; then
        fail "$case: another seed gave the same model"
    fi
    rm -rf "$work/reference" "$work/other"
done
echo "$count runs equal their reference"
