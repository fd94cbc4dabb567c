#!/usr/bin/env bash
# levels.sh TOOL URL: runs a tool that has no ramp at several numbers of connections, one after the
# other, and prints for each `level REQUESTS MEAN_MS`, as the tool says it.
set -euo pipefail
tool=$1 url=$2
here=$(dirname "${BASH_SOURCE[0]}")
seconds=${SECONDS_OF_LEVEL:-8}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '{"product": 17, "quantity": 1}' >"$work/order.json"
if [ "$SHOP" = orders ]; then page=$url/order; else page=$url/product/17; fi

run() {
    local c=$1 order=()
    case $tool in
    wrk) wrk -t1 -c "$c" -d "${seconds}s" -s "$here/wrk.lua" "$url/" ;;
    ab)
        [ "$SHOP" = orders ] && order=(-p "$work/order.json" -T application/json)
        ab -q -k -c "$c" -t "$seconds" -n 10000000 "${order[@]}" "$page"
        ;;
    hey)
        [ "$SHOP" = orders ] && order=(-m POST -D "$work/order.json" -T application/json)
        hey -c "$c" -z "${seconds}s" "${order[@]}" "$page"
        ;;
    oha)
        [ "$SHOP" = orders ] && order=(-m POST -D "$work/order.json" -T application/json)
        # Older versions have another option for it.
        local json=(--output-format json)
        oha --help | grep -q -e --output-format || json=(--json)
        oha --no-tui "${json[@]}" -c "$c" -z "${seconds}s" "${order[@]}" "$page"
        ;;
    drill)
        # It has no duration: as many requests as take some seconds at the shop's capacity.
        {
            printf 'base: %s\niterations: %s\nconcurrency: %s\nplan:\n' "$url" "${ITERATIONS:-600}" "$c"
            printf '  - name: shop\n    request:\n      url: %s\n' "${page#"$url"}"
            if [ "$SHOP" = orders ]; then
                printf "      method: POST\n      body: '%s'\n" "$(cat "$work/order.json")"
                printf "      headers:\n        Content-Type: 'application/json'\n"
            fi
        } >"$work/drill.yml"
        drill --benchmark "$work/drill.yml" --stats --quiet --nanosec
        ;;
    autocannon)
        [ "$SHOP" = orders ] && order=(-m POST -i "$work/order.json" -H content-type=application/json)
        autocannon -j -c "$c" -d "$seconds" "${order[@]}" "$page" 2>/dev/null
        ;;
    esac
}

# The count, and the mean in milliseconds.
figures() {
    case $tool in
    wrk)
        awk '/^ *Latency/ { unit = $2; sub(/[0-9.]+/, "", unit); mean = $2 + 0
                            mean *= unit == "us" ? 0.001 : unit == "s" ? 1000 : 1 }
             /requests in/ { print $1, mean }'
        ;;
    ab) awk '/^Complete requests/ { count = $3 } /^Time per request.*\(mean\)$/ { print count, $4 }' ;;
    hey)
        awk '/Average:/ { mean = 1000 * $2 } /responses$/ { count += $2 } END { print count, mean }'
        ;;
    oha)
        python3 -c 'import json, sys
r = json.load(sys.stdin)
print(sum(r["statusCodeDistribution"].values()), 1000 * r["summary"]["average"])'
        ;;
    drill)
        awk '/^Total requests/ { count = $3 } /^Average time per request/ { mean = $5 / 1e6 }
             END { print count, mean }'
        ;;
    autocannon)
        python3 -c 'import json, sys
r = json.load(sys.stdin)
print(r["2xx"] + r["non2xx"], r["latency"]["average"])'
        ;;
    esac
}

for c in ${LEVELS:-1 2 3 4 6 8 12 16}; do
    run "$c" >"$work/said"
    echo "level $(figures <"$work/said")"
done
