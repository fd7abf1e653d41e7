# shellcheck shell=bash
# Two hosts: --check names the network that MPI uses and an address that both have; where MPI hangs on such an
# address, rank 0 says what may be wrong. The hosts are network namespaces, which takes root.
. "$SOURCE/tests/helpers/train_lib.sh"
hosts=(python3 "$SOURCE/tests/bench/hosts.py")
bridge=(--bridge 172.17.0.1/16)
run "${hosts[@]}" --ranks 1 2 true
if [ "$status" -eq 77 ] || ! is_open_mpi; then
    skip "$(tail -n 1 err | grep . || echo "not Open MPI")" "two hosts"
    finish
fi
status_is 0 "two hosts"
make_corpus data 8
common=(--data data "${tiny[@]}" --output run --quiet)
check=("$trainer" --check "${common[@]}")
waited='trainer: rank 0 on h1 has waited'

run timeout --kill-after=10 120 "${hosts[@]}" --ranks 2 2 "${check[@]}"
status_is 0 "--check on two hosts"
prints '^ranks +4 ranks on h1, h2, ' "names both"
prints '^network +MPI uses eth0( at [0-9]+ Mbit/s)? on all hosts; OMPI_MCA_btl_tcp_if_include chooses$' \
    "and the network that MPI uses"
run timeout --kill-after=10 120 "${hosts[@]}" "${bridge[@]}" 2 "${check[@]}"
status_is 0 "both hosts have a bridge of one address, and MPI is told which interface to use"
prints '^network +MPI uses eth0( at [0-9]+ Mbit/s)? on all hosts;' "which it does"
! grep -q '^warning +' out
result $? "without a warning"

"${hosts[@]}" "${bridge[@]}" --interface '' 2 "$trainer" "${common[@]}" --max-steps 3 2>err &
pid=$!
for _ in $(seq 600); do
    if grep -q "$waited" err || ! kill -0 $pid 2>/dev/null; then break; fi
    sleep 0.1
done
kill $pid 2>/dev/null
wait $pid
status=$?
if [ $status -eq 0 ]; then
    skip "this MPI finds its way" "MPI is not told, and hangs"
else
    says_once "$waited 20 s for 1 rank of other hosts\\. If that does not end: .*docker0" \
        "MPI is not told, and hangs: rank 0 says what may be wrong"
    says "=eth0 in the environment .*This host has eth0 10[0-9.]+, docker0 172\\.17\\.0\\.1\$" \
        "with the way out, and what it sees"
fi
finish
