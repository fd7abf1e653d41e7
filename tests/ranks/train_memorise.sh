# shellcheck shell=bash
# A corpus small enough to be learned by heart is: every note found, none invented.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 2 --split 100,0,0
run "$trainer" --data data --output run --window 32 --hidden 128 --latent 16 --batch 8 --offsets grid \
    --beta 0.01 --learning-rate 0.005 \
    --decay cosine --epochs 200 --quiet
status_is 0 "200 epochs on two songs"
run "$trainer" --evaluate run/latest.h5 --data data --split train --quiet
perl -MJSON::PP -e 'my $j = decode_json(<>); print "$j->{f1} $j->{precision} $j->{recall}\n"' out >f1
holds "note F1 of $(cut -d ' ' -f 1 f1) is above 0.99" "$(cut -d ' ' -f 1 f1) > 0.99"
finish
