#!/bin/sh
# What the tests use beyond Python: installed from Debian where that is allowed, else named.
missing=""
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v memcached >/dev/null || missing="$missing memcached"
command -v openssl >/dev/null || missing="$missing openssl"
command -v chromium >/dev/null || missing="$missing chromium"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests:$missing"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null && exit 0
fi
echo "Not installed:$missing. The tests that need them are skipped, and say so."
exit 0
