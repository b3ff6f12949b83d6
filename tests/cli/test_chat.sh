#!/usr/bin/env bash
# Dialogues from the command line: what tokenize --train_file shows of them, training on them with
# an adapter, packed and not, the loss of a step over several batches, evaluation, the chat template
# in the output folder, and what is refused.  On a tiny model; on a real one where
# MANTISSA_TEST_CHAT_MODEL names its folder.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
export OMP_WAIT_POLICY=passive
base=$work/base
"$2/make_tiny_task" --decoder "$base"
turns() { # FIRST LAST: additions, as dialogues of one to three questions
    awk -v first="$1" -v last="$2" 'BEGIN { for (i = first; i <= last; i++) {
        printf "{\"messages\": ["
        for (k = 0; k <= i % 3; k++) {
            a = (i + k) % 8; b = int(i / 8) % 8
            printf "%s{\"role\": \"user\", \"content\": \"%d+%d\"}, ", (k > 0 ? ", " : ""), a, b
            printf "{\"role\": \"assistant\", \"content\": \"%d\"}", a + b
        }
        print "]}" } }'
}
turns 0 63 >"$work/chat.jsonl"
turns 8 23 >"$work/dev.jsonl"
cat >"$work/chat.jinja" <<'EOF'
{% for m in messages %}{{ ('Q' if m.role == 'user' else 'A') + m.content + '.' }}{% endfor %}{% if add_generation_prompt %}A{% endif %}
EOF
words=(--train_file "$work/chat.jsonl" --chat_template_path "$work/chat.jinja" --max_length 32)

# What is seen: text, and which tokens are learned.
run 0 tokenize "$base" "${words[@]}" --assistant_only_loss --max_train_samples 2 --format jsonl
head -1 "$work/out" | grep -q '"labels": \[-100, -100, -100, -100, -100, -100, 48, 46\]}' ||
    fail "labels: $(head -1 "$work/out")"
run 0 tokenize "$base" "${words[@]}" --assistant_only_loss --max_train_samples 2
printf '%s\n' 'row	token	id	learned' '1	Q	81	0' '1	0	48	0' '1	+	43	0' '1	0	48	0' '1	.	46	0' \
    '1	A	65	0' '1	0	48	1' '1	.	46	1' >"$work/expected"
head -9 "$work/out" | cmp - "$work/expected" || fail "tsv"
run 0 tokenize "$base" "${words[@]}" --packing --format jsonl
has err "64 rows are packed into"
has out '"seq_lengths": [24, 8]}'
run 1 tokenize "$base" "${words[@]:0:2}" # the model has no template of its own
has err "--chat_template_path names another file"

# Training: the loss falls, in one row or several, and the folder has the template.
train=(--model_name_or_path "$base" "${words[@]}" --method lora --lora_r 4 --lora_alpha 8
    --per_device_train_batch_size 8 --max_steps 24 --learning_rate 1e-2 --logging_steps 1
    --num_threads 2 --save_strategy no --assistant_only_loss)
losses() {
    grep -o '"loss": [0-9.e-]*' "$1/metrics.jsonl" | cut -d' ' -f2
}
falls() {
    awk -v a="$(losses "$1" | head -4 | awk '{ s += $1 } END { print s / 4 }')" \
        -v b="$(losses "$1" | tail -4 | awk '{ s += $1 } END { print s / 4 }')" \
        'BEGIN { exit !(b < 0.8 * a) }' || fail "$1: $(losses "$1" | tr '\n' ' ')"
}
run 0 train "${train[@]}" --output_dir "$work/one"
falls "$work/one"
cmp "$work/chat.jinja" "$work/one/chat_template.jinja" || fail "the template is not in the folder"
grep -q '"assistant_only_loss": 1' "$work/one/mantissa_config.json" || fail "the mask is not kept"
run 0 train "${train[@]}" --packing --output_dir "$work/packed"
falls "$work/packed"
run 0 train "${train[@]}" --num_threads 1 --packing --output_dir "$work/again"
cmp "$work/packed/adapter_model.safetensors" "$work/again/adapter_model.safetensors" ||
    fail "packed: threads"
run 0 eval "$base" --adapter_name_or_path "$work/one" --validation_file "$work/dev.jsonl" \
    --chat_template_path "$work/one" --assistant_only_loss --json
has out '"eval_tokens":'

# A step over four batches of one row is that of one batch of four rows, though rows learn one to
# three answers: the loss is the mean of all tokens.
step=("${train[@]}" --max_steps 1 --precision fp32 --hidden_dropout 0 --attention_dropout 0)
run 0 train "${step[@]}" --per_device_train_batch_size 4 --output_dir "$work/g1"
run 0 train "${step[@]}" --per_device_train_batch_size 1 --gradient_accumulation_steps 4 \
    --output_dir "$work/g4"
for key in loss grad_norm; do
    values=$(cat "$work/g1/metrics.jsonl" "$work/g4/metrics.jsonl" |
        grep -o "\"$key\": [0-9.e-]*" | cut -d' ' -f2 | tr '\n' ' ')
    awk -v v="$values" 'BEGIN { n = split(v, x, " "); d = x[1] - x[2]
        exit !(n == 2 && x[1] > 0 && d < 1e-5 * x[1] && -d < 1e-5 * x[1]) }' ||
        fail "$key of one batch and of four: $values"
done

# Packed rows do not see each other: the loss of a step over the same rows is the same.
run 0 train "${step[@]}" --max_train_samples 4 --per_device_train_batch_size 4 --output_dir "$work/p0"
run 0 train "${step[@]}" --max_train_samples 4 --per_device_train_batch_size 4 --packing \
    --max_length 64 --output_dir "$work/p1"
[ "$(losses "$work/p0" | cut -c1-7)" = "$(losses "$work/p1" | cut -c1-7)" ] ||
    fail "packed: loss $(losses "$work/p0") and $(losses "$work/p1")"

# What is refused, with the row.
refuse_rows() { # TEXT ROWS WORDS...
    printf '%s\n' "$2" >"$work/bad.jsonl"
    run 1 train "${train[@]}" --train_file "$work/bad.jsonl" --output_dir "$work/none" "${@:3}"
    has err "$1"
}
refuse_rows "bad.jsonl:1: messages: expected at least one message" '{"messages": []}'
refuse_rows "bad.jsonl:1: messages[0]: content: expected a string, found an integer" \
    '{"messages": [{"role": "user", "content": 3}]}'
printf '{{ raise_exception("roles must alternate") }}' >"$work/strict.jinja"
refuse_rows "bad.jsonl:1: $work/strict.jinja:1: the template says: roles must alternate" \
    '{"messages": [{"role": "user", "content": "3"}]}' --chat_template_path "$work/strict.jinja" \
    --no_assistant_only_loss
run 1 train "${train[@]}" --output_dir "$work/none" --train_file "$work/bad.jsonl"
has err "bad.jsonl:1: expected a message of the assistant's"
run 2 train "${train[@]}" --output_dir "$work/none" --completion_only_loss
has err "has no column for a completion"
"$2/make_tiny_task" "$work/task"
run 2 train --model_name_or_path "$work/task/model" --train_file "$work/chat.jsonl" --packing \
    --output_dir "$work/none"
has err "option --packing needs a language model"

# A real model: its own template, and an adapter that learns.
real=${MANTISSA_TEST_CHAT_MODEL:-}
if [ -n "$real" ]; then
    head -8 "$work/chat.jsonl" >"$work/few.jsonl"
    run 0 train --model_name_or_path "$real" --train_file "$work/few.jsonl" --max_length 96 \
        --method lora --per_device_train_batch_size 1 --max_steps 8 --learning_rate 2e-3 \
        --logging_steps 1 --save_strategy no --assistant_only_loss --output_dir "$work/real"
    falls "$work/real"
fi
echo ok
