# shellcheck shell=bash
# fault_lib.sh: sourced by tests that disturb a program at each of its fault points (tests/helpers/faults.c),
# after lib.sh. Under a sanitizer only every seventh point is taken.
can_trace || { echo "1..0 # SKIP this machine lets no process trace another"; exit 0; }
[ "$CONFIG" = asan ] && stride=7 || stride=1
# Leaks cannot be looked for in a process that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks

# What else the disturber is told.
where=()

# disturbed FOLDER ACTION N COMMAND...: runs the command, disturbed at its N-th point below the folder. Sets
# status, and point to what was disturbed: CALL PATH BYTES, "" where the command ended before.
disturbed() {
    local folder=$1 action=$2 n=$3
    shift 3
    rm -f "$WORK/.points"
    run launch "$faults" --below "$folder" --log "$WORK/.points" --at "$n" --do "$action" \
        "${where[@]}" "$@"
    point=$(sed -n "${n}p" "$WORK/.points")
}

# launch COMMAND...: how a command is started; tests of ranks have their own.
launch() { "$@"; }

# as_wanted ACTION: whether the disturbed command ended as it should: killed; or with status 1 and one line
# that names a file and the cause; or with status 0 where a short write went on, where the point was one of
# those that $harmless matches, or where the program tries again and has then made all that it should.
tries_again=false
as_wanted() {
    case $1 in
        kill | torn) [ "$status" -ne 0 ] && [ "$status" -ne 1 ] ;;
        short) [ "$status" -eq 0 ] || told ;;
        fail) told || { [ "$status" -eq 0 ] && harmless; } ;;
    esac
}
harmless() { [[ $point =~ $harmless ]] || { $tries_again && finished >/dev/null 2>&1; }; }
told() {
    # mpirun has more to say.
    [ "$status" -eq 1 ] && [ "$(grep -Ec '^(preprocess|trainer|sampler|warning): ' "$WORK/err")" -eq 1 ] &&
        grep -Eq '^[a-z]+: ([^:]*: )?[^ :]+: .*(No space left on device|Input/output error)' "$WORK/err"
}

# points ACTION FOLDER COMMAND...: the numbers of the command's points that the action is for, to the array
# numbers; with about=REGEX those of which "CALL PATH" matches. Of writes to one file that follow each other
# the first, the last and every $thin-th are taken.
thin=1 about=.
points() {
    local action=$1 folder=$2
    shift 2
    prepare
    launch "$faults" --below "$folder" --log "$PWD/.all" "${where[@]}" "$@" >/dev/null 2>&1
    mapfile -t numbers < <(awk -v action="$action" -v thin=$thin -v about="$about" '
        function take() { if (n && (call " " file) ~ about &&
            (call != $1 || file != $2 || first || n % thin == 0) &&
            (action ~ /kill|fail/ || call ~ /^write/)) print n
            first = call != $1 || file != $2; n = NR; call = $1; file = $2 }
        { take() } END { $1 = $2 = ""; take() }' .all)
}

# sweep ACTION FOLDER LEAST COMMAND...: disturbs the command at each of its points in turn; at least LEAST.
# Before each, prepare() sets the scene; after it, whole() says whether what stands is whole. Then the command
# runs undisturbed, and finished() compares what it made with an undisturbed run's.
sweep() {
    local action=$1 folder=$2 least=$3 i n kind swept=0 bad=0 numbers
    local -A kinds=()
    shift 3
    points "$action" "$folder" "$@"
    for ((i = 0; i < ${#numbers[@]}; i += stride)); do
        n=${numbers[i]}
        prepare
        disturbed "$folder" "$action" "$n" "$@"
        [ -n "$point" ] || continue # a run of several threads may differ
        swept=$((swept + 1))
        kinds[${point%% *}]=$((${kinds[${point%% *}]-0} + 1))
        as_wanted "$action" || complain "ended with status $status"
        whole >"$WORK/.whole" 2>&1 || complain "what stands is not whole" "$WORK/.whole"
        [ "$status" -ne 1 ] || [ "${point%% *}" = unlink ] || tidy "$folder" || complain "leaves files"
        run launch "$@"
        [ "$status" -eq 0 ] || complain "does not go on, status $status"
        finished >"$WORK/.finished" 2>&1 || complain "ends otherwise" "$WORK/.finished"
    done
    [ $bad -eq 0 ]
    result $? "$what, $action at each of $swept points: whole meanwhile, and ends in the same"
    for kind in "${!kinds[@]}"; do echo "#   $kind: ${kinds[$kind]}"; done
    [ $((swept * stride)) -ge "$least" ]
    result $? "$swept points of at least $least"
}
# tidy FOLDER: a run that ended by itself has left no temporaries and no mark.
tidy() { [ -z "$(find "$1" -name '*.tmp' -o -name '*.owner')" ]; }
complain() {
    bad=$((bad + 1))
    echo "# point $n ($point): $1"
    tail -n 5 "${2-$WORK/err}" | sed 's/^/#    /'
}
