#!/usr/bin/env bash
# Compiles the kernel programs. The object is committed, so only who changes them needs this.
#   src/datapath/bpf/build.sh [OUTPUT]     default: datapath.bpf.o beside this script
# Needs clang, llvm-strip, and the headers of libbpf and Linux (Debian: clang llvm libbpf-dev linux-libc-dev).
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
output=${1:-$PWD/datapath.bpf.o}
clang=${CLANG:-clang}
strip=${LLVM_STRIP:-llvm-strip}
# Debian keeps asm/ in a directory of the host's architecture.
headers=/usr/include/$(uname -m)-linux-gnu
version=$("$clang" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p' | head -1)
sources=$(cat ./*.c ./*.h | sha256sum | cut -d' ' -f1)
# Headers are summed up as words, whatever their members are: no strict aliasing, as in the kernel.
# -g makes the BTF that CO-RE needs; the DWARF that comes with it is stripped, and no path stays.
"$clang" -target bpfel -mcpu=v3 -O2 -g -std=gnu11 -fno-strict-aliasing -Wall -Werror -isystem "$headers" \
  -DHF_BUILT="\"clang $version, sources $sources\"" \
  -fdebug-prefix-map="$PWD=." -fdebug-compilation-dir=. \
  -c datapath.bpf.c -o "$output"
"$strip" -g "$output"
