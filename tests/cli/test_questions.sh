#!/usr/bin/env bash
# Question answering: the files of a run, eval and predict with its model, answers as parts of their
# paragraphs, and what is refused.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

write_questions 0 60 0 >"$work/train-v1.json"
write_questions 100 20 0 >"$work/dev-v1.json"

v1=$work/v1 v2=$work/v2
more=(--max_steps 160 --learning_rate 3e-3 --eval_strategy no --save_strategy no --do_predict)
run 0 train "${tiny_questions[@]}" "${more[@]}" --version_2_with_negative false \
    --train_file "$work/train-v1.json" --validation_file "$work/dev-v1.json" \
    --test_file "$work/dev-v1.json" --output_dir "$v1"
run 0 train "${tiny_questions[@]}" "${more[@]}" --test_file "$task/dev.json" --output_dir "$v2"

# ---- the files of a run
for folder in "$v1" "$v2"; do
    has "$folder/config.json" '"BertForQuestionAnswering"'
    ! grep -q problem_type "$folder/config.json" || fail "$folder: problem_type, which is of classifiers"
    for split in eval predict; do
        for name in predictions nbest_predictions; do
            [ -s "$folder/${split}_$name.json" ] || fail "$folder: no ${split}_$name.json"
        done
    done
    cmp "$folder/eval_predictions.json" "$folder/predict_predictions.json" ||
        fail "$folder: a file as test file has other answers than as validation file"
done
for split in eval predict; do
    [ -s "$v2/${split}_null_odds.json" ] || fail "no ${split}_null_odds.json"
    [ ! -e "$v1/${split}_null_odds.json" ] || fail "${split}_null_odds.json without such questions"
done
[ "$(grep -c '": ""' "$v2/eval_predictions.json")" -gt 0 ] || fail "all questions have an answer"
! grep -q '": ""' "$v1/eval_predictions.json" || fail "a question has no answer"
has "$v2/config.json" '"version_2_with_negative": true'

# ---- eval gives what the run gave
metric() { # FILE KEY
    sed -nE "s/.*\"eval_$2\": *([-0-9.e]+).*/\1/p" "$1" | tail -n 1
}
same_metrics() { # FOLDER FILE KEYS...
    local folder=$1 file=$2 key
    shift 2
    rm -rf "$work/evaluated"
    run 0 eval "$folder" --validation_file "$file" --output_dir "$work/evaluated"
    for key in loss f1 "$@"; do
        [ -n "$(metric "$folder/eval_results.json" "$key")" ] || fail "$folder: no $key"
        [ "$(metric "$work/evaluated/eval_results.json" "$key")" = "$(metric "$folder/eval_results.json" "$key")" ] ||
            fail "$folder: eval gives another $key"
    done
    cmp "$folder/eval_predictions.json" "$work/evaluated/eval_predictions.json" ||
        fail "$folder: eval gives other answers"
}
same_metrics "$v1" "$work/dev-v1.json" exact_match
same_metrics "$v2" "$task/dev.json" exact HasAns_f1 NoAns_exact best_f1_thresh

# ---- predict: lines and files, both formats
# Questions with their paragraphs as lines, ids apart.
sed -nE 's/.*"context": "([^"]*)".*/\1/p' "$task/dev.json" >"$work/paragraphs"
sed -nE 's/.*"question": "([^"]*)".*/\1/p' "$task/dev.json" | paste - "$work/paragraphs" \
    >"$work/lines"
sed -nE 's/.*"id": "([^"]*)".*/\1/p' "$task/dev.json" >"$work/ids"
[ "$(wc -l <"$work/lines")" -eq 20 ] || fail "not a line for each question"

# are_parts FILE PARAGRAPHS: "answer, score, start, end" of each line, with tabs between them, names
# the characters of the paragraph that are the answer.
are_parts() {
    paste "$1" "$2" | awk -F '\t' '
        function part(text, begin, end,    i, out) {
            for (i = 0; i < end && match(text, /^[^\200-\277][\200-\277]*/); i++) {
                if (i >= begin)
                    out = out substr(text, 1, RLENGTH)
                text = substr(text, RLENGTH + 1)
            }
            return out
        }
        part($5, $3, $4) != $1 || $2 < 0 || $2 > 1 || ($1 == "" && $3 + $4 > 0) { exit 1 }' ||
        fail "$1: an answer is not the part of its paragraph"
}
as_tsv() { # JSONL
    sed -E 's/^\{("id": "([^"]*)", )?"answer": "([^"]*)", "score": ([^,]*), "start": ([0-9]*), "end": ([0-9]*)\}$/\3\t\4\t\5\t\6/' "$1"
}
for folder in "$v1" "$v2"; do
    run 0 predict "$folder" --input "$work/lines"
    [ "$(head -n 1 "$work/out")" = $'answer\tscore\tstart\tend' ] || fail "header: $(head -n 1 "$work/out")"
    tail -n +2 "$work/out" >"$work/rows"
    [ "$(wc -l <"$work/rows")" -eq 20 ] || fail "not an answer for each line"
    are_parts "$work/rows" "$work/paragraphs"
    "$mantissa" predict "$folder" <"$work/lines" | tail -n +2 | cmp - "$work/rows" ||
        fail "standard input: other answers"
    run 0 predict "$folder" --input "$work/lines" --format jsonl
    as_tsv "$work/out" | cmp - "$work/rows" || fail "jsonl: other answers"
    run 0 predict "$folder" --test_file "$task/dev.json"
    [ "$(head -n 1 "$work/out")" = $'id\tanswer\tscore\tstart\tend' ] || fail "header with ids"
    tail -n +2 "$work/out" | cmp - <(paste "$work/ids" "$work/rows") || fail "--test_file: tsv"
    run 0 predict "$folder" --test_file "$task/dev.json" --format jsonl
    as_tsv "$work/out" | cmp - "$work/rows" || fail "--test_file: jsonl"
    [ "$(head -n 1 "$work/out" | cut -c 1-14)" = '{"id": "q100",' ] || fail "ids in jsonl"
done
grep -q '[^ -~]' <(cut -f 1 "$work/rows") || fail "no answer with a letter that is not ASCII"

# ... and the answers of the run.
same_answers() { # FOLDER FILE
    run 0 predict "$1" --test_file "$2"
    tail -n +2 "$work/out" | cut -f 1,2 >"$work/rows"
    sed -nE 's/^ *"(q[0-9]*)": "(.*)",?$/\1\t\2/p' "$1/predict_predictions.json" |
        sed 's/\\u00e9/é/g; s/\\u00eb/ë/g' | cmp - "$work/rows" || fail "$1: other answers than do_predict"
}
same_answers "$v1" "$work/dev-v1.json"
same_answers "$v2" "$task/dev.json"
run 0 predict "$v2" --test_file "$task/dev.json" --max_predict_samples 3
[ "$(wc -l <"$work/out")" -eq 4 ] || fail "--max_predict_samples"
run 0 predict "$v2" --test_file "$task/dev.json" --null_score_diff_threshold 1e9
! grep -q $'\t\t' "$work/out" || fail "no answer, whatever the threshold"
run 0 predict "$v2" --input "$work/lines" --null_score_diff_threshold -1e9
! tail -n +2 "$work/out" | grep -qv $'^\t' || fail "an answer, whatever the threshold"

# ---- long paragraphs: the batch and the threads leave no trace, and no token is out of reach
awk -F '\t' 'NR % 4 == 1 { if (text != "") print question "\t" text; question = $1; text = $2; next }
    { text = text " " $2 }
    END { print question "\t" text }' "$work/lines" >"$work/long"
cut -f 2 "$work/long" >"$work/long-paragraphs"
for folder in "$v1" "$v2"; do
    for stride in 2 9; do
        run 0 predict "$folder" --input "$work/long" --doc_stride "$stride" --num_threads 1 \
            --per_device_eval_batch_size 1
        tail -n +2 "$work/out" >"$work/rows"
        are_parts "$work/rows" "$work/long-paragraphs"
        for words in "1 --num_threads 3" "3 --num_threads 2" "64 --num_threads 1"; do
            read -ra words <<<"$words"
            run 0 predict "$folder" --input "$work/long" --doc_stride "$stride" \
                --per_device_eval_batch_size "${words[@]}"
            tail -n +2 "$work/out" | cmp - "$work/rows" || fail "another answer: batches of ${words[*]}"
        done
    done
done
[ "$(cut -f 3 "$work/rows" | sort -n | tail -n 1)" -gt 80 ] || fail "no answer in a later window"
! grep -q "were cut" "$work/err" || fail "a note about cut rows; nothing is cut"

# ---- lines out of the ordinary
# Each line as above, with the ends of another system.
run 0 predict "$v1" --input "$work/lines"
cp "$work/out" "$work/rows"
sed 's/$/\r/' "$work/lines" >"$work/crlf"
run 0 predict "$v1" --input "$work/crlf"
cmp "$work/out" "$work/rows" || fail "lines that end in CR LF"
sed 's/$/\r/' "$task/dev.json" >"$work/crlf.json"
run 0 predict "$v1" --test_file "$work/crlf.json"
tail -n +2 "$work/out" | cut -f 2- | cmp - <(tail -n +2 "$work/rows") || fail "a file with CR LF"
# No paragraph: no answer, not the "empty" of run_qa.py's files.  No question: as run_qa.py.
printf 'the cat\t\n\t\n' >"$work/odd"
for folder in "$v1" "$v2"; do
    run 0 predict "$folder" --input "$work/odd"
    tail -n +2 "$work/out" >"$work/rows"
    [ "$(cut -f 1,3,4 "$work/rows")" = "$(printf '\t0\t0\n\t0\t0')" ] || fail "an answer in nothing"
done
printf '\tThe cat is far away.\n' >"$work/odd"
run 0 predict "$v1" --input "$work/odd"
tail -n +2 "$work/out" >"$work/rows"
cut -f 2 "$work/odd" >"$work/odd-paragraphs"
are_parts "$work/rows" "$work/odd-paragraphs"
[ -n "$(cut -f 1 "$work/rows")" ] || fail "no answer to an empty question"
# Characters of four bytes, and bytes that are none: each piece is U+FFFD, as Python reads it.
printf 'the cat\t\360\237\230\200 \346\227\245 The cat is far away\n' >"$work/odd"
printf 'the cat\t\377\200 \342\202 \355\240\200 The cat is far away\n' >>"$work/odd"
run 0 predict "$v1" --input "$work/odd"
! grep -q $'^\t' "$work/out" || fail "no answer behind characters of several bytes"
are_parts <(sed -n 2p "$work/out") <(sed -n 1p "$work/odd" | cut -f 2)
bad=$'\357\277\275'
are_parts <(sed -n 3p "$work/out") <(echo "$bad$bad $bad $bad$bad$bad The cat is far away")
printf 'the cat\tThe\200cat\n' >"$work/odd"
for format in tsv jsonl; do
    run 0 predict "$v1" --input "$work/odd" --format "$format" --max_answer_length 1
    ! grep -q $'\200c' "$work/out" || fail "$format: a result that is not UTF-8"
done

# ---- refused: nothing but the header, or the answers before it, is printed
refused() { # STATUS TEXT WORDS...
    run "$1" predict "${@:3}"
    has err "$2"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "more than one line of error"
    [ "$(wc -l <"$work/out")" -le 1 ] || fail "results although it was refused"
}
printf 'the cat\tThe cat\nthe cat The cat\n' >"$work/bad"
refused 2 "option --doc_stride: expected less than --max_seq_length 24, found 24" "$v1" \
    --input "$work/lines" --doc_stride 24
refused 1 "$work/bad:2: expected a question and a paragraph with a tab" "$v1" --input "$work/bad"
printf 'the cat\tThe cat\n\n' >"$work/bad"
refused 1 "$work/bad:2: expected a question and a paragraph with a tab" "$v1" --input "$work/bad"
printf 'the cat\tThe\tcat\n' >"$work/bad"
refused 1 "$work/bad:1: expected one text, or two with one tab" "$v1" --input "$work/bad"
long=$(printf 'the cat %.0s' {1..20})
printf 'the cat\tThe cat\n%s\tThe cat\n' "$long" >"$work/bad"
refused 2 "question 2: maximum length 24: the first text of 40 tokens leaves room for 0" "$v1" \
    --input "$work/bad"
(sed -n 1p "$work/bad" && for _ in {1..40}; do sed -n 1p "$work/bad"; done && sed -n 2p "$work/bad") \
    >"$work/bad-later"
run 2 predict "$v1" --input "$work/bad-later" --per_device_eval_batch_size 1
has err "after the first 32: question 10: maximum length 24"
[ "$(wc -l <"$work/out")" -eq 33 ] || fail "not the answers before the one that was refused"
printf '{"data": [{"id": "x", "context": "The cat", "question": "%s"}]}' "$long" >"$work/bad.json"
refused 2 "question 1: maximum length 24" "$v1" --test_file "$work/bad.json"

# ---- a model for one kind of task and data of the other
labels=$work/labels
run 0 train "${tiny[@]}" --output_dir "$labels" --max_steps 2 --save_strategy no --eval_strategy no
run 0 predict "$labels" --input "$work/lines"
[ "$(wc -l <"$work/out")" -eq 21 ] || fail "pairs for a model that labels texts"
[ "$(head -c 6 "$work/out")" = $'label\t' ] || fail "not labels"
run 0 predict "$labels" --test_file "$task/dev.tsv"
refuse 1 "$task/dev.json:1" predict "$labels" --test_file "$task/dev.json"
refuse 1 "$task/dev.json:1" eval "$labels" --validation_file "$task/dev.json"
refuse 1 "$task/dev.tsv:1" predict "$v1" --test_file "$task/dev.tsv"
refuse 1 "$task/dev.tsv:1" eval "$v1" --validation_file "$task/dev.tsv"
refuse 2 "found architecture BertForSequenceClassification" eval "$labels" --task_name squad \
    --validation_file "$task/dev.json" --doc_stride 6
