# shellcheck shell=bash
# lib.sh: TAP, sourced by tests/*/*.sh. tests/tap sets BIN, BUILD, SOURCE and WORK (the working folder,
# removed afterwards). A test ends with `finish`.

tap_count=0
tap_failed=0

# result STATUS DESCRIPTION: prints one TAP line.
result() {
    tap_count=$((tap_count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $tap_count - $2"
    else
        echo "not ok $tap_count - $2"
        tap_failed=$((tap_failed + 1))
    fi
}

# skip REASON DESCRIPTION: counted as skipped.
skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $2 # SKIP $1"
}

# can_trace: whether this machine lets a process trace another, as the helper `faults` does. A helper that
# fails otherwise ends the test.
faults=$BUILD/tests/helpers/faults
can_trace() {
    "$faults" --below . true
    case $? in
        0) return 0 ;;
        99) return 1 ;;
        *) exit 1 ;;
    esac
}

# ok DESCRIPTION COMMAND...: passes where the command succeeds.
ok() {
    local description=$1
    shift
    "$@" >"$WORK/.ok" 2>&1
    local status=$?
    result "$status" "$description"
    [ "$status" -eq 0 ] || sed 's/^/# /' "$WORK/.ok"
}

# run COMMAND...: output to $WORK/out and $WORK/err, exit status to $status.
run() {
    "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
    status=$?
}

# status_is N DESCRIPTION: passes where the last run ended with status N.
status_is() {
    [ "$status" -eq "$1" ]
    local same=$?
    result "$same" "$2"
    [ "$same" -eq 0 ] || { echo "# exit status $status, wanted $1"; tail -n 20 "$WORK/err" | sed 's/^/# /'; }
}

# matches FILE REGEX DESCRIPTION: FILE has a line that matches (extended regex).
matches() {
    grep -Eq -- "$2" "$1"
    local found=$?
    result "$found" "$3"
    [ "$found" -eq 0 ] || { echo "# no /$2/ in:"; tail -n 20 "$1" | sed 's/^/# /'; }
}

# says, prints REGEX DESCRIPTION: a line of standard error, standard output, of the last run matches.
says() { matches "$WORK/err" "$@"; }
prints() { matches "$WORK/out" "$@"; }

# says_once REGEX DESCRIPTION: exactly one line of standard error matches.
says_once() {
    [ "$(grep -Ec -- "$1" "$WORK/err")" -eq 1 ]
    local once=$?
    result "$once" "$2"
    [ "$once" -eq 0 ] || { echo "# not exactly once /$1/ in:"; tail -n 20 "$WORK/err" | sed 's/^/# /'; }
}

# For AddressSanitizer where it looks for no leaks: whole stacks of allocations are of no use then.
no_leaks=detect_leaks=0:fast_unwind_on_malloc=1

# ranks N COMMAND...: runs N ranks under mpirun, for two minutes at most. Leaks are looked for in runs of one
# process only, since that takes seconds a rank.
ranks() {
    local n=$1
    shift
    ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks OPENBLAS_NUM_THREADS=1 timeout --kill-after=10 120 mpirun \
        -n "$n" "$@"
}

# is_open_mpi: whether mpirun is Open MPI's.
is_open_mpi() { mpirun --version 2>/dev/null | grep -q 'Open MPI'; }

# start_ranks N COMMAND...: like ranks, in the background, as process $pid.
start_ranks() {
    local n=$1
    shift
    ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout --kill-after=10 120 mpirun -n "$n" "$@" &
    pid=$!
}

# launcher_of PID, ranks_of PID, rank_of PID: mpirun's process below a background `timeout` PID, all ranks'
# processes, and the first rank's. What mpirun's process is called, and how many stand between it and its
# ranks, depends on the MPI.
launcher_of() { pgrep -P "$1"; }
ranks_of() {
    local child
    for child in $(pgrep -P "$1"); do
        if [ "$(cat "/proc/$child/comm")" = trainer ]; then echo "$child"; else ranks_of "$child"; fi
    done
}
rank_of() { ranks_of "$1" | head -n 1; }

finish() {
    echo "1..$tap_count"
    exit $((tap_failed > 0))
}
