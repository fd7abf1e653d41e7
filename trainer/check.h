/* check: `trainer --check`, which does all that comes before a run's first step, takes some steps for their
 * time, and says what it found. Nothing of it stays on disk. */
#pragma once

#include "trainer/parallel/hosts.h"
#include "trainer/run/options.h"

/* Prints the findings on standard output, on rank 0, problems with their way out. hosts: as found before the
 * run's data were read. Collective. Returns an exit status; errors, which are what would keep the run from
 * starting, are agreed and set on every rank (rank 0 prints). */
int check_run(options_t *options, const hosts_t *hosts, GError **error);
