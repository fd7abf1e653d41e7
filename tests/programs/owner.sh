# shellcheck shell=bash
# Who writes in an output folder, seen from preprocess: of several that are started at once one wins, without
# locks of the file system too; one that was stopped while another took over stops itself; what a killed one
# left does no harm.
. "$SOURCE/tests/helpers/lib.sh"
preprocess=$BIN/preprocess

# sums FOLDER: of what it holds.
sums() { (cd "$1" && sha256sum report.tsv shard-*.h5); }

"$BUILD/tests/helpers/make_songs" songs 300 || exit 1
few=(--shard-frames 20000 --jobs 1)
many=(--shard-frames 20000 --jobs 1 --tracks 'melody,chords,bass,drums')
"$preprocess" --quiet "${few[@]}" --output few songs &&
    "$preprocess" --quiet "${many[@]}" --output many songs || exit 1
sums few >few.sums
sums many >many.sums

# race ROUNDS: two with different options, at once, into one folder; in every second round where one was
# killed amid its work. Sets won (of ROUNDS), refused.
race() {
    local round a b first second
    won=0 refused=0
    for ((round = 0; round < $1; round++)); do
        rm -rf both
        if ((round % 2)); then
            "$preprocess" --quiet "${few[@]}" --output both songs &
            a=$!
            sleep 0.02
            kill -KILL $a 2>/dev/null
            wait $a 2>/dev/null
            rm -f both/shard-* both/report.tsv
        fi
        "$preprocess" --quiet "${few[@]}" --output both songs 2>a.err &
        a=$!
        "$preprocess" --quiet "${many[@]}" --output both songs 2>b.err &
        b=$!
        wait $a
        first=$?
        wait $b
        second=$?
        grep -q 'both: process [0-9]* on .* writes here since ..:..; wait for it' a.err b.err &&
            refused=$((refused + 1))
        if [ $first -eq 0 ] && [ $second -eq 1 ]; then
            sums both 2>&1 | cmp -s - few.sums && won=$((won + 1))
        elif [ $first -eq 1 ] && [ $second -eq 0 ]; then
            sums both 2>&1 | cmp -s - many.sums && won=$((won + 1))
        fi
    done 2>/dev/null
    [ $won -eq "$1" ] || cat a.err b.err | sed 's/^/# /'
}
race 16
[ $won -eq 16 ]
result $? "of two at once one wins, and every row is its own"
[ $refused -gt 0 ]
result $? "the other is told who writes there"
[ "$(find both -type f | wc -l)" -eq "$(wc -l <few.sums)" ] ||
    [ "$(find both -type f | wc -l)" -eq "$(wc -l <many.sums)" ]
result $? "nothing is left behind"

# --- a disk without locks, and without links ---
if [ "$CONFIG" = asan ]; then
    skip "AddressSanitizer wants to be loaded first" "disks without locks and links"
else
    cat >bare.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
int flock(int fd, int operation) { (void)fd, (void)operation; return errno = ENOSYS, -1; }
int lockf(int fd, int command, off_t length) { (void)fd, (void)command, (void)length;
    return errno = ENOSYS, -1; }
int __fcntl(int fd, int command, ...);
static int bare_fcntl(int fd, int command, void *argument) {
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK ||
        command == F_OFD_SETLK || command == F_OFD_SETLKW)
        return errno = ENOSYS, -1;
    return __fcntl(fd, command, argument);
}
int fcntl(int fd, int command, ...) { va_list list; va_start(list, command);
    void *argument = va_arg(list, void *); va_end(list);
    return bare_fcntl(fd, command, argument); }
int fcntl64(int fd, int command, ...) { va_list list; va_start(list, command);
    void *argument = va_arg(list, void *); va_end(list);
    return bare_fcntl(fd, command, argument); }
#ifdef WITHOUT_LINKS
int link(const char *from, const char *to) { (void)from, (void)to; return errno = EPERM, -1; }
#endif
END
    read -ra compiler <<<"${CC:-cc}"
    ok "a disk without locks" "${compiler[@]}" -D_GNU_SOURCE -shared -fPIC -o locks.so bare.c
    ok "and one without links" "${compiler[@]}" -D_GNU_SOURCE -DWITHOUT_LINKS -shared -fPIC -o links.so bare.c
    for without in locks links; do
        export LD_PRELOAD=$PWD/$without.so
        race 8
        [ $won -eq 8 ]
        result $? "without $without of two at once one wins, too"
        [ $refused -gt 0 ]
        result $? "and the other is told"
        unset LD_PRELOAD
    done
fi

# --- stopped, taken over, woken up ---
# other_host COMMAND...: as if on another host.
other_host() { unshare --uts bash -c 'hostname h2 && exec "$@"' _ "$@"; }
if ! other_host true 2>/dev/null; then
    skip "another host's name needs root" "stopped, taken over, woken up"
else
    "$preprocess" --quiet "${few[@]}" --output stopped songs 2>older.err &
    pid=$!
    for ((i = 0; i < 2000; i++)); do
        [ -s stopped/preprocess.spool ] && break
        sleep 0.005
    done
    kill -STOP $pid
    [ -s stopped/preprocess.spool ] && [ -e stopped/preprocess.owner ]
    result $? "a run that is stopped amid its work"
    touch -d '-2 minutes' stopped/preprocess.owner
    run other_host "$preprocess" --quiet "${few[@]}" --output stopped songs
    status_is 0 "another host takes over once it has been silent for long"
    sums stopped | cmp -s - few.sums
    result $? "and finishes the corpus"
    kill -CONT $pid
    wait $pid
    [ $? -eq 1 ]
    result $? "the older one wakes up and stops"
    grep -q '^preprocess: stopped: .* it stops here and leaves the rest to others' older.err
    result $? "with a word why"
    sums stopped | cmp -s - few.sums
    result $? "and has changed nothing"
    [ "$(find stopped -type f | wc -l)" -eq "$(wc -l <few.sums)" ]
    result $? "nothing is left behind here either"
fi

finish
