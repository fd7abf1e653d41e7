/* rest: what the verbs fill, accompany, harmonise and continue share: a song of which a part is known, and
 * the rest is written (sampler/make/particles.h); several results, told and ranked by their fit. */
#pragma once

#include "sampler/command/job.h"

/* A song and what of it is known. */
typedef struct {
    roll_t *song, *known; /* of the same shape; closed by rest_write() */
    timeline_t *timeline; /* of the whole piece */
    roll_t *from;         /* the notes as they were, in their places; no longer than song */
    played_t *played;     /* how its onsets are played */
    uint8_t programs[ROLL_MAX_TRACKS];
    const char *about;             /* what titles say: "bars 9-12" */
    const compose_latents_t *near; /* particles_piece_t's; NULL: none */
    /* The frame at which what is written to files begins, a bar line, and the frame before which that is
     * silent; 0: all is written. */
    size_t cut, cut_from;
} rest_t;
void rest_clear(rest_t *rest);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(rest_t, rest_clear)

/* Writes --count results, as VERB-SONG-001 and so on. FALSE with error set. */
gboolean rest_write(job_t *job, rest_t *rest, GError **error);
