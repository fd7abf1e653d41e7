# shellcheck shell=bash
# trainer --masks: learns a guide on any number of ranks; the rest of the checkpoint stays whatever happens;
# the sampler draws by it; what is refused.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12 --tracks melody,bass --split 60,20,20
make_corpus merged 6 --tracks merged --split 60,40,0
make_corpus many 4 --tracks melody,counter,chords,bass,drums --split 60,40,0
make_corpus unheard 6 --tracks melody,bass --split 100,0,0
make_corpus untrained 6 --tracks melody,bass --split 0,100,0
make="$BUILD/tests/helpers/make_checkpoint"
two=(--tracks "melody,bass" --planes 2 --segment 8)
ok "a sequence model" "$make" sequence.h5 "${two[@]}" --bias -4
ok "one without a latent" "$make" plain.h5 "${two[@]}" --bias -4 --latent 0
ok "one of one plane" "$make" one.h5 --tracks merged --planes 1 --segment 4 --bias -4
ok "a dense model" "$make" dense.h5 --tracks merged --planes 1

# member FILE NAME: of the line of JSON.
member() { perl -MJSON::PP -e 'print decode_json(<STDIN>)->{$ARGV[0]}' "$2" <"$1"; }
# near A B SHARE: two numbers differ by less than a share.
near() { awk "BEGIN { exit !(($1 - $2) ^ 2 < ($3 * $2) ^ 2) }"; }
without_guide() { "$state" "$1" | grep -v '^guide'; }
has_guide() { "$state" "$1" | grep -q '^guide'; }

for kind in sequence plain one; do
    data=data numbers=(1 2)
    [ "$kind" = one ] && data=merged
    [ "$kind" = sequence ] && numbers=(1 2 4)
    without_guide $kind.h5 >before
    for n in "${numbers[@]}"; do
        cp $kind.h5 "$kind$n.h5"
        run ranks "$n" "$trainer" --masks "$kind$n.h5" --data "$data" --epochs 3
        status_is 0 "$kind, $n ranks"
        ok "a guide is there" has_guide "$kind$n.h5"
        without_guide "$kind$n.h5" >after
        ok "weights and training state as they were" cmp before after
        says 'a guide, best after [1-3] of 3 epochs; nats a frame' "says what was learned"
        alone=$(member out alone_per_frame) guided=$(member out guided_per_frame)
        [ "$n" -eq 1 ] && first=$alone
        ok "what the model alone says hardly depends on ranks" near "$alone" "$first" 0.000001
        ok "the guide says more: $guided for $alone" test "$(awk "BEGIN { print $guided < $alone }")" -eq 1
    done
    cp $kind.h5 again.h5
    run "$trainer" --masks again.h5 --data "$data" --epochs 3 --quiet
    status_is 0 "$kind, once more"
    ok "--quiet: no table" test ! -s err
    ok "the same bytes" cmp again.h5 "${kind}1.h5"
done
run "$trainer" --masks again.h5 --data merged --epochs 3 --seed 2 --quiet
ok "another seed, another guide" test "$(cmp -s again.h5 one1.h5; echo $?)" -eq 1
run "$trainer" --masks plain.h5 --data unheard --epochs 1
says '1 epoch|of 1 epochs' "one epoch, where no song is for validation"
ok "the figures are of the train songs" test "$(member out split)" = train

# Vectors and a guide stay beside each other.
run "$trainer" --attributes sequence1.h5 --data data --quiet
status_is 0 "vectors beside the guide"
ok "the guide is still there" has_guide sequence1.h5
run "$trainer" --masks sequence1.h5 --data data --epochs 1 --quiet
ok "and the vectors after another one" grep -q '^attributes' <("$state" sequence1.h5)

# The sampler draws by it, and keeps what it has to.
ok "a song" "$BIN/sampler" song -c sequence.h5 --bars 6 -q -o made
for model in sequence sequence2; do
    run "$BIN/sampler" fill -c $model.h5 made/song-001.mid --tracks bass --particles 20 -o "f-$model"
    status_is 0 "fill by $model"
    says 'evidence -[0-9.]+; at least' "with evidence"
done
ok "other music with the guide" test "$(cmp -s f-sequence{,2}/fill-song-001-001.mid; echo $?)" -eq 1
ok "by three threads" "$BIN/sampler" fill -c sequence2.h5 made/song-001.mid --tracks bass --particles 20 \
    --threads 3 -q -o again
ok "the same by three threads" cmp f-sequence2/fill-song-001-001.mid again/fill-song-001-001.mid

# In a run folder: links stay.
mkdir run
cp plain.h5 run/checkpoint-00000001.h5
ln -s checkpoint-00000001.h5 run/best.h5
run "$trainer" --masks run/best.h5 --data data --epochs 1 --quiet
status_is 0 "a guide for a run's best checkpoint"
ok "best.h5 is a link still" test -L run/best.h5
ok "nothing left over" test -z "$(find run -name '*.tmp')"
ok "best.h5 has a guide" has_guide run/best.h5

refused 2 'dense\.h5 is a dense model' "a dense model" --masks dense.h5 --data merged
refused 2 'exclude each other' "two tasks" --masks plain.h5 --attributes plain.h5 --data data
refused 2 '--batch: has no meaning beside --masks' "what is for training" --masks plain.h5 --data data \
    --batch 3
refused 1 'lost\.h5' "a checkpoint that is not there" --masks lost.h5 --data data
refused 1 'trained on another grid' "another grid" --masks plain.h5 --data merged
refused 1 'untrained: holds no train songs' "no songs to learn from" --masks plain.h5 --data untrained
cp plain.h5 torn.h5
truncate -s -5000 torn.h5
refused 1 'torn\.h5' "a torn checkpoint" --masks torn.h5 --data data

# A file size limit is a disk that fills up; MPI writes files of some megabytes itself.
ok "a large model" "$make" large.h5 --tracks "melody,counter,chords,bass,drums" --planes 2 --segment 8 \
    --latent 12000
cp large.h5 full.h5
run bash -c "ulimit -f 8000; trap '' XFSZ; exec '$trainer' --masks full.h5 --data many --epochs 1"
status_is 1 "a full disk: exit 1"
says_once '^trainer: .*/full\.h5: ' "names the file"
ok "which is as it was" cmp full.h5 large.h5
ok "and nothing half-written stays" test -z "$(find . -maxdepth 1 -name 'full.h5.*')"

# Stopped while it learns.
cp plain.h5 long.h5
ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks "$trainer" --masks long.h5 --data data --epochs 10000 >out 2>err &
wait_for "/proc/$!/status" '^SigCgt:.*[4-7c-f][0-9a-f]\{3\}$' # from then on it catches SIGTERM
sleep 1
kill -s TERM $!
wait $!
status=$?
status_is 1 "SIGTERM: exit 1"
says_once 'stopped by a signal before the guide was learned' "with one message"
ok "the checkpoint is as it was" cmp long.h5 plain.h5
finish
