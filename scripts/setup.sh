#!/usr/bin/env bash
# Installs what this checkout needs and nothing else. Safe to run again: a second run does nothing.
#   scripts/setup.sh         npm packages only
#   scripts/setup.sh --lab   also the Debian packages of the lab (needs root; without it, says what is missing)
set -euo pipefail
cd "$(dirname "$0")/.."
# Where servers and network tools are; not on the path of every user.
export PATH="$PATH:/usr/sbin:/sbin"

# The only list of Debian packages. One line each: package, a file or command it brings, what it is for.
debian_packages='
iproute2         ip                          network namespaces of the lab
bird2            bird                        BGP daemon of every PoP and of the access router
nginx-light      nginx                       origin in the lab, peer in the benchmarks
haproxy          haproxy                     peer in the lab and the benchmarks
curl             curl                        client in the lab
openssl          openssl                     certificates and TLS clients in the tests
tcpdump          tcpdump                     packet captures of the lab
wrk              wrk                         load in the benchmarks
procps           sysctl                      settings inside the namespaces
nftables         nft                         packet rules of the lab and the tests
util-linux       nsenter                     agents in namespaces of the lab
ethtool          ethtool                     offloads in the datapath benchmark
libbpf1          libbpf.so.1                 loads the kernel programs
clang            clang                       rebuilds the kernel programs in the tests
llvm             llvm-strip                  the same
libbpf-dev       /usr/include/bpf/bpf.h      the same
postgresql       /usr/lib/postgresql         a server in the lab that knows nothing of us
openssh-server   /usr/sbin/sshd              another one
openssh-client   ssh                         its client
caddy            caddy                       a server in the flap benchmark
exabgp           exabgp                      the other BGP daemon that announcements are tested with
frr              /usr/lib/frr/bgpd           checks the configuration of the operator guide
chromium         chromium                    opens the reports in the tests
'

say() { printf 'setup: %s\n' "$*" >&2; }

is_there() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *.so.*) /sbin/ldconfig -p | grep -q "$1" ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

install_debian() {
  local missing=() name command
  while read -r name command _; do
    [ -n "$name" ] || continue
    is_there "$command" || missing+=("$name")
  done <<<"$debian_packages"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "not root, so these Debian packages stay missing: ${missing[*]}"
    say "install them with: sudo apt-get install ${missing[*]}"
    return 0
  fi
  command -v apt-get >/dev/null || { say "no apt-get here; install by hand: ${missing[*]}"; return 1; }
  say "installing Debian packages: ${missing[*]}"
  # Packages that bring a service would start it at once and take port 80: the lab starts its own.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=1
  fi
  # shellcheck disable=SC2064 # expand now: the variables are local
  trap "${made_policy:+rm -f $policy}" RETURN
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null
  apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
}

install_npm() {
  # npm writes node_modules/.package-lock.json when it has finished: older than our lock means stale.
  if [ node_modules/.package-lock.json -nt package-lock.json ] && node_modules/.bin/node --version >/dev/null 2>&1; then
    return 0
  fi
  say 'installing npm packages (npm ci)'
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
}

[ "${1:-}" != --lab ] || install_debian
install_npm
