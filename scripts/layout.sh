#!/usr/bin/env bash
# Does the tree keep its rules?  Prints every breach and exits 1 if there is one.
#   twins         a layer with kernels has its plain rung, its fast kernel and its test under the same name
#   one way       train -> models, datasets -> layers -> engine; cpu/ and cuda/ include layers/ and engine/ only
#   size          files of at most 300 lines, 110 columns
#   fixtures      no tracked file above 1.5 MB
set -uo pipefail
breaches=0
breach() { echo "layout: $*"; breaches=$((breaches + 1)); }

for header in layers/*.h layers/losses/*.h; do
  grep -q 'struct .*Kernels' "$header" || continue
  name=$(basename "$header" .h)
  folder=$(dirname "${header#layers/}"); [ "$folder" = . ] && folder="" || folder="$folder/"
  for twin in "${header%.h}.cpp" "cpu/$folder$name.cpp" "cpu/ladder/${name}_0_plain.cpp"; do
    [ -e "$twin" ] || breach "$header declares kernels but $twin is not there"
  done
  [ -e "tests/${name}_test.cpp" ] || [ -e tests/losses_test.cpp -a -n "$folder" ] ||
    breach "$header has no test tests/${name}_test.cpp"
  if ls cuda/*.cu >/dev/null 2>&1; then
    [ -e "cuda/$folder$name.cu" ] || breach "$header has no device kernels cuda/$folder$name.cu"
  fi
done
for kernel in cpu/*.cpp cpu/losses/*.cpp cpu/ladder/*.cpp $(ls cuda/*.cu cuda/losses/*.cu cuda/ladder/*.cu 2>/dev/null); do
  case $kernel in cpu/ladder/*|cuda/ladder/*) needs=1 ;; *) needs=0 ;; esac
  [ $needs = 0 ] || grep -q 'const Provide<' "$kernel" || breach "$kernel announces no kernels (Provide)"
done

allowed() { # folder, pattern of folders it may include from
  [ -d "$1" ] || return 0
  while IFS=: read -r file line; do
    from=$(sed 's/.*"\([a-z]*\)\/.*/\1/' <<<"$line")
    [[ " $2 " == *" $from "* ]] || breach "$file includes $(sed 's/.*"\(.*\)".*/\1/' <<<"$line"): $1/ may use: $2"
  done < <(grep -rEo '#include "[a-z]+/[^"]*"' --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' "$1")
}
allowed engine   "engine"
allowed layers   "layers engine"
allowed cpu      "cpu layers engine"
allowed cuda     "cuda layers engine"
allowed models   "models layers engine"
allowed datasets "datasets engine"
allowed train    "train models datasets layers engine cpu"

while read -r file; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 300 ] || breach "$file has $lines lines; 300 are the limit"
  wide=$(awk 'length > 110 { print FNR; exit }' "$file")
  [ -z "$wide" ] || breach "$file:$wide is wider than 110 columns"
done < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
while read -r size file; do breach "$file has $size bytes; 1500000 are the limit"; done < \
  <(git ls-files -z | xargs -0 stat -c '%s %n' 2>/dev/null | awk '$1 > 1500000')

[ $breaches = 0 ] && echo "layout: ok" || exit 1
