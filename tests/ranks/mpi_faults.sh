# shellcheck shell=bash
# shellcheck disable=SC2317 # functions are called by others
# Each of the trainer's calls of MPI made to fail once on each rank, and ranks killed there, as it starts, in
# training, and as it ends (tests/preload/mpi_faults.c). The run ends by itself with a word that names the
# call, what stands is whole, and the same run goes on to the next fault. At the end it has the bits of a run
# that nobody disturbed.
. "$SOURCE/tests/helpers/train_lib.sh"
library=$BUILD/tests/preload/mpi_faults.so
host=$(hostname)
export OMPI_MCA_mpi_yield_when_idle=1 # where other tests run beside it
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0

calls() { nm -D "$1" "$2" | sed -n 's/.* [TU] \(MPI_[A-Za-z_]*\)$/\1/p' | sort; }
calls --undefined-only "$trainer" >imported
ok "all calls of MPI that the trainer imports can be disturbed, and no others" \
    diff imported <(calls --defined-only "$library")

make_corpus data 16 --split 60,40,0
# An epoch has three steps.
starts() { ranks 2 "$@"; }

# begin STEPS OPTION...: an undisturbed run; none that is disturbed has begun.
begin() {
    train=("$trainer" --data data --quiet --resume auto --checkpoint-every "2 steps" --keep 2
        --max-steps "$@")
    rm -rf whole run
    run starts "${train[@]}" --output whole
    status_is 0 "an undisturbed run of $1 steps"
}
# disturbed FAULTS: goes on with MPI_FAULTS so.
disturbed() {
    grep -o 'MPI_[A-Za-z_]*' <<<"$1" >>tried
    run starts env LD_PRELOAD="$library" MPI_FAULTS="$1" "${train[@]}" --output run
    bad=
}
# ended: the run goes on to its end, if it has not come there.
ended() {
    run starts "${train[@]}" --output run
    status_is 0 "the run goes on to its end"
    ok "which is that of the undisturbed run, to the bit" run_has_ended
}
# judge DESCRIPTION: whether nothing is bad.
judge() {
    run_is_intact >.intact 2>&1 || bad+=" what stands is not whole;"
    [ -z "$bad" ]
    result $? "$1${bad:+: $bad}"
    [ -z "$bad" ] || sed 's/^/# /' err .intact
}
# fails STATUS STEP CALL...: on each of $on. There is one line of ours, and it names the call.
on='0 1'
fails() {
    local wanted=$1 step=$2 rank call named
    shift 2
    for call; do
        for rank in $on; do
            disturbed "$rank MPI_$call $step fail"
            grep -q "^mpi_faults: MPI_$call fails" err || bad+=" was not called;"
            [ "$status" -eq "$wanted" ] || ! is_open_mpi || bad+=" status $status;"
            named="MPI_$call( of a message (to|from) rank $((1 - rank)))? failed in"
            [ "$(grep -c '^trainer: ' err)" -eq 1 ] &&
                grep -Eq "^trainer: rank $rank of 2 on $host: $named" err || bad+=" is not named once;"
            judge "MPI_$call fails on rank $rank after step $step: status $wanted"
        done
    done
}
# killed STEP CALL...: ranks in turn.
killed() {
    local step=$1 call rank=0
    shift
    for call; do
        disturbed "$rank MPI_$call $step kill"
        grep -q "^mpi_faults: MPI_$call kills" err || bad+=" was not called;"
        [ "$status" -gt 128 ] || ! is_open_mpi || bad+=" status $status;"
        judge "rank $rank killed at MPI_$call after step $step"
        rank=$((1 - rank))
    done
}

# Each fault in training comes two steps after the one before, or up to six where an epoch has to end.
begin 120 --hidden 8 --latent 2 --window 16 --batch 24 --transpose "-1,1"
killed 5 Iallreduce
fails 1 0 Init_thread Comm_rank Comm_size Comm_split_type Comm_split Bcast Barrier Allreduce Allgather \
    Win_allocate_shared Win_shared_query Win_free
on=0 fails 1 0 Comm_free
# Before the trainer has said otherwise errors are fatal: MPI ends the job by itself.
for call in Comm_set_errhandler Win_set_errhandler; do
    disturbed "1 MPI_$call 0 fail"
    grep -q '^mpi_faults: MPI ends the job' err || bad+=" is not fatal;"
    [ "$status" -ne 0 ] || ! is_open_mpi || bad+=" status $status;"
    judge "MPI_$call fails: MPI ends the job"
done
training=(Allreduce Allgather Barrier Iallreduce Test Iprobe)
fails 75 2 "${training[@]}"
killed 2 "${training[@]}"
# Calls that follow an error.
disturbed '1 MPI_Allreduce 2 fail, 1 MPI_Error_string 0 fail, 1 MPI_Abort 0 fail'
grep -Eq '^trainer: rank 1 of 2 on .*: MPI_Allreduce failed in [^;]*: MPI error [0-9]+ ' err ||
    bad+=" is not named;"
[ "$status" -eq 75 ] || ! is_open_mpi || bad+=" status $status;"
judge "MPI_Abort and MPI_Error_string fail, too"
on=0 fails 75 2 Bcast # the last thing of a run
fails 75 0 Finalize
on=1 fails 75 0 Comm_free
killed 0 Finalize
ended

# A main thread that hangs while the watchdog's goes on: it is heard of, and its phase is known.
begin 200 --hidden 8 --latent 2 --window 16 --batch 24 --stall-seconds 2
disturbed '1 MPI_Iallreduce 5 hang'
[ "$status" -eq 75 ] || ! is_open_mpi || bad+=" status $status;"
says_once "^trainer: no step for .*: all wait for rank 1 on $host, which has been in exchange of step 6 for" \
    "a rank that hangs in its main thread alone is named, and where"
judge "and the run leaves with status 75"
ended

# Where shared memory is too small each rank is a host: what goes between hosts can be seen on this one.
small=(unshare --mount sh -c 'mount -t tmpfs -o size=16m none /dev/shm && exec "$@"' sh)
if "${small[@]}" true 2>/dev/null; then
    export ASAN_OPTIONS=$ASAN_OPTIONS:$no_leaks
    starts() { "${small[@]}" timeout --kill-after=10 120 mpirun -n 2 "$@"; }
    begin 30 --hidden 256 --latent 4 --window 32 --batch 16
    fails 1 0 Comm_dup Send_init Recv_init
    fails 75 2 Startall Testsome
    killed 2 Startall Testsome
    on=0 fails 75 2 Win_free
    fails 75 0 Request_free
    killed 0 Request_free
    ended
    ok "no call was left out" diff imported <(sort -u tried)
    run starts env LD_PRELOAD="$library" MPI_FAULTS='1 MPI_Testsome 20 flip' "$trainer" --data data --quiet \
        --output flipped --max-steps 300 --validate-every 1000 \
        --hidden 256 --latent 4 --window 32 --batch 16
    status_is 1 "weights that become others on one of two ranks in step 20"
    says_once "^trainer: step 100: the ranks' weights differ, though they should be replicas: ranks 0, 1 " \
        "are found within a hundred steps"
else
    skip "needs root" "calls between hosts"
fi
finish
