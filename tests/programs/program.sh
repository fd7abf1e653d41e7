# shellcheck shell=bash
# What the three programs have in common: names by which they go and call each other, --version, and output
# that gets lost.
. "$SOURCE/tests/helpers/lib.sh"
mkdir installed
for program in preprocess trainer sampler; do ln -s "$BIN/$program" "installed/mpianist-$program"; done
"$BUILD/tests/helpers/make_checkpoint" model.h5 || { echo "Bail out! no checkpoint"; exit 1; }

for program in preprocess trainer sampler; do
    for flag in --version -V; do
        run "$BIN/$program" "$flag"
        status_is 0 "$program $flag"
        prints "^mpianist-$program [0-9]+\.[0-9]+\.[0-9]+$" "tells its name and number"
    done
    # Its standard error is a socket that keeps writes apart: what a launcher writes may come between them.
    # shellcheck disable=SC2016 # Perl's variables
    ok "a message is written in one piece" perl -MSocket -e '
        socketpair(my $ours, my $its, AF_UNIX, SOCK_DGRAM, 0) or die;
        if (!fork) { open STDERR, ">&", $its; exec @ARGV }
        wait;
        recv $ours, my $piece, 4096, 0;
        exit $piece !~ /^\w+: .*\n$/' "$BIN/$program" --nonsense
    for called in "$BIN/$program" "installed/mpianist-$program"; do
        name=$(basename "$called")
        run "$called" --nonsense
        status_is 2 "$name --nonsense"
        says "^$name: " "speaks under the name that it was called by"
        run "$called" --help
        prints "(^Usage:|^) +$name |^Usage: $name " "$name --help shows it"
        ok "and none but that" \
            test -z "$(grep -oE "(^|[ \`'])(mpianist-)?$program (-|\[|VERB|prior)" "$WORK/out" |
            tr -d " \`'" | grep -v "^$name")"
        for flag in --help --version; do
            run bash -c "'$called' $flag >/dev/full"
            status_is 1 "$name $flag to a full disk"
            says_once "^$name: standard output: cannot write: No space left on device$" "is told"
        done
    done
done
run bash -c "'$BIN/sampler' prior --help >/dev/full"
status_is 1 "a verb's --help to a full disk"
run bash -c "'$BIN/trainer' >&-"
status_is 2 "closed output that nothing was written to changes nothing"
says_once ': ' "and is not told"

# --- hints name the other programs as they are called, too ---
mkdir empty
for hint in "installed/mpianist-trainer|mpianist-preprocess" "$BIN/trainer|preprocess"; do
    run "${hint%|*}" --data empty --output run
    says "empty: holds no shards; name the folder that ${hint#*|} wrote to" "hint of $(basename "${hint%|*}")"
done
run installed/mpianist-sampler prior --checkpoint model.h5 --more density
says 'compute them: mpianist-trainer --attributes model\.h5 ' "hint of mpianist-sampler"
run installed/mpianist-sampler prior --nonsense
says '\(mpianist-sampler prior --help lists all options\)$' "and to its own help"

finish
