# shellcheck shell=bash
# train_lib.sh: sourced by tests/ranks: a corpus of generated songs and comparisons of runs.
. "$SOURCE/tests/helpers/lib.sh"
export OPENBLAS_NUM_THREADS=1 # tiny models: more threads only wait for each other
trainer=$BIN/trainer
state=$BUILD/tests/helpers/checkpoint_state

# make_corpus DIR COUNT [preprocess option...]: COUNT generated songs as shards in DIR.
make_corpus() {
    local folder=$1 count=$2
    shift 2
    mkdir -p "$folder.songs"
    "$BUILD/tests/helpers/make_songs" "$folder.songs" "$count" >"$folder.log" 2>&1 &&
        "$BIN/preprocess" "$@" --output "$folder" "$folder.songs" >>"$folder.log" 2>&1
    result $? "a corpus of $count songs"
}

# A model that trains in milliseconds.
tiny_model=(--hidden 32 --latent 4 --window 16)
tiny=("${tiny_model[@]}" --batch 8)
tiny_sequence_model=(--model sequence --latent 4 --segment 4 --state 16 --encoder 8 --sketch 8 --nade 8
    --tied 4 --posterior-hidden 16 --prior-hidden 16 --sketch-hidden 16
    --dropout 0.3 --input-dropout 0.1 --lag-dropout 0.3 --free-bits 1)
tiny_sequence=("${tiny_sequence_model[@]}" --batch 4)

# same_state A B DESCRIPTION: two checkpoints hold the same bits.
same_state() {
    "$state" "$1" >"$WORK/.a" 2>&1 && "$state" "$2" >"$WORK/.b" 2>&1 && cmp -s "$WORK/.a" "$WORK/.b"
    local same=$?
    result "$same" "$3"
    [ "$same" -eq 0 ] || diff "$WORK/.a" "$WORK/.b" | sed 's/^/# /'
}

# A run in the folder `run`, which is disturbed, and its undisturbed twin, `whole`.
# losses FILE: of each line, without times. A validation that a run repeats after it was killed counts once.
losses() { sed 's/\("kl": [^,]*\).*/\1/' "$1" | awk '!/validation/ || $0 != last; { last = $0 }'; }
# same_bits A B: two checkpoints hold the same state.
same_bits() { "$state" "$1" >"$WORK/.a" && "$state" "$2" >"$WORK/.b" && cmp "$WORK/.a" "$WORK/.b"; }
# run_is_intact: each checkpoint and link that has its final name can be read, run.ini is whole, and so are
# all lines of metrics.jsonl but the last.
run_is_intact() {
    local file
    for file in run/*.h5; do
        [ ! -L "$file" ] && [ ! -e "$file" ] || "$state" "$file" >/dev/null || return
    done
    [ ! -e run/run.ini ] || diff <(grep -v '^output' whole/run.ini) <(grep -v '^output' run/run.ini) || return
    [ ! -e run/metrics.jsonl ] || ! sed '$d' run/metrics.jsonl | grep -v '^{.*}$'
}
# run_has_ended: as its twin did.
run_has_ended() {
    same_bits whole/latest.h5 run/latest.h5 && same_bits whole/best.h5 run/best.h5 &&
        diff <(losses whole/metrics.jsonl) <(losses run/metrics.jsonl) && diff <(ls whole) <(ls run)
}

# same_steps A B TOLERANCE STEPS DESCRIPTION: the losses of steps 1 to STEPS in two metrics.jsonl differ by
# less than TOLERANCE, relative; none missing.
same_steps() {
    perl -MJSON::PP -e '
        my ($a, $b, $tolerance, $steps) = @ARGV;
        sub losses { my %l; open my $f, "<", $_[0] or die "$_[0]: $!";
            while (<$f>) { my $j = decode_json($_); next if $j->{kind} ne "step";
            die "$_[0]: step $j->{step} twice\n" if $l{$j->{step}}; $l{$j->{step}} = $j } return %l }
        my %a = losses($a); my %b = losses($b); my $worst = 0;
        for my $s (1 .. $steps) { for my $k ("nll", "kl") {
            die "step $s missing\n" unless $a{$s} && $b{$s};
            my $d = abs($a{$s}{$k} - $b{$s}{$k}) / (abs($a{$s}{nll} + $a{$s}{kl}) || 1);
                $worst = $d if $d > $worst } }
        print "largest relative difference over $steps steps: $worst\n";
            exit($worst <= $tolerance ? 0 : 1)' \
            "$1" "$2" "$3" "$4" >"$WORK/.d" 2>&1
    local same=$?
    result "$same" "$5"
    sed 's/^/# /' "$WORK/.d"
}

# lines FILE KIND: how many lines of a kind are in a metrics.jsonl.
lines() { grep -c "^{\"kind\": \"$2\"" "$1"; }

# member FILE KIND NAME: the values of a member, a line each.
member() {
    perl -MJSON::PP \
        -ne 'BEGIN { ($f, $k, $n) = splice @ARGV, 0, 3; @ARGV = ($f) } $j = decode_json($_);
            print "$j->{$n}\n" if $j->{kind} eq $k' "$@"
}

# holds DESCRIPTION EXPRESSION: passes where awk finds the expression true.
holds() {
    awk "BEGIN { exit !($2) }"
    local true=$?
    result "$true" "$1"
    [ "$true" -eq 0 ] || echo "# not true: $2"
}

# wait_for FILE PATTERN: waits until a line of a file matches, a minute at most.
wait_for() {
    for _ in $(seq 1200); do
        grep -q -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "# $1: no line matches /$2/ after a minute"
    return 1
}

trained_by=(ranks 2)
# refused STATUS REGEX DESCRIPTION OPTION...: the trainer, by trained_by, and no figures.
refused() {
    local wanted=$1 message=$2 description=$3
    shift 3
    run "${trained_by[@]}" "$trainer" "$@"
    status_is "$wanted" "$description: exit $wanted"
    says_once "^trainer: .*$message" "with one message"
    ok "and no line of JSON" test ! -s out
}
