#!/usr/bin/env bash
# A training step in Nsight Systems: `lucida bench step` on the GPU, recorded after its warm-up only, with a range for
# each phase (forward, backward, optimizer), layer and kernel. Leaves build/profile/step.nsys-rep and prints what took
# the time.   STEPS=5 bash scripts/profile.sh [options of lucida bench step]
set -euo pipefail
program=${PROGRAM:-build/cuda/lucida} nsys=${NSYS:-nsys} out=build/profile/step
command -v "$nsys" >/dev/null || { echo "make profile needs nsys: Nsight Systems, of the CUDA toolkit or from developer.nvidia.com/nsight-systems" >&2; exit 1; }
[ -x "$program" ] || { echo "make profile needs $program: make cuda" >&2; exit 1; }
mkdir -p build/profile
"$nsys" profile --force-overwrite true --output "$out" --trace cuda,nvtx,cublas,cudnn --sample none \
  --cuda-graph-trace node --capture-range cudaProfilerApi --capture-range-end stop \
  "$program" bench step --device cuda --repeats "${STEPS:-5}" "$@"
for report in nvtx_pushpop_sum cuda_gpu_kern_sum cuda_gpu_mem_time_sum; do
  "$nsys" stats --quiet --force-export true --report "$report" --format table "$out.nsys-rep" || true
done
echo "profile: open $out.nsys-rep in nsys-ui; docs/profiling.md says what to look for"
