/* guide_lesson: takes a guide (trainer/model/guide.h) through songs of which a part is taken to be known
 * (trainer/data/masks.h): several songs side by side, each from its first frame to its last, the model
 * following the true music with latents drawn from its prior, as particles have them. No MPI. */
#pragma once

#include "trainer/data/masks.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/model/guide.h"

enum { LESSON_SONGS = 16 }; /* side by side */

/* Sums over frames in which something is not known, in nats of the cells that are not. */
typedef struct {
    double frames, alone, guided; /* by the model alone, and with the guide */
} lesson_sums_t;

typedef struct guide_lesson guide_lesson_t;

/* For songs of up to so many frames. NULL with MODEL_ERROR_MEMORY set. Owner: caller; job's data and model
 * and the guide must outlive it. */
guide_lesson_t *guide_lesson_new(const evaluation_job_t *job, guide_t *guide, size_t most_frames,
                                 GError **error);
void guide_lesson_free(guide_lesson_t *lesson);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(guide_lesson_t, guide_lesson_free)

/* Which songs, and how. */
typedef struct {
    split_t split;
    uint64_t epoch;                    /* what is known depends on (seed, epoch, song), */
    int transpose_low, transpose_high; /* and so do the semitones */
} lesson_plan_t;
/* Begins with n songs, 1 to LESSON_SONGS, the longest first. */
void guide_lesson_begin(guide_lesson_t *lesson, const lesson_plan_t *plan, const uint32_t *songs, size_t n);
/* Goes on by up to so many frames of each song. Adds the gradient of the loss to gradient, unless NULL, and
 * the losses to sums [MASK_KINDS]. Returns the frames done, of all songs together; 0 when all have ended. */
size_t guide_lesson_go_on(guide_lesson_t *lesson, size_t frames, real_t *gradient, lesson_sums_t *sums);
