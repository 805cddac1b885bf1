# Sourced by the other scripts: messages, free ports, waiting for a server.
# shellcheck shell=bash

# What fails inside $(…) fails outside of it too.
shopt -s inherit_errexit
# What is asked here is on this machine, whatever proxy the user has.
no_proxy=127.0.0.1,localhost${no_proxy:+,$no_proxy}
export no_proxy NO_PROXY=$no_proxy

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
die() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}

# Whether nobody listens on this port of 127.0.0.1.
port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a port that is free now and below the range that the kernel hands out by itself.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port found"
}

# wait_for_url URL PID SECONDS: until URL answers 2xx. Fails when the process ends or the time is over.
wait_for_url() {
    local url=$1 pid=$2 deadline=$((SECONDS + $3))
    until curl --silent --fail --max-time 2 --output /dev/null "$url"; do
        kill -0 "$pid" 2>/dev/null || return 1
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# wait_for_line FILE PID SECONDS: until FILE has a first line, which is printed.
wait_for_line() {
    local file=$1 pid=$2 deadline=$((SECONDS + $3)) line
    until IFS= read -r line 2>/dev/null <"$file"; do
        kill -0 "$pid" 2>/dev/null || return 1
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
    printf '%s\n' "$line"
}

# stop PID…: asks each to end, waits ten seconds, then insists.
stop() {
    local pid deadline=$((SECONDS + 10))
    for pid in "$@"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "$@"; do
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
