#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages the build needs, if any is missing, and prints the one command it runs.
set -euo pipefail

missing=()
need() { # package, file that shows it is there
  [ -e "$2" ] || missing+=("$1")
}
command -v g++ >/dev/null || missing+=(g++)
need doctest-dev        /usr/include/doctest/doctest.h
need libstb-dev         /usr/include/stb/stb_image.h
need libcli11-dev       /usr/include/CLI/CLI.hpp
need nlohmann-json3-dev /usr/include/nlohmann/json.hpp
need libpugixml-dev     /usr/include/pugixml.hpp
need zlib1g-dev         /usr/include/zlib.h
for extra in "$@"; do # further programs, as package=command, or files, as package=/path
  command -v "${extra#*=}" >/dev/null || [ -e "${extra#*=}" ] || missing+=("${extra%=*}")
done

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "missing: ${missing[*]} - install them, this system has no apt-get" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  echo "installing what is missing: $sudo apt-get install -y ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
fi

version=$(g++ -dumpversion | cut -d. -f1)
[ "$version" -ge 12 ] || { echo "g++ $version is too old: version 12 or newer is needed (C++20)" >&2; exit 1; }
