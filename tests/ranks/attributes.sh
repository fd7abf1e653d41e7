# shellcheck shell=bash
# trainer --attributes: both kinds of model, any number of ranks, the checkpoint whole whatever happens, what
# is refused.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12 --tracks merged --split 60,20,20
make_corpus tracks 8 --tracks melody,bass,drums --split 80,10,10
make_corpus untrained 6 --tracks merged --split 0,100,0
make="$BUILD/tests/helpers/make_checkpoint"
ok "a sequence model" "$make" sequence.h5 --tracks merged --planes 1 --segment 4 --bias -4
# learned OUTPUT DATA OPTION...: a dense model whose latents tell something.
learned() {
    local output=$1 data=$2
    shift 2
    "$trainer" --data "$data" --output "$output" "${tiny[@]}" --beta 0.001 --learning-rate 0.01 --quiet "$@"
}
ok "a dense one of three tracks and both planes" learned three tracks --planes both --epochs 20
ok "its checkpoint alone" cp three/latest.h5 dense.h5
ok "one without a latent" "$make" plain.h5 --tracks merged --planes 1 --segment 4 --latent 0

# members FILE NAME...: of each line of JSON, a line.
members() {
    perl -MJSON::PP \
        -e 'my ($f, @n) = @ARGV; open my $h, "<", $f or die; while (<$h>) { my $j = decode_json($_);
        print join(" ", map { defined $j->{$_} ? $j->{$_} : die "no $_" } @n), "\n" }' "$@"
}
# near A B: the numbers of two files differ by less than a part in 10^9.
near() {
    perl -e 'local $/; my @v = map { open my $f, "<", $_ or die; [split /\s+/, <$f>] } @ARGV;
        my ($a, $b) = @v; exit 1 if @$a != @$b || !@$a;
        for (0 .. $#$a) { next if $a->[$_] eq $b->[$_];
            exit 1 if $a->[$_] !~ /^[-\d.e]+$/ || abs($a->[$_] - $b->[$_])
            > 1e-9 * abs($a->[$_]) }' "$1" "$2"
}

for kind in sequence dense; do
    [ "$kind" = dense ] && data=tracks || data=data
    "$state" $kind.h5 >before
    for n in 1 2 4; do
        cp $kind.h5 "$kind$n.h5"
        run ranks "$n" "$trainer" --attributes "$kind$n.h5" --data "$data"
        status_is 0 "$kind, $n ranks"
        members out attribute unit mean sd r2 reach segments | sed "s/^/$kind /" >"numbers$n"
        [ "$n" -eq 1 ] || ok "the same numbers as on 1 rank" near numbers1 "numbers$n"
        "$state" "$kind$n.h5" | grep -v '^attributes' >after
        ok "weights and training state as they were" cmp before after
    done
    says '^density +[0-9]' "a table"
    cp "${kind}1.h5" again.h5
    run "$trainer" --attributes again.h5 --data "$data" --quiet
    status_is 0 "$kind, once more"
    ok "--quiet: no table" test ! -s err
    ok "the same bytes" cmp again.h5 "${kind}1.h5"
    cp numbers1 "$kind.numbers"
    cp out "$kind.json"
done
cp sequence.h5 full.h5
run bash -c "'$trainer' --attributes full.h5 --data data >/dev/full"
status_is 1 "figures that cannot be written are an error"
says 'standard output: cannot write: No space left on device' "by name"
run "$trainer" --attributes sequence.h5 --data data
says 'warning: sequence\.h5 was trained on corpus 0000' "a word about another corpus"
ok "of one track: density, register, polyphony" \
    test "$(cut -d' ' -f2 sequence.numbers | tr '\n' ' ')" = "density register polyphony "
ok "and no drums" test "$(grep -c drums err)" -eq 0
run "$trainer" --attributes dense.h5 --data tracks
says '^drums +[0-9l]' "of three tracks: drums too, if only to say that they are left out"
ok "other numbers" test "$(cut -d' ' -f5 sequence.numbers)" != "$(cut -d' ' -f5 dense.numbers)"

# What the latents hardly tell is said where it is asked for.
ok "three latent units" "$make" faint.h5 --tracks merged --planes 1 --segment 4 --bias -4 --latent 3
run "$trainer" --attributes faint.h5 --data data --quiet
members out attribute r2 >faint
while read -r name r2; do
    run "$BIN/sampler" song -c faint.h5 --bars 1 --more "$name" -q -o music
    says_faint=$(grep -c "warning: faint.h5: the latents hardly tell $name" err)
    ok "--more $name, R^2 $r2: a warning where that is below 0.02" \
        test "$says_faint" -eq "$(awk "BEGIN { print $r2 < 0.02 }")"
done <faint
ok "some are told, some are not" test "$(awk '$2 < 0.02' faint | wc -l)" -gt 0 \
    -a "$(awk '$2 >= 0.02' faint | wc -l)" -gt 0

# In a run folder: links stay, training goes on, and what it writes has no vectors.
ok "a run" learned run data --epochs 20
run "$trainer" --attributes run/best.h5 --data data --quiet
status_is 0 "vectors for its best checkpoint"
ok "best.h5 is a link still" test -L run/best.h5
ok "nothing left over" test -z "$(find run -name '*.tmp')"
has_vectors() { "$state" "$1" | grep -q '^attributes'; }
ok "best.h5 has vectors" has_vectors run/best.h5
ok "the run goes on" learned run data --epochs 21 --resume auto
ok "its new checkpoint has none" test "$(has_vectors run/latest.h5; echo $?)" -eq 1

refused 2 'plain\.h5 has no latents' "a model without latents" --attributes plain.h5 --data data
refused 2 'exclude each other' "scoring at the same time" --attributes dense.h5 --evaluate dense.h5 \
    --data data
refused 1 'lost\.h5' "a checkpoint that is not there" --attributes lost.h5 --data data
refused 1 'trained on another grid' "another grid" --attributes dense.h5 --data data
refused 1 'untrained: holds no train songs' "no songs to learn from" --attributes sequence.h5 --data untrained
ok "a segment as long as a song" "$make" long.h5 --tracks merged --planes 1 --segment 1024
refused 1 'data: the train songs have no two segments in a row' "songs of one segment" --attributes long.h5 \
    --data data
cp sequence.h5 torn.h5
truncate -s -5000 torn.h5
refused 1 'torn\.h5' "a torn checkpoint" --attributes torn.h5 --data data

# A file size limit is a disk that fills up; MPI writes files of some megabytes itself.
ok "a large model" "$make" large.h5 --tracks merged --planes 1 --window 256
cp large.h5 full.h5
run bash -c "ulimit -f 8000; trap '' XFSZ; exec '$trainer' --attributes full.h5 --data data"
status_is 1 "a full disk: exit 1"
says_once '^trainer: .*/full\.h5: ' "names the file"
ok "which is as it was" cmp full.h5 large.h5
ok "and nothing half-written stays" test -z "$(find . -maxdepth 1 -name 'full.h5.*')"

# Stopped while it computes: products of 2400 latent units take seconds.
ok "a wide model" "$make" wide.h5 --tracks merged --planes 1 --window 1 --latent 2400
cp wide.h5 wide.copy
ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks "$trainer" --attributes wide.h5 --data data >out 2>err &
wait_for "/proc/$!/status" '^SigCgt:.*[4-7c-f][0-9a-f]\{3\}$' # from then on it catches SIGTERM
sleep 1
kill -s TERM $!
wait $!
status=$?
status_is 1 "SIGTERM: exit 1"
says_once 'stopped by a signal' "with one message"
ok "the checkpoint is as it was" cmp wide.h5 wide.copy
finish
