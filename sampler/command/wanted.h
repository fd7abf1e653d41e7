/* wanted: the wishes of the command line (--chords, --key, --density, --polyphony, --register) for the
 * particles of a piece. */
#pragma once

#include "sampler/command/job.h"
#include "sampler/make/wishes.h"

typedef struct wanted wanted_t;

/* For a piece with this timeline, which must outlive it, of so many frames. NULL with error set: usage, or a
 * file of chords that cannot be read. Owner: caller. */
wanted_t *wanted_new(const job_t *job, const timeline_t *timeline, size_t frames, GError **error);
void wanted_free(wanted_t *wanted);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(wanted_t, wanted_free)
/* Begins a piece: what is wished of it, or NULL where nothing is. */
const particles_wish_t *wanted_begin(const wanted_t *wanted);
