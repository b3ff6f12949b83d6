#!/usr/bin/env bash
# ./demo --llm: SmolLM2-135M-Instruct learns to answer as a dictionary does, in about five minutes
# on two cores.
#
# Sourced by ./demo, which has installed packages and built the command: step and $mantissa are of
# there, the words of "$@" go to the training.
#
# QDyLoRA: adapters of all of the ranks 1, 2, 4, 8 are trained in one run, in int8, beside the
# frozen model in 4 bits.  The data are definitions of WordNet 3.0: a word's category and what it
# means, in one line.
set -euo pipefail

data=build/demo/dictionary
out=build/demo/dictionary-adapter
log=build/demo/dictionary-eval.log
questions=("What does lighthouse mean?" "What does guitar mean?" "What does rain mean?")

# evaluate WORDS...: results on the rows of validation, the log where it fails.
evaluate() {
    if ! "$mantissa" eval "$model" --validation_file "$data/validation.jsonl" "$@" 2>"$log"; then
        cat "$log" >&2
        exit 1
    fi
}

# answer WORDS...: to each question, at most 40 tokens.
answer() {
    local question
    for question in "${questions[@]}"; do
        printf '> %s\n' "$question"
        "$mantissa" generate "$model" --chat --prompt "$question" --precision int8 \
            --max_new_tokens 40 "$@" | sed 's/^/  /'
    done
}

step "Model: SmolLM2-135M-Instruct (Apache-2.0), a GGUF file in 4 bits"
model=$(tools/fetch_smollm2.sh)
echo "$model"

step "Data: definitions of nouns from WordNet 3.0 (WordNet licence), as dialogues"
tools/make_dictionary_data.sh "$data"
# None of the questions above is among the words that are learned.
for question in "${questions[@]}"; do
    grep -vF "\"$question\"" "$data/train.jsonl" >"$data/train.jsonl.new"
    mv "$data/train.jsonl.new" "$data/train.jsonl"
done
echo "$data/train.jsonl: $(wc -l <"$data/train.jsonl") rows," \
    "$data/validation.jsonl: $(wc -l <"$data/validation.jsonl") rows of other words, for example:"
sed -n 2,4p "$data/train.jsonl" |
    sed 's/.*"content": "\(.*\)"}, .*"content": "\(.*\)"}\]}/  \1  ->  \2/'

step "Before: its answers, and its loss on words that are not learned"
answer
evaluate --assistant_only_loss true --max_seq_length 128 --per_device_eval_batch_size 8 \
    --precision int8 | grep -E 'eval_(loss|perplexity)'

step "Fine-tune: adapters of ranks 1 to 8 in one run, in int8 beside the model in 4 bits"
started=$SECONDS
"$mantissa" train --model_name_or_path "$model" --output_dir "$out" --overwrite_output_dir \
    --train_file "$data/train.jsonl" --assistant_only_loss true --max_seq_length 128 \
    --method qdylora --lora_r 8 --ranks 1,2,4,8 --learning_rate 1e-3 --warmup_ratio 0.1 \
    --per_device_train_batch_size 8 --num_train_epochs 1 --logging_steps 45 \
    --save_strategy no "$@"
echo "training took $((SECONDS - started)) seconds"

step "After: the loss by rank, on the same rows"
evaluate --adapter_name_or_path "$out" --ranks 1,2,4,8 --per_device_eval_batch_size 8 \
    --output_dir "$out"
echo "a plot: $out/eval_ranks.svg"

step "After: its answers"
answer --adapter_name_or_path "$out"

step "For llama.cpp"
rm -f "$out.gguf"
"$mantissa" export --adapter_name_or_path "$out" --model_name_or_path "$model" \
    --output_dir "$out.gguf"

if [ -t 0 ] && [ -t 1 ]; then
    step "Your turn: ask, as above, and press Enter; Ctrl-D ends"
    "$mantissa" generate "$model" --adapter_name_or_path "$out" --chat --max_new_tokens 40 || true
fi

step "The adapter elsewhere"
cat <<EOF
llama.cpp:
    llama-cli -m $model --lora $PWD/$out.gguf
PEFT (beside the model as transformers has it):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    base = AutoModelForCausalLM.from_pretrained("HuggingFaceTB/SmolLM2-135M-Instruct")
    model = PeftModel.from_pretrained(base, "$PWD/$out")
One rank of it, as an adapter of its own:
    $mantissa export --adapter_name_or_path $out --rank 2 --output_dir $out-2
EOF
