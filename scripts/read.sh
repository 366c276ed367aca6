#!/usr/bin/env bash
# Shows the files of one layer in reading order: what it is, how it is checked and derived, the plain loops, the fast
# kernel, its test.   make read LAYER=conv2d
set -euo pipefail
layer=${1:-}
if [ -z "$layer" ] || ! ls layers/"$layer".h layers/losses/"$layer".h >/dev/null 2>&1 &&
   [ ! -e "layers/$layer.h" ] && [ ! -e "layers/losses/$layer.h" ]; then
  echo "make read LAYER=name, one of: $(ls layers/*.h layers/losses/*.h | xargs -n1 basename | sed 's/\.h$//' | sort | tr '\n' ' ')"
  exit 2
fi
files=()
for f in layers/"$layer".h layers/losses/"$layer".h layers/"$layer".cpp layers/losses/"$layer".cpp \
         cpu/ladder/"$layer"_0_plain.cpp cpu/"$layer".cpp cpu/losses/"$layer".cpp cuda/"$layer".cu \
         tests/"$layer"_test.cpp; do
  [ -e "$f" ] && files+=("$f")
done
[ -e "layers/losses/$layer.h" ] && files+=(tests/losses_test.cpp)
echo "reading order: ${files[*]}"
for f in "${files[@]}"; do printf '\n==== %s ====\n\n' "$f"; cat "$f"; done | ${PAGER:-less -R}
