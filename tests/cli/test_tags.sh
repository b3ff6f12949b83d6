#!/usr/bin/env bash
# Token classification: the files of a run, both forms of data, eval and predict with its model,
# words that are cut away or have no tokens, --label_all_tokens, adapters, and what is refused.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"

# as_json FILE: the sentences of a file of columns as lines of JSON.
as_json() {
    awk -F '\t' '
        function flush() {
            if (words != "")
                printf "{\"tokens\": [%s], \"ner_tags\": [%s]}\n", words, tags
            words = tags = ""
        }
        $1 == "-DOCSTART-" || $0 == "" { flush(); next }
        {
            words = words (words == "" ? "" : ", ") "\"" $1 "\""
            tags = tags (tags == "" ? "" : ", ") "\"" $2 "\""
        }
        END { flush() }' "$1"
}
# as_lines FILE: the words of a sentence with blanks between them; tags_of FILE: its tags.
as_lines() {
    as_json "$1" | sed -E 's/.*"tokens": \[([^]]*)\].*/\1/; s/", "/ /g; s/"//g'
}
tags_of() {
    as_json "$1" | sed -E 's/.*"ner_tags": \[([^]]*)\].*/\1/; s/", "/ /g; s/"//g'
}
as_json "$task/train.conll" >"$work/train.json"
as_json "$task/dev.conll" >"$work/dev.json"

metric() { # FOLDER KEY
    sed -nE "s/^ *\"eval_$2\": ([0-9.e+-]+),?$/\1/p" "$1/eval_results.json"
}
more=(--max_steps 120 --learning_rate 3e-3 --eval_strategy no --save_strategy no)
run 0 train "${tiny_tags[@]}" "${more[@]}" --output_dir "$work/columns"
run 0 train "${tiny_tags[@]}" "${more[@]}" --output_dir "$work/json" --train_file "$work/train.json" \
    --validation_file "$work/dev.json" --test_file "$work/dev.json"
has err 'note: words in "tokens", tags in "ner_tags": 5 tags'
has err "has no head for tokens: it was initialised"

# ---- the files of a run; both forms of the data are the same data
folder=$work/columns
has "$folder/config.json" '"BertForTokenClassification"'
has "$folder/config.json" '"B-animal"'
! grep -q problem_type "$folder/config.json" || fail "problem_type, which is of texts"
! grep -aq pooler "$folder/model.safetensors" || fail "a pooler, which nothing uses"
grep -aq classifier.weight "$folder/model.safetensors" || fail "no classifier"
cmp "$folder/model.safetensors" "$work/json/model.safetensors" || fail "JSON: another model"
cmp "$folder/predictions.txt" "$work/json/predictions.txt" || fail "JSON: other predictions"
has "$work/json/config.json" '"label_column_name": "ner_tags"'
[ "$(wc -l <"$folder/predictions.txt")" -eq 20 ] || fail "not a line for each sentence"
for key in precision recall f1 accuracy loss; do
    [ -n "$(metric "$folder" "$key")" ] || fail "no eval_$key"
done
awk -v f1="$(metric "$folder" f1)" 'BEGIN { exit !(f1 > 0.9) }' || fail "nothing was learned"
diff <(tags_of "$task/dev.conll") "$folder/predictions.txt" >"$work/wrong" || true
[ "$(grep -c '^>' "$work/wrong" || true)" -lt 5 ] || fail "other tags than the file has"

# ---- eval and predict give what the run gave
run 0 eval "$folder" --validation_file "$task/dev.conll" --output_dir "$work/evaluated"
run 0 eval "$work/json" --validation_file "$work/dev.json" --output_dir "$work/evaluated-json"
for key in precision recall f1 accuracy loss; do
    for other in evaluated evaluated-json; do
        [ "$(metric "$work/$other" "$key")" = "$(metric "$folder" "$key")" ] || fail "$other: $key"
    done
done
run 0 predict "$folder" --test_file "$task/dev.conll"
[ "$(head -n 1 "$work/out")" = tags ] || fail "header: $(head -n 1 "$work/out")"
tail -n +2 "$work/out" | cmp - "$folder/predictions.txt" || fail "predict: other tags"
as_lines "$task/dev.conll" >"$work/lines"
run 0 predict "$folder" --input "$work/lines" --per_device_eval_batch_size 3 --num_threads 3
tail -n +2 "$work/out" | cmp - "$folder/predictions.txt" || fail "lines: other tags"
sed 's/ /\t  /g; s/$/\r/' "$work/lines" >"$work/blanks"
run 0 predict "$folder" --input "$work/blanks"
tail -n +2 "$work/out" | cmp - "$folder/predictions.txt" || fail "tabs and CR LF: other tags"
cut -f 1 "$task/dev.conll" >"$work/words.conll"
run 0 predict "$work/json" --test_file "$work/words.conll" --max_predict_samples 7
tail -n +2 "$work/out" | cmp - <(head -n 7 "$folder/predictions.txt") || fail "without tags"
run 0 predict "$work/json" --test_file "$work/dev.json" --format jsonl
sed -E 's/.*"tags": \[([^]]*)\].*/\1/; s/", "/ /g; s/"//g' "$work/out" |
    cmp - "$folder/predictions.txt" || fail "jsonl: other tags"
sed -E 's/.*"tokens": \[([^]]*)\].*/\1/; s/", "/ /g; s/"//g' "$work/out" | cmp - "$work/lines" ||
    fail "jsonl: other words"

# ---- words that are cut away, and words without tokens
printf 'the old cat sleeps\n\nthe cat\n' >"$work/odd"
run 0 predict "$folder" --input "$work/odd" --max_seq_length 4
[ "$(sed -n 2p "$work/out" | wc -w)" -eq 2 ] && [ -z "$(sed -n 3p "$work/out")" ] || fail "cut"
has err "note: 1 of 3 rows were cut to --max_seq_length 4 tokens"
run 0 predict "$folder" --input "$work/odd" --max_seq_length 4 --format jsonl
[ "$(grep -c 'null, null\], "scores": \[0' "$work/out")" -eq 1 ] || fail "jsonl: cut words"
run 0 train "${tiny_tags[@]}" --do_train false --do_eval --model_name_or_path "$folder" \
    --output_dir "$work/cut" --max_seq_length 4
has err "20 of 20 sentences were cut to --max_seq_length 4 tokens: their last words"
[ "$(awk 'NF != 2' "$work/cut/predictions.txt" | wc -l)" -eq 0 ] || fail "tags of cut words"
printf '{"tokens": ["the", "", "cat", "\\u0007"]}\n' >"$work/odd.json"
run 0 predict "$folder" --test_file "$work/odd.json"
[ "$(sed -n 2p "$work/out" | awk '{ print NF, $2, $4 }')" = "4 O O" ] || fail "words without tokens"

# ---- names of keys, and --label_all_tokens: other targets, which the folder keeps
sed 's/"tokens"/"w"/; s/"ner_tags"/"t"/' "$work/dev.json" >"$work/named.json"
run 0 eval "$folder" --validation_file "$work/named.json" --text_column_name w \
    --label_column_name t --output_dir "$work/named"
[ "$(metric "$work/named" f1)" = "$(metric "$folder" f1)" ] || fail "other keys, another f1"
run 0 train "${tiny_tags[@]}" "${more[@]}" --output_dir "$work/all" --label_all_tokens
! cmp -s "$folder/model.safetensors" "$work/all/model.safetensors" || fail "--label_all_tokens"
for words in "" "--label_all_tokens false"; do
    read -ra words <<<"$words"
    run 0 eval "$work/all" --validation_file "$task/dev.conll" --output_dir "$work/again${#words[@]}" \
        "${words[@]}"
done
[ "$(metric "$work/again0" loss)" = "$(metric "$work/all" loss)" ] || fail "eval forgot --label_all_tokens"
[ "$(metric "$work/again2" loss)" != "$(metric "$work/all" loss)" ] || fail "--label_all_tokens false"

# ---- training goes on: the same tags keep their order, others get a new head
run 0 train "${tiny_tags[@]}" --max_steps 1 --model_name_or_path "$folder" --output_dir "$work/on" \
    --eval_strategy no --save_strategy no
! grep -q initialised "$work/err" || fail "the head was made anew"
sed 's/tool/TOOL/' "$task/train.conll" >"$work/other.conll"
run 0 train "${tiny_tags[@]}" --max_steps 1 --model_name_or_path "$folder" --output_dir "$work/other" \
    --eval_strategy no --save_strategy no --do_eval false --do_predict false \
    --train_file "$work/other.conll"
has err 'has a head for other labels ("B-animal", ...) than the data ("B-TOOL", ...): it was initialised'
run 0 train "${tiny[@]}" --max_steps 1 --output_dir "$work/texts" --eval_strategy no --save_strategy no
sed 's/tool/animal/' "$task/train.conll" >"$work/three.conll"
run 0 train "${tiny_tags[@]}" --max_steps 1 --model_name_or_path "$work/texts" --eval_strategy no \
    --output_dir "$work/from-texts" --save_strategy no --do_eval false --do_predict false \
    --train_file "$work/three.conll"
has err "has a head for another task: it was initialised"

# ---- an adapter
run 0 train "${tiny_tags[@]}" --method lora --learning_rate 1e-2 --output_dir "$work/lora" \
    --eval_strategy no --save_strategy no
has "$work/lora/adapter_config.json" '"task_type": "TOKEN_CLS"'
run 0 predict "$task/model" --adapter_name_or_path "$work/lora" --test_file "$task/dev.conll"
tail -n +2 "$work/out" | cmp - "$work/lora/predictions.txt" || fail "the adapter gives other tags"

# ---- refused, in one line
refused() { # TEXT WORDS...: of a training file
    refuse 1 "$1" train "${tiny_tags[@]}" --output_dir "$work/no" --train_file "$work/bad.$2" --task_name ner
}
printf 'the O\ncat\n' >"$work/bad.conll"
refused "$work/bad.conll:2: expected a word and its tag" conll
printf 'the O\ncat B-x y\n' >"$work/bad.conll"
refused "$work/bad.conll:2: expected 2 columns, as in line 1, found 3" conll
printf '{"tokens": ["a", "b"], "ner_tags": ["O"]}\n' >"$work/bad.json"
refused "$work/bad.json:1:42: expected a tag for each word, found 2 words and 1 tags" json
printf '{"tokens": ["a", "b"]}\n' >"$work/bad.json"
refused 'expected the key "ner_tags"' json
printf 'the O\ncat B-cow\n' >"$work/bad.conll"
refuse 1 "$work/bad.conll:2: expected one of the tags \"B-animal\", \"B-tool\"" eval "$folder" \
    --validation_file "$work/bad.conll"
refuse 2 "found architecture BertForTokenClassification" eval "$folder" --task_name squad \
    --validation_file "$task/questions.json" --doc_stride 6
refuse 2 "expected a model for token classification" eval "$work/texts" --task_name ner \
    --validation_file "$task/dev.conll"
refuse 2 "option --do_regression: words have tags" train "${more[@]}" --model_name_or_path "$folder" \
    --output_dir "$work/no" --train_file "$task/train.conll" --do_regression
refuse 2 "--task_name ner needs --train_file" train "${more[@]}" --model_name_or_path "$folder" \
    --output_dir "$work/no" --task_name ner --data_dir "$task"
refuse 2 "option --text_column_names names a key of .json files" eval "$folder" \
    --validation_file "$task/dev.conll" --text_column_name words
refuse 2 "option --label_all_tokens needs token classification" train "${tiny[@]}" \
    --output_dir "$work/no" --label_all_tokens
refuse 2 "a .conll file is given with --test_file" predict "$folder" --input "$task/dev.conll"
