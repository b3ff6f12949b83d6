#!/usr/bin/env bash
# What a run writes and deletes: its own files and nothing else, all of a model or none of it, and
# never the files that it reads.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
tiny+=(--max_steps 4 --save_steps 2 --eval_steps 4)

# ---- metrics to a link, to a pipe that loses its reader, to standard output
run 0 train "${tiny[@]}" --output_dir "$work/good"
mkdir "$work/logs"
echo old >"$work/logs/target"
ln -s logs/target "$work/link"
run 0 train "${tiny[@]}" --output_dir "$work/linked" --metrics_file "$work/link"
[ -L "$work/link" ] || fail "--metrics_file: a link was replaced"
cmp <(without_clock "$work/logs/target") <(without_clock "$work/good/metrics.jsonl") ||
    fail "--metrics_file: the target of a link was not written"
[ "$(ls "$work/logs")" = target ] || fail "left behind: $(ls "$work/logs")"

mkfifo "$work/pipe"
head -n 2 "$work/pipe" >"$work/read" &
run 0 train "${tiny[@]}" --output_dir "$work/piped" --metrics_file "$work/pipe"
wait $!
has err "note: $work/pipe: nobody reads it any more; training goes on without it"
cmp <(without_clock "$work/read") <(head -n 2 "$work/good/metrics.jsonl" | without_clock /dev/stdin) ||
    fail "--metrics_file: a pipe got other lines"
cmp "$work/good/model.safetensors" "$work/piped/model.safetensors" || fail "piped: another model"
[ -p "$work/pipe" ] || fail "a pipe was replaced"

run 0 train "${tiny[@]}" --output_dir "$work/shown" --metrics_file /proc/self/fd/1
grep '^{' "$work/out" >"$work/lines"
cmp <(without_clock "$work/lines") <(without_clock "$work/good/metrics.jsonl") ||
    fail "--metrics_file /proc/self/fd/1: other lines"
has out "eval metrics"
