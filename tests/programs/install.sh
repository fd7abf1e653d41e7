# shellcheck shell=bash
# make install: programs, manual pages and scripts, all of them, and uninstall takes them away again.
. "$SOURCE/tests/helpers/lib.sh"
# What is built stays as it is: "programs" counts as made.
made=(make -s -C "$SOURCE" -o programs BIN="$BIN" DESTDIR="$WORK/root" PREFIX=/usr)

run "${made[@]}" install
status_is 0 "make install"
for program in preprocess trainer sampler; do
    ok "mpianist-$program runs" "root/usr/bin/mpianist-$program" --version
    page=mpianist-$program.1
    ok "with its manual page" cmp "$SOURCE/docs/$page" "root/usr/share/man/man1/$page"
done
ok "the scripts for SLURM, as they are" diff -r "$SOURCE/slurm" root/usr/share/mpianist/slurm
run "${made[@]}" uninstall
status_is 0 "make uninstall"
ok "leaves no file" test -z "$(find root -type f)"
finish
