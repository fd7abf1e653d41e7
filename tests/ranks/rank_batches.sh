# shellcheck shell=bash
# Sequences of a step: the same samples with the same noise on any number of ranks and passes, shared by
# frames.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 20
passes=$BUILD/tests/ranks/mpi_rank_batches

# Batches that leave a rest: of fewer samples than 4 ranks.
for sizes in "0 4" "92 5" "60 4"; do
    # shellcheck disable=SC2086 # words
    for parts in "1 1" "2 1" "4 1" "1 3" "2 2"; do
        read -r n accumulate <<<"$parts"
        run ranks "$n" "$passes" data $sizes "$accumulate"
        status_is 0 "chunk and batch $sizes on $n ranks in $accumulate passes"
        if [ "$parts" = "1 1" ]; then cp out one; else ok "the same samples" cmp one out; fi
    done
    ok "no two steps alike" test "$(sort -u one | wc -l)" -eq "$(wc -l <one)"
    holds "a last batch of fewer" \
        "$(sort -n one | head -n 1 | cut -d ' ' -f 1) < $(sort -n one | tail -n 1 | cut -d ' ' -f 1)"
done

# Data that are read as they are needed: the same samples in the same order, of other groups in other epochs.
make_corpus large 80
# shellcheck disable=SC2086 # words
for sizes in "0 4 1" "60 5 1" "60 30 2"; do
    for memory in "1 0" "1 200000" "2 160000" "4 160000"; do
        read -r n bytes <<<"$memory"
        run ranks "$n" "$passes" large $sizes 40000 "$bytes"
        status_is 0 "chunk and batch $sizes on $n ranks in groups, $bytes bytes in memory"
        if [ "$memory" = "1 0" ]; then cp out one; else ok "the same samples" cmp one out; fi
    done
    run ranks 1 "$passes" large $sizes
    ok "in another order than as one group" test "$(cmp one out | wc -l)" -eq 1
    run ranks 2 "$passes" large $sizes 40000 60000
    ok "too little memory is refused" grep -q "data-memory: 0 MiB are too little.*give 1 or more" err
done
finish
