# shellcheck shell=bash
# What cannot work is refused at once, by all ranks, with one message that says how to go on, and the right
# exit status.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12 --shard-frames 600
make_corpus other 6
make_corpus narrow 6 --pitches 48 --pitch-low 36
make_corpus untrained 6 --split 0,100,0
run "$trainer" --data data --output good "${tiny[@]}" --max-steps 5 --quiet
status_is 0 "a run to resume"

trained_by=()
# all_refused: refused by 2 ranks.
all_refused() {
    trained_by=(ranks 2)
    refused "$@"
    trained_by=()
}

refused 2 '--data' "no --data" --output new
all_refused 2 '--bath: .*--batch' "a mistyped flag" --data data --output new --bath 3
all_refused 2 "--batch: is there twice, with '8' and '8'; give it once" "an option twice" --data data \
    --output new "${tiny[@]}" --batch 8
refused 2 "--segment: '4097' is not a whole number from 1 to 4096" "a size that no model has" --data nowhere \
    --output new --model sequence --segment 4097
refused 2 '--latent' "a value out of range" --data data --output new --latent 0
refused 2 '--wire bf16: .*--reproducible' "bf16 with --reproducible" --data data --output new --wire bf16 \
    --reproducible 4
refused 1 'nowhere' "no data folder" --data nowhere --output new
mkdir empty
all_refused 1 'empty' "a folder without shards" --data empty --output new
refused 1 'no train songs' "no train windows" --data untrained --output new "${tiny[@]}"
all_refused 1 \
    'has [0-9]+ train windows of 16 frames, fewer than one batch of 9999; take --batch [0-9]+ or less' \
    "too few windows" \
    --data data --output new "${tiny_model[@]}" --batch 9999
all_refused 1 '2 ranks for a --batch of 1: .*start 1 at most' "more ranks than a batch has windows" \
    --data data --output new "${tiny_model[@]}" --batch 1
make_corpus single 1 --split 100,0,0
refused 1 'single: has 1 train piece, fewer' "too few pieces" --data single --output new "${tiny_sequence[@]}"
mkdir halved && head -c 2000 good/latest.h5 >halved/checkpoint-00000005.h5
refused 1 'halved: holds checkpoint-00000005\.h5 but no checkpoint that can be read' \
    "a run of torn checkpoints" \
    --data data --output halved --resume auto "${tiny[@]}"
says_once \
    '^trainer: warning: halved/checkpoint-00000005\.h5: .*cut short.*; looking for an older checkpoint$' \
    "and a word why"
refused 2 '--epochs: has no meaning beside --evaluate' "training options where nothing trains" --data data \
    --evaluate good/latest.h5 --epochs 3

shards=(data/*.h5)
last_shard=$(basename "${shards[-1]}")
ok "the corpus has several shards" test "${#shards[@]}" -ge 3
cp -r data missing && rm missing/shard-00001-*.h5
refused 1 'missing' "a missing shard" --data missing --output new "${tiny[@]}"
cp -r data mixed && cp other/shard-00000-*.h5 "mixed/$last_shard"
refused 1 'mixed' "shards of two corpora" --data mixed --output new "${tiny[@]}"
cp -r data corrupt
# Flips eight bytes of every 64 after the first 1280.
perl -e 'open my $f, "+<", $ARGV[0] or die; binmode $f; local $/;
    my $b = <$f>; substr($b, $_ * 64, 8) = ~substr($b, $_ * 64, 8)
    for 20 .. length($b) / 64 - 2; seek $f, 0, 0; print $f $b' "corrupt/$last_shard"
all_refused 1 'corrupt' "a corrupt shard" --data corrupt --output new "${tiny[@]}"
cp -r data torn && truncate -s 2000 "torn/$last_shard"
refused 1 'torn' "a torn shard" --data torn --output new "${tiny[@]}"

touch file
refused 1 'file.*name another --output' "an output folder that cannot be made" --data data --output file/run \
    "${tiny[@]}"
all_refused 1 'good: holds checkpoints.*--resume auto' "a folder that holds another run" --data data \
    --output good "${tiny[@]}"
all_refused 1 '--hidden 32 there, 16 here; --latent 4 there, 5 here' "resuming another shape" --data data \
    --output good --window 16 --batch 8 --hidden 16 --latent 5 --resume auto
refused 1 '--seed 1 there, 2 here' "resuming with another seed" --data data --output good "${tiny[@]}" \
    --seed 2 --resume auto
refused 1 '--batch 8 there, 4 here' "resuming with another batch" --data data --output good \
    "${tiny_model[@]}" --batch 4 --resume auto
refused 1 'was trained on corpus' "resuming on another corpus" --data other --output good "${tiny[@]}" \
    --resume auto
refused 1 'lost\.h5' "resuming what is not there" --data data --output new "${tiny[@]}" --resume lost.h5
ok "the refused run is untouched" "$state" good/checkpoint-00000005.h5

refused 1 'lost\.h5' "evaluating what is not there" --data data --evaluate lost.h5
head -c 3000 good/latest.h5 >torn.h5
all_refused 1 'torn\.h5' "evaluating a torn checkpoint" --data data --evaluate torn.h5
refused 1 'another grid: .*88 pitches from 21.*48 from 36' "evaluating on data of another shape" \
    --data narrow --evaluate good/latest.h5
refused 1 'holds no test songs' "evaluating an empty split" --data untrained --evaluate good/latest.h5

kept='last good checkpoint is nan/checkpoint-0000000[0-9]\.h5'
all_refused 1 \
    "step [0-9]+: the (loss|gradient) is not finite.*lower --learning-rate.*$kept" \
    "a loss that is not finite" --data data --output nan "${tiny[@]}" --learning-rate 10 \
    --checkpoint-every "1 steps" --quiet
says 'on rank 0' "names the rank"
kept=$(sed -n 's/.*checkpoint is \(.*\.h5\).*/\1/p' err)
ok "keeps the checkpoint that it names" "$state" "$kept"

ok "a checkpoint with NaN where only rank 1 meets it" "$BUILD/tests/helpers/make_poisoned" \
    good/checkpoint-00000005.h5 data 1 2
all_refused 1 \
    'step 6: the loss is not finite on rank 1; lower .*last good checkpoint is good/checkpoint-00000005\.h5' \
    "a loss that is not finite on one rank" --data data --output good "${tiny[@]}" --max-steps 6 \
    --resume auto --quiet

run env OMPI_COMM_WORLD_SIZE=4 "$trainer" --data data --output new "${tiny[@]}"
status_is 1 "one process where the launcher says 4"
says_once 'mpirun -n 4' "says how to start"
run env SLURM_NTASKS=4 "$trainer" --data data --output new "${tiny[@]}"
status_is 1 "one process where SLURM says 4"

run env MPIANIST_STATUS_FILE=here "$trainer" --evaluate good/latest.h5 --data data
ok "its status in a file" test "$(cat here)" = 0
run env MPIANIST_STATUS_FILE=nowhere/status "$trainer" --evaluate good/latest.h5 --data data
status_is 0 "a status that cannot be written changes nothing else"
says_once 'warning: MPIANIST_STATUS_FILE: .*nowhere/status' "but is warned about"

for n in 2 3; do
    ok "$n replicas, of which one differs or is broken: found before it is written, and named" ranks $n \
        "$BUILD/tests/ranks/mpi_run" "$WORK/diverged$n"
done
finish
