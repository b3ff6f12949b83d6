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

# ---- names that only look like checkpoints are the user's
start() { # FOLDER: as good ended
    rm -rf "$1"
    cp -r "$work/good" "$1"
}
mine=(tmp-checkpoint-notes tmp-checkpoint-3 tmp-checkpoint-3-4-5 tmp-checkpoint-03-4
    checkpoint-best.old-2024 checkpoint-.old-1 checkpoint-007.old-3 checkpoint-007 checkpoint-3x
    checkpoint-best)
start "$work/names"
for name in "${mine[@]}"; do
    mkdir "$work/names/$name"
    echo precious >"$work/names/$name/file"
done
files=(checkpoint-3 checkpoint-99 tokenizer-notes.tmp-7 metrics.jsonl.old.tmp-7 config.json.tmp-x)
for name in "${files[@]}"; do echo precious >"$work/names/$name"; done
mkdir "$work/names/tmp-checkpoint-3-4" "$work/names/checkpoint-4.old-17"
touch "$work/names/vocab.txt.tmp-7"
still_there() {
    for name in "${mine[@]}"; do has "$work/names/$name/file" precious; done
    for name in "${files[@]}"; do has "$work/names/$name" precious; done
    for name in tmp-checkpoint-3-4 checkpoint-4.old-17 vocab.txt.tmp-7; do
        [ ! -e "$work/names/$name" ] || fail "left behind: $name"
    done
}
run 0 train "${tiny[@]}" --output_dir "$work/names" --resume_from_checkpoint last
still_there # and 99, 3 and 007 are no checkpoints: "last" was 4
run 0 train "${tiny[@]}" --output_dir "$work/names" --overwrite_output_dir --save_total_limit 1
still_there
[ ! -e "$work/names/checkpoint-2" ] || fail "a file was counted as a checkpoint"

# ---- without being asked, nothing of another run is written over
holds=(config.json model.safetensors model.safetensors.index.json vocab.txt tokenizer.json
    tokenizer_config.json special_tokens_map.json added_tokens.json trainer_state.json
    all_results.json eval_results.json train_results.json predict_results.txt metrics.jsonl)
for name in "${holds[@]}"; do
    rm -rf "$work/held"
    mkdir "$work/held"
    echo precious >"$work/held/$name"
    refuse 2 "held already holds $name: give --overwrite_output_dir, or" train "${tiny[@]}" \
        --output_dir "$work/held"
    refuse 2 "held already holds $name: give --overwrite_output_dir, or" train "${tiny[@]}" \
        --output_dir "$work/held" --resume_from_checkpoint "$work/good/checkpoint-2"
    [ "$(ls "$work/held")" = "$name" ] || fail "something was written: $(ls "$work/held")"
    has "$work/held/$name" precious
done
refuse 2 "good already holds checkpoint-4: give --overwrite_output_dir, --resume_from_checkpoint last" \
    train "${tiny[@]}" --output_dir "$work/good"
rm "$work/held/metrics.jsonl"
touch "$work/held/metrics.jsonl" # empty: a run that was stopped before its first step
ln -s "$work/held" "$work/way"
run 0 train "${tiny[@]}" --output_dir "$work/way"
run 0 train "${tiny[@]}" --output_dir "$work/way" --resume_from_checkpoint "$work/held/checkpoint-2"
rm -rf "$work/held"
mkdir -p "$work/held/config.json"
refuse 2 "held/config.json: expected nothing or a file" train "${tiny[@]}" \
    --output_dir "$work/held" --overwrite_output_dir

# A checkpoint of elsewhere: this folder's checkpoints and results are of another run.
run 0 train "${tiny[@]}" --output_dir "$work/seeded" --seed 7 --save_steps 1
echo '{"predict": 1}' >"$work/seeded/eval_results.json"
run 0 train "${tiny[@]}" --output_dir "$work/seeded" --overwrite_output_dir \
    --resume_from_checkpoint "$work/good/checkpoint-2"
[ "$(cd "$work/seeded" && echo checkpoint-*)" = checkpoint-4 ] || fail "$(ls "$work/seeded")"
cmp "$work/good/model.safetensors" "$work/seeded/model.safetensors" || fail "another model"

# ---- what is read is not written over
cp -r "$task/model" "$work/base"
cp "$task/train.tsv" "$task/dev.tsv" "$work"
find "$work/base" "$work/train.tsv" "$work/dev.tsv" -type f -print0 | sort -z |
    xargs -0 sha256sum >"$work/before"
here=(--model_name_or_path "$work/base" --train_file "$work/train.tsv"
    --validation_file "$work/dev.tsv" --overwrite_output_dir)
there=("${here[@]}" --output_dir "$work/there")
ln -s base "$work/same"
ln -s train.tsv "$work/log.jsonl"
ln "$work/base/config.json" "$work/hard"
refuse 2 "both --output_dir and the model to start from" train "${tiny[@]}" "${here[@]}" \
    --output_dir "$work/same"
refuse 2 "train.tsv is read by this run" train "${tiny[@]}" "${there[@]}" \
    --metrics_file "$work/train.tsv"
refuse 2 "dev.tsv is read by this run" train "${tiny[@]}" "${there[@]}" \
    --metrics_file "$work/../${work##*/}/dev.tsv"
refuse 2 "train.tsv is read by this run" train "${tiny[@]}" "${there[@]}" \
    --metrics_file "$work/log.jsonl"
refuse 2 "is in the model folder" train "${tiny[@]}" "${there[@]}" --metrics_file "$work/same/log"
refuse 2 "is in the model folder" train "${tiny[@]}" "${there[@]}" \
    --metrics_file "$work/base/vocab.txt"
refuse 2 "base/config.json of the model" train "${tiny[@]}" "${there[@]}" --metrics_file "$work/hard"
refuse 2 "the run writes something else into" train "${tiny[@]}" "${there[@]}" \
    --metrics_file "$work/there/model.safetensors"
start "$work/inputs"
awk -F '\t' 'NR > 1 { printf "{\"text\": \"%s\", \"label\": \"%s\"}\n", $1, $2 }' "$task/dev.tsv" \
    >"$work/inputs/eval_results.json"
cp "$work/inputs/eval_results.json" "$work/rows"
refuse 2 "eval_results.json is read by this run, which would write over it" train "${tiny[@]}" \
    --validation_file "$work/inputs/eval_results.json" --output_dir "$work/inputs" \
    --overwrite_output_dir
cmp "$work/rows" "$work/inputs/eval_results.json" || fail "an input was changed"
find "$work/base" "$work/train.tsv" "$work/dev.tsv" -type f -print0 | sort -z |
    xargs -0 sha256sum | cmp - "$work/before" || fail "what is read was changed"
[ ! -e "$work/there/model.safetensors" ] || fail "a refused run wrote a model"

# The folder itself may be the model when it is resumed.
start "$work/resumed"
run 0 train "${tiny[@]}" --output_dir "$work/resumed" --model_name_or_path "$work/resumed" \
    --resume_from_checkpoint "$work/resumed/checkpoint-2"
cmp "$work/good/model.safetensors" "$work/resumed/model.safetensors" || fail "another model"

# ---- results of the run before: gone when a run begins anew, kept when one goes on
start "$work/results"
echo '{"predict_samples": 3}' >"$work/results/all_results.json"
echo '{"old": 1}' >"$work/results/notes_results.json"
touch "$work/results/predict_results.txt" "$work/results/predict_results_mm.txt"
run 0 train "${tiny[@]}" --output_dir "$work/results" --resume_from_checkpoint last
has "$work/results/all_results.json" predict_samples
[ -e "$work/results/predict_results.txt" ] || fail "a resumed run removed a result"
run 0 train "${tiny[@]}" --output_dir "$work/results" --overwrite_output_dir --no_do_eval \
    --eval_strategy no --metrics_file "$work/elsewhere.jsonl"
! grep -q 'predict_samples\|eval_' "$work/results/all_results.json" || fail "results are mixed"
for name in predict_results.txt predict_results_mm.txt eval_results.json metrics.jsonl; do
    [ ! -e "$work/results/$name" ] || fail "$name of the former run is still there"
done
[ -e "$work/results/notes_results.json" ] || fail "a file that is not ours was removed"

# ---- old checkpoints that cannot be removed: said, and training goes on
start "$work/odd"
ln -s vocab.txt "$work/odd/checkpoint-2/link"
mkdir "$work/odd/tmp-checkpoint-1-1"
ln -s nowhere "$work/odd/tmp-checkpoint-1-1/link"
for again in 1 2; do
    run 0 train "${tiny[@]}" --output_dir "$work/odd" --save_total_limit 1 --save_steps 1 \
        --resume_from_checkpoint "$work/odd/checkpoint-2"
    has err "note: left by an earlier run: $work/odd/tmp-checkpoint-1-1/link: expected a plain file"
    has err "note: an old checkpoint stays: $work/odd/checkpoint-2: "
    [ "$(grep -c "an old checkpoint stays" "$work/err")" -eq 1 ] || fail "said more than once"
    [ "$(cd "$work/odd" && echo *checkpoint-*)" = "checkpoint-2 checkpoint-4 tmp-checkpoint-1-1" ] ||
        fail "$again: $(ls "$work/odd")"
    [ -s "$work/odd/checkpoint-2/optimizer.safetensors" ] || fail "a part was removed"
done
cmp "$work/good/model.safetensors" "$work/odd/model.safetensors" || fail "another model"
run 1 train "${tiny[@]}" --output_dir "$work/odd" --overwrite_output_dir
has err "mantissa: error: $work/odd/checkpoint-2: "
[ -s "$work/odd/all_results.json" ] || fail "a run that did not begin removed results"

# ---- the final model: all of its files or none
# The same words under other ids: a model that must not be read with another's vocabulary.
cp -r "$task/model" "$work/other"
{ head -n 5 "$task/model/vocab.txt" && tail -n +6 "$task/model/vocab.txt" | sort -r; } \
    >"$work/other/vocab.txt"
! cmp -s "$task/model/vocab.txt" "$work/other/vocab.txt" || fail "the vocabularies are the same"
other=(--model_name_or_path "$work/other" --overwrite_output_dir --save_strategy no)
parts=(config.json model.safetensors vocab.txt trainer_state.json)

# Tokenizer files of another model, which readers would prefer, do not stay.
start "$work/stale"
for name in tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json; do
    echo '{"added_tokens": 7}' >"$work/stale/$name"
done
run 0 train "${tiny[@]}" "${other[@]}" --output_dir "$work/stale"
cp -r "$work/stale" "$work/new"
cmp "$work/other/vocab.txt" "$work/new/vocab.txt" || fail "another vocabulary"
[ -z "$(find "$work/new" -name 'tokenizer*' -o -name 'special*' -o -name 'added*')" ] ||
    fail "stale tokenizer files: $(ls "$work/new")"
printf 'A cat sleeps\n' >"$work/texts"
run 0 predict "$work/new" --input "$work/texts"

# A full disk leaves the model that was there.
start "$work/full"
(
    trap '' XFSZ
    ulimit -f 100
    run 1 train "${tiny[@]}" "${other[@]}" --output_dir "$work/full"
)
has err "cannot write: File too large"
for name in "${parts[@]}"; do
    cmp "$work/good/$name" "$work/full/$name" || fail "a failed run changed $name"
done
[ -z "$(find "$work/full" -name '*tmp-*')" ] || fail "left behind: $(ls "$work/full")"

# Killed while it is written: the old model, the new one, or a folder that is no model.
same_parts() { # FOLDER
    local name
    for name in config.json model.safetensors vocab.txt; do
        cmp -s "$1/$name" "$work/cut/$name" || return 1
    done
}
killed=0
for round in 1 2 3 4 5 6 7 8; do
    start "$work/cut"
    "$mantissa" train "${tiny[@]}" "${other[@]}" --output_dir "$work/cut" >"$work/out" 2>"$work/err" &
    job=$!
    while kill -0 "$job" 2>/dev/null && ! compgen -G "$work/cut/tmp-checkpoint-*" >/dev/null; do :; done
    for ((wait = 0; wait < round * 400; wait++)); do :; done
    if kill -KILL "$job" 2>/dev/null; then killed=$((killed + 1)); fi
    wait "$job" 2>/dev/null || true
    if [ -e "$work/cut/config.json" ]; then
        same_parts "$work/good" || same_parts "$work/new" || fail "round $round: a mixed folder"
    else
        refuse 1 "config.json" predict "$work/cut" --input "$work/texts"
    fi
    run 0 train "${tiny[@]}" "${other[@]}" --output_dir "$work/cut"
    same_parts "$work/new" || fail "round $round: not the new model"
    [ -z "$(find "$work/cut" -name '*tmp-*' -o -name '*.old')" ] || fail "left: $(ls "$work/cut")"
done
echo "$killed kills while the final model was written"
