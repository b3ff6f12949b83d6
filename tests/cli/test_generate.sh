#!/usr/bin/env bash
# Text from a language model: prompts of a flag, a file, lines; seeds, threads, kernel families,
# number formats; dialogues; adapters and their ranks.  Evaluation by rank: the table, the results,
# the plot, generated answers.  What is refused.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base
"$2/make_tiny_task" --decoder "$base"
"$2/make_tiny_task" "$work/task"
awk 'BEGIN { for (i = 0; i < 64; i++) { a = i % 8; b = int(i / 8)
    printf "{\"question\": \"%d+%d=\", \"answer\": \"%d and %d\\n#### %d\"}\n", a, b, a, b, a + b } }' \
    >"$work/train.jsonl"
head -n 12 "$work/train.jsonl" >"$work/dev.jsonl"
run 0 train --model_name_or_path "$base" --train_file "$work/train.jsonl" --max_seq_length 40 \
    --per_device_train_batch_size 8 --max_steps 150 --learning_rate 2e-2 --method dylora --lora_r 8 \
    --output_dir "$work/dy" --num_threads 2 --save_strategy no
adapted=(generate "$base" --adapter_name_or_path "$work/dy" --max_new_tokens 20)

# made WORDS...: prints what is generated.
made() {
    run 0 "${adapted[@]}" "$@"
    cat "$work/out"
}

# A prompt by a flag, a file, a line: one text.  A line end that ends the file is not of the prompt.
printf '3+4=\n\n' >"$work/prompt.txt"
printf '3+4=\n' | "$mantissa" "${adapted[@]}" >"$work/line" 2>/dev/null
text=$(made --prompt '3+4=')
[ -n "$text" ] && [ "$text" = "$(cat "$work/line")" ] || fail "a line: '$(cat "$work/line")', not '$text'"
[ "$(made --prompt $'3+4=\n')" = "$(made --prompt_file "$work/prompt.txt")" ] || fail "a file"
made --prompt $'3+4=\n' | grep -q '#### [0-9]' || fail "the adapter was not used: $(made --prompt $'3+4=\n')"
[ "$(made --prompt $'3+4=\n' --precision fp32)" != "" ] || fail "fp32"
printf '1+1=\n2+5=\n' | "$mantissa" "${adapted[@]}" --format jsonl >"$work/two" 2>/dev/null
[ "$(wc -l <"$work/two")" -eq 2 ] || fail "two lines"
has "$work/two" '"prompt": "2+5=", "text": "'
has "$work/two" '"prompt_tokens": 4, "stopped": '
run 0 "${adapted[@]}" --prompt 'x' --max_new_tokens 3 --format jsonl
[ "$(grep -o '"ids": \[[^]]*\]' "$work/out" | grep -o '[0-9]\+' | wc -l)" -le 3 ] || fail "more than 3"

# Draws: the same seed, the same text, on other threads and kernels too; another seed, another text.
for words in "--temperature 1.5" "--temperature 1 --top_k 5" "--temperature 1.2 --top_p 0.8" \
    "--temperature 0" "--repetition_penalty 1.5" "--precision fp32 --temperature 1.5" \
    "--precision int12 --exponent_group tensor --temperature 1.5" "--precision bf16 --temperature 1.5"; do
    read -ra more <<<"$words"
    one=$(made --prompt '5+2=' --num_threads 1 "${more[@]}" | od -c)
    [ "$one" = "$(made --prompt '5+2=' --num_threads 3 "${more[@]}" | od -c)" ] || fail "threads: $words"
    other=$(MANTISSA_KERNEL=ref made --prompt '5+2=' "${more[@]}" | od -c)
    [ "$one" = "$other" ] || fail "families: $words"
done
[ "$(made --prompt 5 --temperature 2 --seed 1 | od -c)" != "$(made --prompt 5 --temperature 2 --seed 2 | od -c)" ] ||
    fail "seeds draw the same"
[ "$(made --prompt 5 --temperature 2 --top_k 1 | od -c)" = "$(made --prompt 5 | od -c)" ] || fail "top_k 1"

# UTF-8 is never cut inside a character: what a random model writes is whole characters.
made --prompt 5 --temperature 5 --max_new_tokens 50 >"$work/text"
iconv -f UTF-8 -t UTF-8 "$work/text" >"$work/same" || fail "not UTF-8"

# A dialogue by the folder's template.
cp -r "$base" "$work/chat"
# shellcheck disable=SC2016
printf '%s' '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[a]' >"$work/chat/chat_template.jinja"
printf 'hi\nyou\n' | "$mantissa" generate "$work/chat" --chat --system S --format jsonl --max_new_tokens 2 \
    >"$work/out" 2>"$work/err" || fail "chat: $(cat "$work/err")"
[ "$(grep -o '"prompt_tokens": [0-9]*' "$work/out" | head -n 1)" = '"prompt_tokens": 20' ] ||
    fail "chat: $(cat "$work/out")" # [system]S[user]hi[a]
[ "$(grep -o '"prompt_tokens": [0-9]*' "$work/out" | tail -n 1 | cut -d' ' -f2)" -ge 35 ] ||
    fail "the second turn knows nothing of the first: $(cat "$work/out")"
printf '%s' '{{ messages[0].content }}@{{ strftime_now("%Y") }}' >"$work/other.jinja"
run 0 generate "$base" --chat --prompt hi --format jsonl --max_new_tokens 2 --chat_template_path "$work/other.jinja" \
    --chat_template_date 2024-07-26
has out '"prompt_tokens": 7' # hi@2024

# Ranks: each is what --rank computes, as a table, in the results, in a plot.
run 0 eval "$base" --adapter_name_or_path "$work/dy" --validation_file "$work/dev.jsonl" \
    --ranks 1,2..4,8 --output_dir "$work/ranks" --generate_answers --max_new_tokens 24
[ "$(awk '{ print $1 }' "$work/out" | tr '\n' ' ')" = "rank 1 2 3 4 8 " ] || fail "table: $(cat "$work/out")"
head -n 1 "$work/out" | grep -q 'loss *perplexity .*exact_match' || fail "columns: $(head -n 1 "$work/out")"
awk 'NR > 1 { n++; if ($2 + 0 <= 0) exit 1 } END { exit n != 5 }' "$work/out" || fail "losses"
table=$(awk '$1 == 3 { print $2 }' "$work/out")
[ "$(tail -n 1 "$work/out" | awk '{ print $7 }')" != 0 ] || fail "no answer is right: $(cat "$work/out")"
has "$work/ranks/eval_results.json" '"eval_by_rank"'
[ "$(grep -c '"rank": ' "$work/ranks/eval_results.json")" -eq 6 ] || fail "ranks of eval_results.json"
[ "$(grep -c '<circle' "$work/ranks/eval_ranks.svg")" -eq 5 ] || fail "eval_ranks.svg"
run 0 eval "$base" --adapter_name_or_path "$work/dy" --validation_file "$work/dev.jsonl" --rank 3
grep -q "eval_loss .*= $table" "$work/out" || fail "rank 3: $table, alone $(cat "$work/out")"
run 0 eval "$base" --adapter_name_or_path "$work/dy" --validation_file "$work/dev.jsonl" --ranks 8 --json
has out '"eval_by_rank": [{"rank": 8, '
[ "$(made --prompt $'3+4=\n' --rank 1 | od -c)" != "$(made --prompt $'3+4=\n' | od -c)" ] || fail "--rank 1"

# ------------------------------------------------------------------------------------- errors ---

refused() { # STATUS TEXT WORDS...: one line of error
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    [ "$(grep -c 'mantissa: error: ' "$work/err")" -eq 1 ] || fail "mantissa $*: not one error"
    [ "$(tail -n 1 "$work/err" | grep -cF -e "$text")" -eq 1 ] ||
        fail "mantissa $*: '$text' is not in the last line: $(tail -n 1 "$work/err")"
    [ ! -s "$work/out" ] || fail "mantissa $*: printed something on standard output"
}
long=$(printf 'x%.0s' {1..70})
refused 1 'expected a language model, which generates text, found one of type "bert"' \
    generate "$work/task/model" --prompt x
refused 2 "the prompt has 70 tokens: expected fewer than the model has positions, 64" \
    generate "$base" --precision fp32 --prompt "$long"
refused 2 "the prompt has no tokens" generate "$base" --prompt ""
refused 2 "give --prompt or --prompt_file, not both" generate "$base" --prompt x --prompt_file y
refused 1 "nowhere: No such file" generate "$base" --prompt_file "$work/nowhere"
refused 1 "found a NUL byte" generate "$base" --prompt_file <(printf 'a\0b')
refused 2 "--model_name_or_path is missing" generate --prompt x
refused 2 "--top_k needs --temperature above 0" generate "$base" --prompt x --top_k 3
refused 2 "--top_p needs --temperature above 0" generate "$base" --prompt x --top_p 0.5
refused 2 "option --top_p: expected more than 0" generate "$base" --prompt x --top_p 0 --temperature 1
refused 2 "option --temperature: expected 0 or 0.01 to 100" generate "$base" --prompt x --temperature 0.001
refused 2 "option --max_new_tokens" generate "$base" --prompt x --max_new_tokens 0
refused 2 "option --rank needs --adapter_name_or_path" generate "$base" --prompt x --rank 2
refused 2 "has 8 ranks, found 9" "${adapted[@]}" --prompt x --rank 9
refused 2 "--system needs --chat" generate "$base" --prompt x --system y
refused 2 "--chat_template_path needs --chat" generate "$base" --prompt x --chat_template_path "$work/other.jinja"
refused 2 "--chat_template_date needs --chat" generate "$base" --prompt x --chat_template_date 2024-07-26
refused 1 "chat_template" generate "$base" --prompt x --chat
refused 2 "--learning_rate has no effect in 'mantissa generate'" generate "$base" --learning_rate 1
cp -r "$base" "$work/stop"
printf '{"eos_token_id": [3, 9999]}' >"$work/stop/generation_config.json"
refused 1 "generation_config.json: eos_token_id: expected 0 to" generate "$work/stop" --prompt x
printf '{"eos_token_id": "x"}' >"$work/stop/generation_config.json"
refused 1 "expected an integer or a list of integers, found" generate "$work/stop" --prompt x
by_rank=(eval "$base" --validation_file "$work/dev.jsonl" --adapter_name_or_path "$work/dy")
for list in 2,1 1,,2 0 1..x 1..4097; do
    refused 2 "expected rising ranks" "${by_rank[@]}" --ranks "$list"
done
refused 2 "option --ranks: $work/dy has 8 ranks, found 9" "${by_rank[@]}" --ranks 1,9
refused 2 "option --ranks needs --adapter_name_or_path" eval "$base" --validation_file "$work/dev.jsonl" \
    --ranks 1
refused 2 "give --rank or --ranks, not both" "${by_rank[@]}" --rank 1 --ranks 1,2
refused 2 "--max_new_tokens needs --generate_answers" "${by_rank[@]}" --max_new_tokens 5
printf 'sentence\tlabel\na b\tLABEL_0\n' >"$work/label.tsv"
refused 1 "--generate_answers: expected a language model" eval "$work/task/model" \
    --validation_file "$work/label.tsv" --generate_answers --max_seq_length 16
printf '{"prompt": "a", "completion": "b"}\n' >"$work/none.jsonl"
refused 1 "expected answers with #### and a number, found none in 1 rows" eval "$base" \
    --validation_file "$work/none.jsonl" --generate_answers
