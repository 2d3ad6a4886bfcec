#!/usr/bin/env bash
# Installs, by apt, those programs of the local stack that are missing; asks for nothing otherwise.
set -euo pipefail
python=${PYTHON:-python3}

packages=()
lacks() { ! command -v "$1" >/dev/null; }

if lacks redis-server; then packages+=(redis-server); fi
if lacks java && [ -z "${JAVA_HOME:-}" ]; then packages+=(openjdk-17-jre-headless); fi
if lacks mvn; then packages+=(maven); fi
if lacks fluidsynth; then packages+=(fluidsynth); fi
if [ ! -e /usr/share/sounds/sf2/TimGM6mb.sf2 ]; then packages+=(timgm6mb-soundfont); fi
if lacks setpriv; then packages+=(util-linux); fi
# the page's tests, `make test`: a browser, and a font so that texts have a size
if [ -n "${FOR_TESTS:-}" ]; then
  if lacks chromium; then packages+=(chromium); fi
  if [ ! -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]; then packages+=(fonts-dejavu-core); fi
fi
# peers of the benchmarks, `make bench`: one is a program, one is compiled
if [ -n "${FOR_BENCH:-}" ]; then
  if lacks ffmpeg; then packages+=(ffmpeg); fi
  if lacks g++; then packages+=(g++); fi
fi
if lacks "$python"; then
  packages+=(python3 python3-venv)
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  packages+=(python3-venv)
fi
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi

printf '\033[1m==>\033[0m Debian packages: %s\n' "${packages[*]}"
if lacks apt-get; then
  echo "error: this machine has no apt-get; install these programs by hand: ${packages[*]}" >&2
  exit 1
fi
become=()
if [ "$(id -u)" -ne 0 ]; then
  if lacks sudo; then
    echo "error: as root, run: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  become=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${become[@]}" apt-get update
# RUNLEVEL=1: Debian's own Redis service is not wanted, the stack starts its own
"${become[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --no-install-recommends "${packages[@]}"
