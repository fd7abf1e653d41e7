# shellcheck shell=bash
# The exchange on two and four hosts that SimGrid simulates: a step takes as long as its bytes at their rate.
. "$SOURCE/tests/helpers/lib.sh"
if ! command -v smpicc >/dev/null || ! command -v smpirun >/dev/null; then
    skip "SimGrid is not installed (./deps scale)" "simulated steps"
    finish
fi
if [ "$CONFIG" = asan ]; then
    skip "times under a sanitizer say nothing" "simulated steps"
    finish
fi
run python3 "$SOURCE/tests/simulate/simulate.py" "$BUILD" "$SOURCE/build/simulate/play" --only check \
    --output "$WORK/simulated"
status_is 0 "simulated steps take what bytes and rate say, to 4 %"
prints '^4 hosts 10 Gbit bf16: [0-9.]+ ms simulated' "and all of them were simulated"
finish
