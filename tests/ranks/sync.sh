# shellcheck shell=bash
# Local steps and sync points under mpirun, beside a plain twin: on one host, on hosts of one and of several
# ranks (which one machine plays), of floats and of bfloat16.
. "$SOURCE/tests/helpers/lib.sh"
sync=$BUILD/tests/ranks/mpi_sync

ok "one rank" "$sync"
ok "3 ranks of a host" ranks 3 "$sync"
for n in 2 3 4; do
    ok "$n hosts of a rank" ranks "$n" "$sync" --alone
done
ok "2 hosts of two ranks" ranks 4 "$sync" --ranks-a-host 2
ok "hosts of two ranks and of one" ranks 3 "$sync" --ranks-a-host 2
ok "2 hosts of a rank, bfloat16" ranks 2 "$sync" --alone --bf16
ok "hosts of two ranks and of one, bfloat16" ranks 3 "$sync" --ranks-a-host 2 --bf16
finish
