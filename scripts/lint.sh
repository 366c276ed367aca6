#!/usr/bin/env bash
# clang-format (is every file formatted?), cppcheck and clang-tidy over all sources. Settings:
# .clang-format, .clang-tidy, scripts/cppcheck.suppress.   LINT_FILES="a.cpp b.cpp" limits clang-tidy to some files.
set -uo pipefail
bash scripts/deps.sh clang-format=clang-format clang-tidy=clang-tidy cppcheck=cppcheck
failed=0
mapfile -t files < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
mapfile -t sources < <(git ls-files '*.cpp' | grep -v '^tests/')

clang-format --dry-run -Werror "${files[@]}" || { echo "lint: run make format"; failed=1; }
cppcheck --quiet --std=c++20 --language=c++ --enable=warning,performance,portability --inline-suppr -I. \
  --suppressions-list=scripts/cppcheck.suppress --error-exitcode=1 -j "$(nproc)" engine layers cpu models datasets train || failed=1
printf '%s\0' ${LINT_FILES:-"${sources[@]}"} | xargs -0 -n 4 -P "$(nproc)" sh -c \
  'clang-tidy --quiet -warnings-as-errors="*" "$@" -- -std=c++20 -I. -isystem /usr/include/stb -fopenmp' sh 2>/dev/null || failed=1
[ $failed = 0 ] && echo "lint: ok" || { echo "lint: failed"; exit 1; }
