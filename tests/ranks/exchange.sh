# shellcheck shell=bash
# The exchange under mpirun: on one host, on hosts of one and of two ranks (which one machine plays), of
# floats and of bfloat16, and, with grains, the same bits whatever the ranks.
. "$SOURCE/tests/helpers/lib.sh"
exchange=$BUILD/tests/ranks/mpi_exchange

ok "one rank" "$exchange"
ok "one rank with grains" "$exchange" --grains 8
for n in 2 3 4 8; do
    ok "$n ranks of a host" ranks "$n" "$exchange"
    ok "$n hosts of a rank" ranks "$n" "$exchange" --alone
    ok "$n hosts of a rank, bfloat16" ranks "$n" "$exchange" --alone --bf16
done
for n in 3 4 5 8; do
    ok "$n ranks in hosts of two" ranks "$n" "$exchange" --ranks-a-host 2
    ok "$n ranks in hosts of two, bfloat16" ranks "$n" "$exchange" --ranks-a-host 2 --bf16
done
ok "5 ranks in hosts of three and two" ranks 5 "$exchange" --ranks-a-host 3

# sums GRAINS: one line for each checksum that is seen.
sums() {
    "$exchange" --grains "$1"
    for n in 2 3 4 "$1"; do
        ranks "$n" "$exchange" --grains "$1"
        ranks "$n" "$exchange" --grains "$1" --alone
        ranks "$n" "$exchange" --grains "$1" --ranks-a-host 2
    done
}
for grains in 8 6; do
    sums "$grains" 2>"$WORK/err" | sed -n 's/^checksum //p' >"$WORK/sums"
    ok "$grains grains on 1, 2, 3, 4 and $grains ranks: 13 runs" test "$(wc -l <"$WORK/sums")" -eq 13
    ok "end in the same bits" test "$(sort -u "$WORK/sums" | wc -l)" -eq 1
done
# Where there is too little shared memory, each rank is a host of its own.
small=(unshare --mount sh -c 'mount -t tmpfs -o size=20m none /dev/shm && exec "$@"' sh)
if "${small[@]}" true 2>/dev/null; then
    run "${small[@]}" timeout --kill-after=10 120 mpirun -n 2 "$exchange" --too-little
    status_is 0 "too little shared memory: the same sums"
    prints '^each rank exchanges by itself, .*cannot share .*/dev/shm' "and it says why, and the way out"
else
    skip "needs root" "too little shared memory"
fi
finish
