# shellcheck shell=bash
# trainer --evaluate of a sequence model: its figures hang together, do not depend on the rank count, can be
# repeated and left.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 10 --tracks merged --split 60,10,30
make_corpus tracks 8 --tracks melody,bass --split 0,0,100
make="$BUILD/tests/helpers/make_checkpoint"
ok "a checkpoint" "$make" model.h5 --tracks merged --planes 1 --segment 4 --bias -4
ok "one of two tracks and both planes" "$make" two.h5 --tracks melody,bass --planes 2 --segment 6 --bias -4
ok "one without a latent" "$make" plain.h5 --tracks merged --planes 1 --segment 4 --latent 0 --bias -4
ok "a dense one" "$make" dense.h5 --tracks merged --planes 1

# figures FILE EXPRESSION DESCRIPTION: a Perl expression of the JSON object's members by name is true.
figures() {
    perl -MJSON::PP -e 'my ($f, $e) = @ARGV; open my $h, "<", $f or die; my $j = decode_json(<$h>);
        $e =~ s/(\w+)/exists $j->{$1} ? "\$j->{$1}" : $1/ge;
            my $true = eval($e); die $@ if $@; exit !$true' "$1" "$2"
    local true=$?
    result "$true" "$3"
    [ "$true" -eq 0 ] || { echo "# not so: $2"; sed 's/^/# /' "$1"; }
}

for n in 1 2 4; do
    run ranks "$n" "$trainer" --evaluate model.h5 --data data --particles 5
    status_is 0 "on $n ranks"
    cp out "model$n"
    [ "$n" -eq 1 ] ||
        { cmp -s model1 "model$n"; result $? "the same figures as on 1 rank, to the last digit"; }
done
says 'bound of 5 particles' "a table for people"
says 'pieces from latents alone, of each segment the best of 16 draws' "how pieces are rebuilt"
ok "one with a memory" "$make" memory.h5 --tracks merged --planes 1 --segment 4 --bias -4 --memory 6 --note 5
for n in 1 3; do
    run ranks "$n" "$trainer" --evaluate memory.h5 --data data --particles 5 --rebuild 2
    status_is 0 "with a memory, on $n ranks"
    cp out "memory$n"
done
ok "the same figures on 1 and 3 ranks, to the last digit" cmp memory1 memory3
figures memory1 \
    'abs(nll_per_frame + kl_per_frame - loss_per_frame) < 1e-9 && bound_per_frame < loss_per_frame' \
    "which hang together"
mkdir today before
"$make" today/older.h5 --tracks merged --planes 1 --segment 4 && cp "$SOURCE/tests/golden/checkpoint-v5.h5" \
    before/older.h5
for folder in today before; do
    run bash -c "cd $folder &&
        '$trainer' --evaluate older.h5 --data ../data --particles 3 --rebuild 2 --quiet"
    status_is 0 "$folder"
    cp out "$folder.json"
done
ok "a checkpoint of version 5: the figures of the same weights today, to the last digit" cmp today.json \
    before.json
make_corpus single 1 --tracks merged --split 0,0,100
run "$trainer" --evaluate model.h5 --data single --particles 1
says '^model\.h5 on test: 1 piece, [0-9]+ frames, ' "one piece is one"
says '^bound of 1 particle ' "and one particle"
figures model1 'split eq "test" && pieces > 4 && frames > 100 * pieces && segments >= frames / 4' "counts"
figures model1 \
    'abs(nll_per_frame + kl_per_frame - loss_per_frame) < 1e-9 && bound_per_frame < loss_per_frame' \
    "the bound is tighter than one draw's"
figures model1 'abs(kl_per_segment * segments - kl_per_frame * frames) < 1e-6 * frames && kl_per_frame > 0' \
    "KL a segment"
figures model1 \
    'active_units >= 1 && active_units <= 4 && f1 > 0 && f1 < 1 && floor_f1 > 0 && f1 != floor_f1' \
    "units and notes"
figures model1 'onset_f1 > 0 && onset_f1 < 1 && density_error > 0' "onsets and density"
figures model1 'floor_onset_f1 > 0 && floor_density_error > 0' "of the floor, too"
figures model1 'rebuild == 16' "of the best of 16 draws"
for draws in 1 5; do
    run "$trainer" --evaluate model.h5 --data data --rebuild $draws
    status_is 0 "--rebuild $draws"
    cp out "draws$draws"
    cp err "table$draws"
done
ok "a table of each" bash -c 'grep "the best of 5 draws" table5 && grep "the likelier of each cell" table1'
figures draws1 'rebuild == 1 && f1 > 0' "1: greedy"
# value FILE NAME: of a member.
value() { sed "s/.*\"$2\":\([^,}]*\).*/\1/" "$1"; }
ok "each has its own pieces" \
    test "$(for file in draws1 draws5 model1; do value $file f1; done | sort -u | wc -l)" -eq 3
ok "and all the same likelihood" test "$(value draws5 nll_per_frame)" = "$(value model1 nll_per_frame)"
run "$trainer" --evaluate model.h5 --data data --split test --particles 5 --quiet --seed 1
cmp -s out model1
result $? "and again, one process"
ok "--quiet: no table" test ! -s err
run "$trainer" --evaluate model.h5 --data data --split test --particles 5 --quiet --seed 2
cmp -s out model1
ok "another seed: other draws" test $? -eq 1

run bash -c "'$trainer' --evaluate model.h5 --data data --split train,valid >/dev/full"
status_is 1 "figures that cannot be written are an error"
says 'standard output: cannot write: No space left on device' "by name"
says 'F1' "the table is there all the same"
run "$trainer" --evaluate model.h5 --data data --split train,valid
ok "two splits, two lines, no bound" test "$(grep -c kl_per_segment out)" -eq 2 \
    -a "$(grep -c bound_per_frame out)" -eq 0
run ranks 2 "$trainer" --evaluate two.h5 --data tracks --particles 3
status_is 0 "two tracks, both planes, segments of 6"
cp out two
figures two 'bound_per_frame < loss_per_frame && segments < frames / 5' "figures"
run "$trainer" --evaluate plain.h5 --data data --particles 3
status_is 0 "without a latent"
cp out plain
figures plain 'kl_per_frame == 0 && bound_per_frame == nll_per_frame && !defined f1 && active_units == 0' \
    "the likelihood is exact"

run ranks 2 "$trainer" --evaluate model.h5 --data data --iwae 4
status_is 2 "--iwae is refused"
says_once 'a sequence model.*take --particles K' "and --particles named"
run "$trainer" --evaluate dense.h5 --data data --particles 4
status_is 2 "--particles of a dense model is refused"
run "$trainer" --evaluate dense.h5 --data data --rebuild 4
status_is 2 "--rebuild of a dense model is refused"
run ranks 2 "$trainer" --evaluate two.h5 --data data
status_is 1 "another grid is refused"
says_once 'trained on another grid' "with one message"
run "$trainer" --evaluate two.h5 --data tracks --split test,valid
status_is 1 "a split without songs is refused"
ok "before anything is scored" test ! -s out

# The first split's line shows that the second is under way. Sanitizers make a particle ten times as slow.
particles=1000
[ "$CONFIG" != asan ] || particles=100
for n in 1 2; do
    rm -f out
    ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout 100 mpirun -n "$n" "$trainer" --evaluate model.h5 \
        --data data --split valid,train --particles $particles >out 2>err &
    wait_for out '"split":"valid"'
    kill -s TERM "$(rank_of $!)"
    wait $!
    status=$?
    status_is 1 "SIGTERM to one rank of $n: exit 1"
    says_once 'stopped by a signal' "with one message"
    ok "and no figures of what was under way" test "$(grep -c '"split":"train"' out)" -eq 0
done
finish
