#!/usr/bin/env bash
# One operation in Nsight Compute: `lucida op NAME` on inputs made here, forward and backward.
#   make profile-kernel KERNEL=conv2d RUNG=4 SHAPE="x=16x64x56x56 weight=64x64x3x3" SET="pad=1" PASS="conv2d forward tensor"
#   SHAPE   inputs and their sizes as files have them (N,C,H,W and O,I,H,W); a shape of ResNet-50 where left out
#   SET     settings of the operation (lucida op --list)     PRECISION   f32, tf32 or bf16
#   PASS    only kernels with this name, as launch() has it; else all
#   REPEAT  run the operation so often (1): the first launch of a kernel is not the one to look at, if caches matter
# Leaves build/profile/NAME.ncu-rep with every section and the source lines, and prints the summary.
set -euo pipefail
name=${KERNEL:-} program=${PROGRAM:-build/cuda/lucida} ncu=${NCU:-ncu} out=build/profile/${KERNEL:-}${RUNG:+_$RUNG}
[ -n "$name" ] || { echo 'make profile-kernel needs KERNEL=conv2d, batchnorm2d, ... (lucida op --list)' >&2; exit 2; }
command -v "$ncu" >/dev/null || { echo "make profile-kernel needs ncu: Nsight Compute, of the CUDA toolkit or from developer.nvidia.com/nsight-compute" >&2; exit 1; }
[ -x "$program" ] || { echo "make profile-kernel needs $program: make cuda" >&2; exit 1; }

case $name in
  conv2d)         shapes="x=16x64x56x56 weight=64x64x3x3" settings="pad=1" ;;
  batchnorm2d)    shapes="x=16x256x56x56 gamma=256 beta=256 running_mean=256 running_var=256" settings="relu=1" ;;
  maxpool2d)      shapes="x=16x64x112x112" settings="kernel=3 stride=2 pad=1" ;;
  global_average) shapes="x=16x2048x7x7" settings="" ;;
  linear)         shapes="x=256x2048 weight=1000x2048 bias=1000" settings="" ;;
  add)            shapes="a=16x256x56x56 b=16x256x56x56" settings="" ;;
  relu|boostlu)   shapes="x=16x256x56x56" settings="" ;;
  *)              shapes="" settings="" ;;
esac
shapes=${SHAPE:-$shapes} settings=${SET:-$settings}
[ -n "$shapes" ] || { echo "make profile-kernel: SHAPE=\"input=AxB ...\" is needed for $name; lucida op --list names its inputs" >&2; exit 2; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
arguments=("$name" --device cuda ${RUNG:+--rung "$RUNG"} ${PRECISION:+--precision "$PRECISION"})
for shape in $shapes; do
  python3 scripts/random_npy.py "$folder/${shape%%=*}.npy" "${shape#*=}"
  arguments+=(--input "${shape%%=*}=$folder/${shape%%=*}.npy")
done
for setting in $settings; do arguments+=(--set "$setting"); done

"$program" op "${arguments[@]}" --out "$folder/forward" >/dev/null # its first output serves as upstream gradient
output=$(ls "$folder/forward" | head -n 1)
[ -e "$folder/forward/y.npy" ] && output=y.npy
mkdir -p build/profile
"$ncu" --force-overwrite --set full --import-source yes --export "$out" --nvtx ${PASS:+--nvtx-include "$PASS/"} \
  "$program" op "${arguments[@]}" --grad "${output%.npy}=$folder/forward/$output" --repeat "${REPEAT:-1}" --out "$folder/backward"
"$ncu" --import "$out.ncu-rep" --page details --print-summary per-kernel || true
echo "profile: open $out.ncu-rep in ncu-ui; docs/profiling.md says what to look for"
