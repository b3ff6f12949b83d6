#!/usr/bin/env bash
# Where the time of a training step goes, by part: `perf` on bench_step, set-up left out.
#
# usage: bench/breakdown.sh [--build FOLDER] [--steps N] [--warmup N] [--list] [BENCH_STEP OPTIONS]
#
#   --build   build folder; default: build/breakdown, configured and built here
#   --steps   steps to sample (default 5), after --warmup others (default 2)
#   --list    also the functions of each part
#   others    of bench_step: --shape, --precision (one; default int8), --threads, --group, ...
#
# bench_step --serve does a step for each line that it reads; perf watches it from the end of the
# warm-up on.  It samples the clock of each thread while that runs, so shares are of
#
#     threads x seconds of the steps = samples + waiting
#
# and "waiting" is the rest: threads asleep, and processors taken by other programs.  Time in the
# OpenMP library (spinning, falling asleep) is "waiting" too.  The library itself is not
# instrumented; the only difference is a build with frame pointers, by which products of attention
# are told from those of layers.  Code that oneDNN generates for fp32 and bf16 has no names and no
# frames: all of it counts as products of layers.  Parts are found by the names of functions, in the
# table below; what it does not know is "other", and listed.
# Without perf, or permission to use it: exit 77.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build/breakdown steps=5 warmup=2 list=0 own=true
options=(--precision int8)
threads=2
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2 own=false && shift 2 ;;
    --steps) steps=$2 && shift 2 ;;
    --warmup) warmup=$2 && shift 2 ;;
    --list) list=1 && shift ;;
    -h | --help) sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit 0 ;;
    --threads) threads=$2 && shift 2 ;;
    *)
        [ $# -ge 2 ] || { echo "breakdown.sh: $1 needs a value; see --help" >&2 && exit 2; }
        options+=("$1" "$2") && shift 2
        ;;
    esac
done
# of options given twice, bench_step takes the last
options+=(--threads "$threads")

if ! perf --version >/dev/null 2>&1; then
    echo "skipped: perf is not installed"
    exit 77
fi
work=$(mktemp -d)
served=''
finish() {
    [ -z "$served" ] || kill "$served" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
if ! perf record -q -e cpu-clock -o "$work/try" true >"$work/log" 2>&1; then
    echo "skipped: perf may not sample here: $(grep -m1 . "$work/log")"
    exit 77
fi

if $own; then
    if ! { cmake -S "$top" -B "$build" -DCMAKE_C_FLAGS=-fno-omit-frame-pointer &&
        cmake --build "$build" --target bench_step; } >"$work/log" 2>&1; then
        tail -n 20 "$work/log"
        exit 1
    fi
fi

# ---------------------------------------------------------------------------------- the samples
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000}
mkfifo "$work/in" "$work/out"
"$build/bench/bench_step" --serve "${options[@]}" <"$work/in" >"$work/out" &
served=$!
exec 3>"$work/in" 4<"$work/out"
read -r ready <&4 || exit 1
one_step() { # its line of JSON
    echo >&3
    read -r answer <&4 || { echo "bench_step ended early" >&2 && exit 1; }
    echo "$answer"
}
for ((i = 0; i < warmup; i++)); do one_step >/dev/null; done

perf record -q -e cpu-clock -F 997 -g -p "$served" -o "$work/perf" >"$work/log" 2>&1 &
perf=$!
sleep 1 # perf attaches; bench_step sleeps meanwhile, which gives no samples
for ((i = 0; i < steps; i++)); do one_step; done >"$work/steps"
kill -INT "$perf"
wait "$perf" || true
exec 3>&- 4<&-
wait "$served" || true
served=''

# Period (ns), then the functions of each sample from the inside out, on one line.
perf script -i "$work/perf" -F period,ip,sym,dso 2>/dev/null | awk '
    NF == 0 { if (line != "") print line; line = ""; next }
    line == "" { line = $1; next }
    { name = $2; sub(/\+0x[0-9a-f]+$/, "", name); line = line " " name "@" $NF }
    END { if (line != "") print line }' >"$work/stacks"

# ------------------------------------------------------------------------------------ the parts
seconds=$(sed -n 's/.*"seconds": \([0-9.]*\).*/\1/p' "$work/steps" | awk '{s += $1} END {print s}')
echo "${ready/ready/precision}"
echo "$steps steps of $(awk "BEGIN {printf \"%.4f\", $seconds / $steps}") s on average," \
    "$(wc -l <"$work/stacks") samples"
awk -v threads="$threads" -v seconds="$seconds" -v list="$list" '
    # The part of a sample: the innermost function decides, and for products the callers.
    function part_of(    i, f, all) {
        f = name[1]
        for (i = 1; i <= frames; i++) all = all " " name[i]
        if (dso[1] ~ /libgomp|libomp|libiomp/ || all ~ / [a-z_]*futex/) return "waiting"
        if (f ~ /^(gemm_[spu][0-9]|tile_store|tile_add|store_tile|run_tile|run_whole|run_job|add_chunk|gemm_run)/ ||
            f ~ /^(configure_tiles|release_tiles|make_job)/ || dso[1] ~ /dnnl/)
            return all ~ / (attention_[a-z]*ward|attention_head|run_heads)/ ? \
                "products of attention" : "products of layers"
        if (f == "[unknown]" && dso[1] ~ /anon|unknown|jit|perf-[0-9]+.map/) return "products of layers"
        if (f ~ /^(pack_|gemm_pack|expand_scales|take_storage|store_corrections|scatter|shape_operand)/)
            return "packing"
        if (f ~ /^(quantize|dequantize|max_abs|map_|qmatrix|row_m|column_m|column_q|tensor_m)/ ||
            f ~ /^(tensor_q|block_map|find_tensor_exponent|format_|max_piece|make_operand)/ ||
            f ~ /^(to_bf16|from_bf16|linear_input_set|measure_)/)
            return "mapping"
        if (f ~ /^(adamw|sgd|int16_|step_piece|step_strip|param_piece|optimizer_)/ ||
            all ~ / (optimizer_step|clip_gradients|step_pieces?|sum_pieces)/)
            return "optimizer and clipping"
        if (f ~ /^(add|softmax|activation_|dropout|drop|layernorm|norm_|accumulate|act_)/ ||
            f ~ /^(embedding|forward_row|backward_rows|sum_|finite_piece|isqrt|loss_)/ ||
            f ~ /^(nonlinearity_|collect_rows|add_sums|mix_|project_|output_row|param_strip)/ ||
            f ~ /^(multiply_s|kept_part|probabilities|attention_|run_heads|exec_|linear_|bert_)/)
            return "element-wise"
        if (dso[1] ~ /kernel|^\(\[/) return "system"
        if (dso[1] ~ /libm|libc/) return all ~ / (attention_|bert_|layernorm_)/ ? \
            "element-wise" : "other"
        return "other"
    }
    {
        frames = NF - 1
        for (i = 1; i <= frames; i++) {
            at = match($(i + 1), /@[^@]*$/)
            name[i] = substr($(i + 1), 1, at - 1)
            dso[i] = substr($(i + 1), at + 1)
            sub(/\.(isra|part|constprop|cold|_omp_fn).*$/, "", name[i])
        }
        part = part_of()
        time[part] += $1 * 1e-9
        inside[part, name[1]] += $1 * 1e-9
        functions[part, name[1]] = 1
        sum += $1 * 1e-9
    }
    END {
        total = threads * seconds
        largest = "sort -k1,1nr | head -n 12"
        time["waiting"] += total - sum
        order = "products of layers|products of attention|packing|mapping|element-wise|" \
            "optimizer and clipping|system|other|waiting"
        n = split(order, parts, "|")
        printf "%-28s %7s %9s\n", "part", "share", "thread s"
        for (i = 1; i <= n; i++) {
            printf "%-28s %5.1f %% %9.3f\n", parts[i], 100 * time[parts[i]] / total, time[parts[i]]
            if (!list && parts[i] != "other") continue
            fflush()
            for (key in functions) {
                split(key, f, SUBSEP)
                if (f[1] == parts[i])
                    printf "    %5.1f %% %s\n", 100 * inside[key] / total, f[2] | largest
            }
            close(largest)
        }
        printf "%-28s %7s %9.3f\n", "threads x seconds", "", total
    }' "$work/stacks"
