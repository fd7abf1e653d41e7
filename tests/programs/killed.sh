# shellcheck shell=bash
# preprocess killed at many moments: alone, a part, a join. The same command goes on, to an undisturbed run's
# bytes, and what stands meanwhile is whole.
. "$SOURCE/tests/helpers/preprocess_lib.sh"

"$BUILD/tests/helpers/make_songs" songs 200 5 || exit 1
cp songs/song-0007.mid songs/zz-copy.mid
"$preprocess" "${options[@]}" --output whole songs || exit 1

# milliseconds COMMAND...: how long it takes.
milliseconds() {
    local start=${EPOCHREALTIME/[.,]/}
    "$@" || return 1
    echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
}

# kill_again N FOLDER SPAN COMMAND...: runs the command N times, to be killed after times spread over SPAN ms,
# each from 1 ms on; then lets it end. Sets hits, how often it was killed before its end.
kill_again() {
    local n=$1 folder=$2 span=$3 i pid
    shift 3
    for ((i = 0; i < n; i++)); do
        "$@" 2>>kill.err &
        pid=$!
        sleep "$(printf '0.%03d' $((1 + (i * 7919 + 13) % n * span / n)))"
        kill -KILL $pid 2>/dev/null
        wait $pid
        [ $? -ne 137 ] || hits=$((hits + 1))
        all_whole "$folder" || return 1
    done 2>/dev/null
    "$@"
}

span=$(milliseconds "$preprocess" "${options[@]}" --output timed songs)
hits=0
for ((round = 0; round < 3; round++)); do
    rm -rf alone
    kill_again 12 alone "$span" "$preprocess" "${options[@]}" --output alone songs || break
    diff -r whole alone || break
done
[ $round -eq 3 ]
result $? "a run killed over and over ends with the same bytes, and nothing else"
[ $hits -gt 0 ]
result $? "it was killed amid its work ($hits times)"

hits=0
for ((part = 3; part > 0; part--)); do
    kill_again 10 parts $((span / 2)) "$preprocess" "${options[@]}" --part $part/3 --output parts songs ||
        break
done
[ $part -eq 0 ]
result $? "parts killed over and over"
[ $hits -gt 0 ]
result $? "amid their work ($hits times)"
ls parts >parts.list
[ "$(grep -c '\.part$' parts.list)" -eq 3 ] && [ "$(wc -l <parts.list)" -eq 3 ]
result $? "are whole, and leave nothing else"
cp -r parts parts.kept
span=$(milliseconds "$preprocess" "${options[@]}" --join --output parts songs)
hits=0
for ((round = 0; round < 3; round++)); do
    rm -rf joined
    cp -r parts.kept joined
    kill_again 12 joined "$span" "$preprocess" "${options[@]}" --join --output joined songs || break
    diff -r --exclude=preprocess.joined whole joined || break
done
[ $round -eq 3 ]
result $? "a join killed over and over ends with a single run's bytes, and nothing else"
[ $hits -gt 0 ]
result $? "it was killed amid its work ($hits times)"

# A join that was killed while it removed the parts: any of them may be left.
cp parts.kept/*-00002-of-*.part joined/
"$preprocess" "${options[@]}" --join --output joined songs && diff -r --exclude=preprocess.joined whole joined
result $? "parts that a killed join left are removed by the next"
[ ! -s kill.err ] || ! grep -v 'writes here since' kill.err
result $? "and nothing was wrong on the way"

finish
