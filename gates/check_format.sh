#!/usr/bin/env bash
# Every C file is as clang-format (of Debian 12: version 14) writes it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! clang-format --version | grep -q 'version 14\.'; then
    echo "skipped: needs clang-format 14, found $(clang-format --version)"
    exit 77
fi
find include src cli tests bench -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
echo "formatted"
