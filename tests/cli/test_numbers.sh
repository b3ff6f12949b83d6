#!/usr/bin/env bash
# predict, eval and info on the tiny task: the numbers they print, pairs, labels with odd bytes, what
# the folder says of its training, and signals.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
tab=$(printf '\t')

# number KEY: its value in the JSON of the last run.
number() {
    sed -E "s/.*\"$1\": *([^,}]*).*/\1/" "$work/out"
}

# ---- labels with a tab, a backslash, a quote and a control character; "a" before "b"
awk 'BEGIN { for (i = 0; i < 12; i++) {
    printf "{\"text\": \"The cat sleeps %d\", \"label\": \"a\\tb\\\\c\"}\n", i
    printf "{\"text\": \"A saw is made of steel %d\", \"label\": \"b\\\"\\u0001\"}\n", i } }' \
    >"$work/odd.jsonl"
run 0 train "${tiny[@]}" --train_file "$work/odd.jsonl" --validation_file "$work/odd.jsonl" \
    --output_dir "$work/odd" --save_strategy no
printf 'The cat sleeps\nA saw is made of steel\n\nThe dog\n' >"$work/lines"
run 0 predict "$work/odd" --input "$work/lines"
cp "$work/out" "$work/tsv"
printf 'label\tscore\tlogit a\\tb\\\\c\tlogit b"\\u0001\n' | cmp - <(head -n 1 "$work/tsv") || fail "header"
[ "$(sed -n 2,3p "$work/tsv" | cut -f1)" = "$(printf 'a\\tb\\\\c\nb"\\u0001')" ] || fail "labels"
# The score is the probability of the label, which has the largest logit.
awk -F '\t' 'NR == 1 { for (i = 3; i <= 4; i++) name[i] = substr($i, 7); next }
    { best = $3 >= $4 ? 3 : 4; p = 1 / (exp($3 - $best) + exp($4 - $best))
      if ($1 != name[best] || p - $2 > 1e-6 || $2 - p > 1e-6) exit 1 }
    END { if (NR != 5) exit 1 }' "$work/tsv" || fail "the score is not the probability of the label"
run 0 predict "$work/odd" --input "$work/lines" --format jsonl
# shellcheck disable=SC1003 # the backslashes are those of JSON
[ "$(sed -n 1,2p "$work/out" | sed 's/, "score.*//')" = \
    '{"label": "a\u0009b\\c"
{"label": "b\"\u0001"' ] || fail "labels of jsonl"
[ "$(sed -E 's/.*\[(.*)\]\}/\1/; s/, /\t/g' "$work/out")" = "$(tail -n +2 "$work/tsv" | cut -f3-)" ] ||
    fail "tsv and jsonl have other logits"

# ---- pairs: both texts count, in their order
one=$(printf 'The cat sleeps' | "$mantissa" predict "$work/odd" | tail -n 1)
two=$(printf 'The cat sleeps\tA saw\n' | "$mantissa" predict "$work/odd" | tail -n 1)
swapped=$(printf 'A saw\tThe cat sleeps\n' | "$mantissa" predict "$work/odd" | tail -n 1)
[ "$one" = "$(sed -n 2p "$work/tsv")" ] || fail "a last line without an end, from standard input"
[ "$one" != "$two" ] || fail "the second text makes no difference"
[ "$two" != "$swapped" ] || fail "the order of the texts makes no difference"

# ---- more lines than a chunk has: all, in order
for i in $(seq 300); do printf 'The cat sleeps\nA saw is made of steel\n'; done >"$work/many"
run 0 predict "$work/odd" --input "$work/many" --per_device_eval_batch_size 2
[ "$(tail -n +2 "$work/out" | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' ')" = "300 300 " ] ||
    fail "lines of several chunks"
[ "$(sed -n 600,601p "$work/out")" = "$(sed -n 2,3p "$work/tsv")" ] || fail "the last chunk"

# ---- eval and predict go by the training; another --precision keeps the length
run 0 train "${tiny[@]}" --precision int12 --output_dir "$work/int12" --max_seq_length 7 \
    --save_strategy no
evaluate() {
    run 0 eval "$work/int12" --validation_file "$task/dev.tsv" --json "$@"
    number eval_loss
}
stored=$(evaluate)
[ "$stored" = "$(evaluate --precision int12 --max_seq_length 7)" ] || fail "eval: not as trained"
[ "$stored" != "$(evaluate --max_seq_length 24)" ] || fail "eval: --max_seq_length has no effect"
other=$(evaluate --precision int8)
[ "$other" = "$(evaluate --precision int8 --max_seq_length 7)" ] || fail "eval: another length"
[ "$other" != "$stored" ] || fail "eval: --precision has no effect"

# ---- a metric that has no value; the mean loss of several steps
printf 'text\tlabel\nThe cat sleeps\t1.5\nA saw\t1.5\n' >"$work/constant.tsv"
run 0 train "${tiny[@]}" --train_file "$task/score.tsv" --validation_file "$task/score.tsv" \
    --do_regression --output_dir "$work/score" --save_strategy no --logging_steps 5
[ "$(grep -c '^step ' "$work/err")" -eq 6 ] || fail "lines of steps"
sed -nE 's/^step [0-9]+\/30 .* loss ([0-9.]+) .*/\1/p' "$work/err" >"$work/shown"
sed -nE 's/^\{.*"loss": ([0-9.e-]+).*/\1/p' "$work/score/metrics.jsonl" |
    awk '{ printf "%.4f\n", $1 }' | cmp - "$work/shown" || fail "the loss shown is not the mean"
run 0 eval "$work/score" --validation_file "$work/constant.tsv"
grep -qE "eval_pearson += nan$" "$work/out" || fail "a metric without value in the table"
run 0 eval "$work/score" --validation_file "$work/constant.tsv" --json
has out '"eval_pearson": null'

# ---- info: the total is the sum; bytes for people
run 0 info "$work/int12" --json
sum=0
for part in parameters gradients optimizer_state packed_weights activations scratch; do
    sum=$((sum + $(number "${part}_bytes")))
done
total=$(number total_bytes)
[ "$sum" -eq "$total" ] || fail "info: the total is $total, the sum $sum"
run 0 info "$work/int12"
grep -qE "^ +total +$(awk "BEGIN { printf \"%.1f\", $total / 1048576 }") MiB$" "$work/out" ||
    fail "info: $total bytes"

# ---- a signal: exit status 130; one that is ignored stays ignored
awk -v t="$tab" 'BEGIN { print "text" t "label"; for (i = 0; i < 40000; i++)
    print "The cat sleeps in the old barn" t "animal" }' >"$work/large.tsv"
"$mantissa" eval "$work/int12" --validation_file "$work/large.tsv" >"$work/out" 2>"$work/err" &
job=$!
while kill -0 "$job" 2>/dev/null && ! grep -q '^tokenizing: 40000' "$work/err"; do sleep 0.01; done
kill -TERM "$job" 2>/dev/null || true
status=0
wait "$job" || status=$?
[ "$status" -eq 130 ] || fail "eval, SIGTERM: exit status $status, expected 130"
[ ! -s "$work/out" ] || fail "an interrupted evaluation printed metrics"
(
    trap '' INT
    "$mantissa" eval "$work/int12" --validation_file "$work/large.tsv" --max_eval_samples 4000 \
        >"$work/out" 2>"$work/err" &
    job=$!
    while kill -0 "$job" 2>/dev/null && ! grep -q '^tokenizing: 4000' "$work/err"; do sleep 0.01; done
    kill -INT "$job" 2>/dev/null || true
    wait "$job"
) || fail "a signal that was ignored ended the command"
