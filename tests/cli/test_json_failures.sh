#!/usr/bin/env bash
# The JSON library runs out of memory at every third of its allocations in turn: one line of error and
# status 1, or a result without a missing line; never a file that is called damaged.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

# each_fails LINES WORDS...: the command prints so many lines of result when nothing fails.
each_fails() {
    local lines=$1 n=0 status=0
    shift
    while [ "$status" -ne 99 ]; do
        status=0
        "$tools/mantissa_json_failing" "$n" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
        case $status in
        0 | 99) [ "$(wc -l <"$work/out")" -eq "$lines" ] || fail "$n: a line is missing: $*" ;;
        1)
            [ "$(grep -c '^mantissa: error: ' "$work/err")" -eq 1 ] || fail "$n: not one line: $*"
            has err "out of memory"
            ;;
        *) fail "$n: exit status $status" ;;
        esac
        n=$((n + 3))
        [ "$n" -lt 3000 ] || fail "it does not end: $*"
    done
    [ "$n" -gt "$lines" ] || fail "only $n allocations: $*"
}

run 0 info "$task/model" --max_seq_length 24
each_fails "$(wc -l <"$work/out")" info "$task/model" --max_seq_length 24

run 0 train "${tiny[@]}" --output_dir "$work/good" --max_steps 1 --eval_strategy no
sanitized || {
    run 0 eval "$work/good" --validation_file "$task/dev.tsv"
    each_fails "$(wc -l <"$work/out")" eval "$work/good" --validation_file "$task/dev.tsv"
}
