# shellcheck shell=bash
# comm under mpirun at several rank counts, its refusal to run alone, its abort, and the share of cores.
. "$SOURCE/tests/helpers/lib.sh"
comm=$BUILD/tests/ranks/mpi_comm

ok "sums, agreement, broadcast, shared memory without mpirun" "$comm"
for n in 1 2 3 4; do
    ok "sums, agreement, broadcast, shared memory on $n ranks" ranks "$n" "$comm"
done
ok "too much shared memory is an error, not a crash" ranks 2 "$comm" large

run ranks 3 "$comm" abort
status_is 1 "comm_abort ends the job"
says '^mpi_comm: rank 2 of 3 on .*mpi_comm\.c:[0-9]+: asked to' "and names rank, host, file, line and cause"

# shellcheck disable=SC2086 # variables are words
for variables in "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0" "PMI_SIZE=4 PMI_RANK=0" "SLURM_NTASKS=4"; do
    run env $variables "$comm"
    status_is 1 "one process alone with $variables refuses to start"
    says_once "promises 4 ranks \(${variables%%=*}\).*mpirun -n 4.*srun --mpi=pmix -n 4" \
        "and says how to start"
done
run env SLURM_NTASKS=4 SLURM_PROCID=2 "$comm"
status_is 1 "the other lone processes refuse as well"
ok "but leave the word to one" test ! -s "$WORK/err"
run env SLURM_NTASKS=4 mpirun -n 1 "$comm"
status_is 0 "one rank on purpose inside a larger job is fine"

cores=$(lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l)
if [ "$(nproc)" -ge 2 ] && [ "$cores" -ge 2 ]; then
    run env -u OMPI_MCA_hwloc_base_binding_policy mpirun --bind-to none -n 1 "$comm" threads
    ok "one unbound rank gets all cores" \
        test "$(sed -n 's/threads \([0-9]*\), idle 0/\1/p' "$WORK/out")" -ge 2
    run taskset -c 0 "$comm" threads
    prints '^threads 1, idle [1-9]' "a rank bound to one core runs one thread, and others idle"
    run env SLURM_CPUS_ON_NODE=1 taskset -c 0 "$comm" threads
    prints '^threads 1, idle 0' "which they do not where SLURM gives the job no more than that one"
    run ranks 4 --bind-to none "$comm" threads
    prints "^threads $((cores / 4 > 1 ? cores / 4 : 1)), idle 0" "unbound ranks share the cores"
else
    skip "this machine has one core" "threads by cores"
fi
finish
