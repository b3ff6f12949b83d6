# shellcheck shell=bash
# For tests of whole runs: the tiny task (support/tiny_task.h) in $task, and what two runs must
# share.  Sourced with the arguments of expect.sh.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
export OMP_WAIT_POLICY=passive
tools=$2
task=$work/task
"$tools/make_tiny_task" "$task"
# shellcheck disable=SC2034 # used by those who source this
tiny=(--model_name_or_path "$task/model" --train_file "$task/train.tsv"
    --validation_file "$task/dev.tsv" --max_seq_length 24 --per_device_train_batch_size 4
    --max_steps 30 --learning_rate 1e-3 --warmup_steps 3 --weight_decay 0.01 --logging_steps 1
    --eval_strategy steps --eval_steps 10 --num_threads 2)

# write_questions FIRST N NONE: questions first ... first + n - 1 in the form of SQuAD, each about a
# paragraph of its own; every NONE-th has no answer there (0: each has one).  "é" and "ë" are one
# character each, and two bytes.
write_questions() {
    awk -v first="$1" -v n="$2" -v none="$3" 'BEGIN {
        nouns = split("cat dog horse mouse bread soup cake rice hammer saw", noun)
        places = split("on our table|in the kitchen|far away|in a café|on old steel", place, "|")
        printf "{\"data\": ["
        for (i = first; i < first + n; i++) {
            a = 1 + i % nouns
            b = 1 + (a + 2 + i % 7) % nouns
            here = place[1 + int(i / 3) % places]
            there = place[1 + (i * 3 + 1) % places]
            before = "The " noun[a] " is "
            middle = before here ". Noël: my " noun[b] " is "
            answered = none == 0 || i % none > 0
            asked = !answered ? "drill" : i % 2 ? noun[b] : noun[a]
            printf "%s{\"paragraphs\": [{\"context\": \"%s.\",\n", (i > first ? ",\n" : ""), middle there
            printf "  \"qas\": [{\"id\": \"q%d\", \"question\": \"the %s\", ", i, asked
            if (i % 2)
                before = middle
            gsub(/[\200-\277]/, "", before)
            answer = sprintf("{\"text\": \"%s\", \"answer_start\": %d}",
                i % 2 ? there : here, length(before))
            printf "\"answers\": [%s]}]}]}", answered ? answer : ""
        }
        print "]}"
    }'
}
write_questions 0 60 5 >"$task/questions.json"
write_questions 100 20 5 >"$task/dev.json"
# shellcheck disable=SC2034 # used by those who source this
tiny_questions=("${tiny[@]}" --train_file "$task/questions.json" --validation_file "$task/dev.json"
    --doc_stride 6 --version_2_with_negative)

# write_tags FIRST N: sentences of words with tags in columns (CoNLL), animals and tools, some of two
# words and of several tokens.
write_tags() {
    awk -v first="$1" -v n="$2" 'BEGIN {
        animals = split("cat dog horses mouse sheep", animal)
        tools = split("hammer saws drill file steel", tool)
        print "-DOCSTART-\tO\n"
        for (i = first; i < first + n; i++) {
            print (i % 2 ? "The" : "our") "\tO"
            if (i % 3 == 0)
                print "old\tB-animal"
            print animal[1 + i % animals] "\t" (i % 3 == 0 ? "I" : "B") "-animal"
            print "sleeps\tO\nbehind\tO\nthe\tO"
            if (i % 4 == 1)
                print "blue\tB-tool"
            print tool[1 + (i * 3 + int(i / 5)) % tools] "\t" (i % 4 == 1 ? "I" : "B") "-tool"
            if (i % 5 == 0)
                print "today\tO"
            print ".\tO\n"
        }
    }'
}
write_tags 0 60 >"$task/train.conll"
write_tags 100 20 >"$task/dev.conll"
# shellcheck disable=SC2034 # used by those who source this
tiny_tags=("${tiny[@]}" --train_file "$task/train.conll" --validation_file "$task/dev.conll"
    --test_file "$task/dev.conll" --do_predict)

# A sanitizer makes every process slow: a test may do fewer of the same kind then.
sanitized() {
    [ -n "${MANTISSA_SANITIZED:-}" ]
}

# A log without the numbers that depend on the clock.
without_clock() { # FILE
    sed -E 's/"((tokens|(train|eval)_(samples|steps))_per_second|(train|eval)_runtime)": [^,}]*//g' "$1"
}

# The state of a checkpoint without the clock, and without the folder it was made in.
state_of() { # CHECKPOINT
    without_clock "$1/trainer_state.json" | grep -v '"best_model_checkpoint"'
}

# same_checkpoint A B: the same weights, optimizer, counters and history.
same_checkpoint() {
    local file
    for file in model.safetensors optimizer.safetensors config.json vocab.txt; do
        cmp "$1/$file" "$2/$file" || fail "$2/$file differs"
    done
    cmp <(state_of "$1") <(state_of "$2") || fail "$2/trainer_state.json differs"
}

# same_run A B: the same final model, answers if there are any, log, and checkpoint of step 30.
same_run() {
    local file
    cmp "$1/model.safetensors" "$2/model.safetensors" || fail "$2: another model"
    for file in eval_nbest_predictions.json eval_null_odds.json predictions.txt; do
        [ ! -e "$1/$file" ] || cmp "$1/$file" "$2/$file" || fail "$2: another $file"
    done
    cmp <(without_clock "$1/metrics.jsonl") <(without_clock "$2/metrics.jsonl") ||
        fail "$2: another log"
    same_checkpoint "$1/checkpoint-30" "$2/checkpoint-30"
}
